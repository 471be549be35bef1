//go:build unix

package client

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"
)

// TestClosedUnderRequest: a member that closes an old connection when the request is
// on its way may not have seen it. What may be sent again is, in the same attempt and
// over a new connection; what may not is of unknown outcome.
func TestClosedUnderRequest(t *testing.T) {
	var mu sync.Mutex
	var keys []string
	s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
		for i := 0; ; i++ {
			r, ok := next()
			if !ok {
				return
			}
			mu.Lock()
			keys = append(keys, r.Header.Get("Idempotency-Key"))
			mu.Unlock()
			if i == 1 {
				return // it was read, and is never answered
			}
			_, _ = io.WriteString(conn, valueAnswer)
		}
	})
	for _, tt := range []struct {
		name string
		kind kind
		sent int // with the first, which makes the connection
	}{
		{"read", reading, 3},
		{"repeatable", repeatable, 3},
		{"with a key", keyed, 3},
		{"without", once, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mu.Lock()
			keys = nil
			mu.Unlock()
			c := s.client(t, Config{})
			if _, err := c.Get(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			q := keyCall(tt.kind, http.MethodPut, "k")
			if tt.kind == keyed {
				q.write(c, "")
			}
			_, e := c.tries(q, time.Minute).attempt(t.Context())
			mu.Lock()
			defer mu.Unlock()
			if len(keys) != tt.sent {
				t.Errorf("sent %d times", len(keys))
			}
			switch {
			case tt.sent == 2:
				if e == nil || e.Outcome != OutcomeUnknown {
					t.Errorf("got %v", e)
				}
			case e != nil || keys[1] != keys[2] || (keys[1] != "") != (tt.kind == keyed):
				t.Errorf("got %v, keys %q", e, keys)
			}
		})
	}
}

// TestDeadAfterClosed: when there is no new connection for a write that may have
// reached the member over the old one, its outcome is unknown; it is surely not
// applied when nothing was ever written.
func TestDeadAfterClosed(t *testing.T) {
	for _, tt := range []struct {
		name    string
		read    bool // the request, before the connection is closed
		outcome Outcome
	}{
		{"read", true, OutcomeUnknown},
		{"never sent", false, NotApplied},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
				next()
				_, _ = io.WriteString(conn, valueAnswer)
				if tt.read {
					next()
				}
			})
			c := s.client(t, Config{Timeout: 200 * time.Millisecond})
			if _, err := c.Get(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			p := c.endpoints[0].pool
			if !tt.read {
				p.waitReadable(t)
			}
			p.dial = func(context.Context, time.Time) (net.Conn, error) { return nil, errors.New("nobody there") }
			_, err := c.Put(t.Context(), "k", nil, nil)
			if e, ok := errors.AsType[*Error](err); !ok || e.Outcome != tt.outcome {
				t.Errorf("got %v, want outcome %q", err, tt.outcome)
			}
		})
	}
}

// TestRefusedAfterClosed: a write that was read by the member, over a connection that
// then closed, may have been applied, whatever is said to the one sent after it.
func TestRefusedAfterClosed(t *testing.T) {
	const problem = `{"title":"No space","status":507,"code":"no_space","outcome":"not_applied"}`
	s := newWireServer(t, func(n int, conn net.Conn, next func() (*http.Request, bool)) {
		next()
		if n%2 == 1 {
			_, _ = io.WriteString(conn, valueAnswer)
			next()
			return
		}
		fmt.Fprintf(conn, "HTTP/1.1 507 Insufficient Storage\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s", len(problem), problem)
	})
	for name, cfg := range map[string]Config{"connections of its own": {}, "net/http": {HTTPClient: &http.Client{Transport: &http.Transport{}}}} {
		c := s.client(t, cfg)
		if _, err := c.Get(t.Context(), "k", nil); err != nil {
			t.Fatal(err)
		}
		_, err := c.Put(t.Context(), "k", nil, nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != 507 || e.Outcome != OutcomeUnknown {
			t.Errorf("%s: got %v, want 507 with outcome %q", name, err, OutcomeUnknown)
		}
		if cfg.HTTPClient != nil {
			cfg.HTTPClient.CloseIdleConnections()
		}
	}
}

// TestEarlyAnswer: an answer counts that comes before the body was read, and one
// behind others that come in between.
func TestEarlyAnswer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = bufio.NewReaderSize(conn, 16).ReadString('\n') // no more of it
			_, _ = io.WriteString(conn, "HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\nHTTP/1.1 413 Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno!")
			_ = conn.(*net.TCPConn).CloseWrite()
			_, _ = io.Copy(io.Discard, conn)
			conn.Close()
		}
	}()
	c, err := New(Config{Endpoints: []string{"http://" + l.Addr().String()}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for _, size := range []int{0, 100, maxEverydayBody, 8 << 20} {
		_, err := c.Put(t.Context(), "k", make([]byte, size), nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Status != 413 || e.Attempts != 1 {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
	if n := len(c.endpoints[0].pool.idle); n != 0 {
		t.Errorf("%d connections were kept", n)
	}
	l.Close()
	<-done
}

// TestCutWrites: a write whose answer is cut at any byte is done once, and known to be.
func TestCutWrites(t *testing.T) {
	const answer = "HTTP/1.1 201 Created\r\nETag: \"7\"\r\nContent-Length: 2\r\n\r\n{}"
	for cut := range len(answer) {
		s := newWireServer(t, func(n int, conn net.Conn, next func() (*http.Request, bool)) {
			if _, ok := next(); ok && n == 1 {
				_, _ = io.WriteString(conn, answer[:cut])
			} else if ok {
				_, _ = io.WriteString(conn, answer)
			}
		})
		if res, err := s.client(t, Config{}).Put(t.Context(), "k", nil, nil); err != nil || res.ModRevision != 7 || s.connections() != 2 {
			t.Errorf("cut at %d: got %+v, %v over %d connections", cut, res, err, s.connections())
		}
		s = newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
			if _, ok := next(); ok {
				_, _ = io.WriteString(conn, answer[:cut])
			}
		})
		_, err := s.client(t, Config{NoIdempotencyKeys: true}).Put(t.Context(), "k", nil, nil)
		if e, ok := errors.AsType[*Error](err); !ok || e.Outcome != OutcomeUnknown || e.Status != 0 || s.connections() != 1 {
			t.Errorf("cut at %d, without a key: got %v over %d connections", cut, err, s.connections())
		}
	}
}

// TestLongBodies go both ways whole, whoever carries them.
func TestLongBodies(t *testing.T) {
	c, _ := newCluster(t, Config{}, healthy)
	for _, size := range []int{readBuffer - 1, readBuffer + 1, maxEverydayBody, maxEverydayBody + 1, 9 << 20} {
		value := bytes.Repeat([]byte("0123456789abcdef!"), size/17+1)[:size]
		if _, err := c.Put(t.Context(), "k", value, nil); err != nil {
			t.Fatal(err)
		}
		if got, err := c.Get(t.Context(), "k", nil); err != nil || !bytes.Equal(got.Value, value) {
			t.Errorf("%d bytes: %v", size, err)
		}
	}
}
