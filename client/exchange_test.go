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
	"slices"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
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

// TestRefusedAfterClosed: a write that is sent again within an attempt, since the
// connection was closed under it, may have been applied by the first sending. That
// the second is refused says nothing about it; where the second was judged, its
// result is that of both.
func TestRefusedAfterClosed(t *testing.T) { overBoth(t, testRefusedAfterClosed) }

func testRefusedAfterClosed(t *testing.T, cfg Config) {
	const refusal = `{"code":%q,"outcome":"not_applied"}`
	for _, tt := range []struct {
		status  int
		code    string // "": the answer is a good one
		outcome Outcome
	}{
		{201, "", ""},
		{412, "precondition_failed", NotApplied},
		{422, "idempotency_mismatch", NotApplied},
		{429, "overloaded", OutcomeUnknown},
		{503, "no_leader", OutcomeUnknown},
		{503, "stopping", OutcomeUnknown},
		{507, "no_space", OutcomeUnknown},
	} {
		t.Run(fmt.Sprint(tt.status, " ", tt.code), func(t *testing.T) {
			var mu sync.Mutex
			var keys []string // of the writes
			s := newWireServer(t, func(n int, conn net.Conn, next func() (*http.Request, bool)) {
				for {
					r, ok := next()
					if !ok {
						return
					}
					if r.Method == http.MethodGet {
						_, _ = io.WriteString(conn, valueAnswer)
						continue
					}
					mu.Lock()
					keys = append(keys, r.Header.Get("Idempotency-Key"))
					mu.Unlock()
					if n == 1 {
						return // it was applied, and is never answered
					}
					body := fmt.Sprintf(refusal, tt.code)
					fmt.Fprintf(conn, "HTTP/1.1 %d X\r\nContent-Type: application/problem+json\r\nContent-Length: %d\r\n\r\n%s", tt.status, len(body), body)
				}
			})
			c := s.client(t, cfg)
			defer c.http.CloseIdleConnections()
			if _, err := c.Get(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			q := keyCall(keyed, http.MethodPut, "k")
			q.write(c, "")
			q.body, q.only = []byte("v"), s.url // one attempt
			_, err := c.do(t.Context(), q)
			e, _ := errors.AsType[*Error](err)
			mu.Lock()
			defer mu.Unlock()
			if len(keys) != 2 || keys[0] == "" || keys[0] != keys[1] {
				t.Errorf("sent with the keys %q, want one key twice", keys)
			}
			switch {
			case tt.code == "":
				if err != nil {
					t.Errorf("got %v, want success", err)
				}
			case e == nil || e.Status != tt.status || e.Outcome != tt.outcome:
				t.Errorf("got %v, want status %d, outcome %q", err, tt.status, tt.outcome)
			}
		})
	}
}

// stillOpen makes a pipe pass for an idle connection on which there is nothing to
// read.
type stillOpen struct{ syscall.RawConn }

func (stillOpen) Read(func(uintptr) bool) error { return nil }

// TestTimeLeftAfterClosed: a request that is sent again within an attempt tells the
// member how much of the attempt's time is left.
func TestTimeLeftAfterClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := lost
		closed.delay = 2 * time.Second
		c, s := newPipeScript(t, Config{AttemptTimeout: 6 * time.Second}, closed, created)
		p := c.endpoints[0].pool
		conn, err := p.get(t.Context(), time.Now().Add(time.Minute), true)
		if err != nil {
			t.Fatal(err)
		}
		conn.probe.raw, conn.probe.err = stillOpen{}, syscall.EAGAIN
		p.put(conn)
		res, err := c.Put(t.Context(), "k", nil, nil)
		if err != nil || res.ModRevision != 7 {
			t.Errorf("got %+v, %v", res, err)
		}
		var told []string
		for _, r := range s.all() {
			told = append(told, r.host+" "+r.query)
		}
		if want := []string{"a timeout=5.25s", "a timeout=3.5s"}; !slices.Equal(told, want) {
			t.Errorf("told %q, want %q", told, want)
		}
	})
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
