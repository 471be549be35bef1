//go:build unix

package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestCancel ends calls at every moment of an exchange: while it connects, before the
// answer and after each of its bytes. The connection is closed at once, and serves
// nobody again.
func TestCancel(t *testing.T) {
	for cut := range len(valueAnswer) + 1 {
		reached, gone := make(chan struct{}), make(chan struct{})
		s := newWireServer(t, func(n int, conn net.Conn, next func() (*http.Request, bool)) {
			if _, ok := next(); !ok {
				return
			}
			if n > 1 {
				_, _ = io.WriteString(conn, valueAnswer)
				next()
				return
			}
			_, _ = io.WriteString(conn, valueAnswer[:cut])
			close(reached)
			next() // returns when the other end is closed
			close(gone)
		})
		c := s.client(t, Config{})
		ctx, cancel := context.WithCancelCause(t.Context())
		mine := errors.New("enough")
		go func() { <-reached; cancel(mine) }()
		begun := time.Now()
		_, err := c.Get(ctx, "k", nil)
		if cut < len(valueAnswer) && (!errors.Is(err, mine) || !errors.Is(err, context.Canceled)) || time.Since(begun) > 3*time.Second {
			t.Errorf("canceled after %d bytes: %v after %v", cut, err, time.Since(begun))
		}
		if cut < len(valueAnswer) {
			<-gone
		}
		if got, err := c.Get(t.Context(), "k", nil); err != nil || string(got.Value) != "v" {
			t.Errorf("after one that was canceled after %d bytes: %+v, %v", cut, got, err)
		}
		c.Close()
	}
}

// TestCanceledAfterAnswer: a call that ended when its answer was there has it, but its
// connection is about to be cut off, and serves nobody again.
func TestCanceledAfterAnswer(t *testing.T) {
	s := newWireServer(t, answering(valueAnswer))
	c := s.client(t, Config{})
	p := c.endpoints[0].pool
	n, err := p.get(t.Context(), time.Now().Add(10*time.Second), false)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	n.abort = func() {} // it comes too late
	n.out = []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	if a, err := n.exchange(ctx, http.MethodGet, 10); err != nil || string(a.body) != "v" {
		t.Fatalf("got %+v, %v", a, err)
	}
	if p.put(n); len(p.idle) != 0 {
		t.Error("the connection was kept")
	}
}

// TestCancelRace ends calls at moments of chance while others go on: none of them
// gets another's answer, or another's end.
func TestCancelRace(t *testing.T) {
	s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
		for {
			r, ok := next()
			if !ok {
				return
			}
			v := strings.TrimPrefix(r.URL.Path, kvPath)
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s", len(v), v)
		}
	})
	c := s.client(t, Config{})
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i := range 300 {
				ctx, cancel := context.WithCancel(t.Context())
				if i%3 > 0 {
					timer := time.AfterFunc(time.Duration(i)*time.Microsecond, cancel)
					defer timer.Stop()
				}
				key := fmt.Sprintf("%d.%d", w, i)
				got, err := c.Get(ctx, key, nil)
				if err == nil && string(got.Value) != key || err != nil && (i%3 == 0 || !errors.Is(err, context.Canceled)) {
					t.Errorf("%s: got %+v, %v", key, got, err)
				}
				cancel()
			}
		})
	}
	wg.Wait()
}

// TestDeadlines: the caller's deadline and Config.AttemptTimeout both end an exchange.
func TestDeadlines(t *testing.T) {
	s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
		next()
		_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\n")
		next()
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := s.client(t, Config{}).Put(ctx, "k", nil, nil)
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, context.DeadlineExceeded) || e.Outcome != OutcomeUnknown || e.Attempts != 1 {
		t.Errorf("got %v", err)
	}
	_, err = s.client(t, Config{AttemptTimeout: 20 * time.Millisecond, Timeout: 300 * time.Millisecond}).Put(t.Context(), "k", nil, nil)
	if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, context.DeadlineExceeded) || e.Outcome != OutcomeUnknown || e.Attempts < 2 {
		t.Errorf("got %v", err)
	}
}
