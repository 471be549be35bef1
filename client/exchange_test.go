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
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// wireServer is a member on the wire: serve has each connection for itself.
type wireServer struct {
	url string

	mu    sync.Mutex
	conns int
}

// newWireServer starts one. serve gets the number of the connection, from 1, and what
// reads the next request on it; false: there is none. The connection is closed when
// it returns.
func newWireServer(t testing.TB, serve func(n int, conn net.Conn, next func() (*http.Request, bool))) *wireServer {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &wireServer{url: "http://" + l.Addr().String()}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			s.mu.Lock()
			s.conns++
			n := s.conns
			s.mu.Unlock()
			wg.Go(func() {
				defer conn.Close()
				br := bufio.NewReader(conn)
				serve(n, conn, func() (*http.Request, bool) {
					r, err := http.ReadRequest(br)
					if err != nil {
						return nil, false
					}
					body, err := io.ReadAll(r.Body)
					r.Body = io.NopCloser(bytes.NewReader(body))
					return r, err == nil
				})
			})
		}
	})
	return s
}

// connections is how many there were.
func (s *wireServer) connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.conns
}

// client returns a Client of it alone.
func (s *wireServer) client(t testing.TB, cfg Config) *Client {
	t.Helper()
	cfg.Endpoints = []string{s.url}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// waitReadable waits until the idle connection, if there is one, has something to
// read, or its end, which takes a moment after the member has sent it.
func (p *pool) waitReadable(t testing.TB) {
	t.Helper()
	p.mu.Lock()
	idle := slices.Clone(p.idle)
	p.mu.Unlock()
	for _, c := range idle {
		c.arm(time.Now().Add(10 * time.Second))
		if err := c.probe.raw.Read(func(fd uintptr) bool {
			_, _, err := syscall.Recvfrom(int(fd), make([]byte, 1), syscall.MSG_PEEK)
			return err != syscall.EAGAIN
		}); err != nil {
			t.Fatal(err)
		}
	}
}

// valueAnswer is a whole answer to a Get, and to a Put as well.
const valueAnswer = "HTTP/1.1 200 OK\r\nETag: \"7\"\r\nContent-Length: 1\r\n\r\nv"

// answering serves every request with text.
func answering(text string) func(int, net.Conn, func() (*http.Request, bool)) {
	return func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
		for {
			if _, ok := next(); !ok {
				return
			}
			_, _ = io.WriteString(conn, text)
		}
	}
}

// TestOwnConnections: everyday calls to plain http go over connections of our own,
// the rest over net/http.
func TestOwnConnections(t *testing.T) {
	own := func(cfg Config) bool {
		c, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		return c.endpoints[0].pool != nil
	}
	for endpoint, want := range map[string]bool{
		"http://127.0.0.1:1": true, "http://localhost": true, "http://[::1]:2": true,
		"https://127.0.0.1:1": false, "http://[fe80::1%25lo]:1": false, "http://käse:1": false,
	} {
		if got := own(Config{Endpoints: []string{endpoint}}); got != want {
			t.Errorf("%s: %v", endpoint, got)
		}
	}
	if own(Config{Endpoints: []string{"http://127.0.0.1:1"}, HTTPClient: &http.Client{}}) {
		t.Error("an HTTPClient was passed over")
	}

	s := newWireServer(t, answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"))
	c := s.client(t, Config{})
	p := c.endpoints[0].pool
	for _, tt := range []struct {
		name string
		call func() error
		own  bool
	}{
		{"get", func() error { return errOf(c.Get(t.Context(), "k", nil)) }, true},
		{"put", func() error { return errOf(c.Put(t.Context(), "k", make([]byte, 64<<10), nil)) }, true},
		{"delete", func() error { return errOf(c.Delete(t.Context(), "k", nil)) }, true},
		{"list", func() error { return errOf(c.List(t.Context(), nil)) }, true},
		{"txn", func() error { return errOf(c.Txn(t.Context(), Txn{})) }, true},
		{"grant", func() error { return errOf(c.GrantLease(t.Context(), time.Second, nil)) }, true},
		{"keep alive", func() error { return errOf(c.KeepAliveOnce(t.Context(), 7)) }, true},
		{"long value", func() error { return errOf(c.Put(t.Context(), "k", make([]byte, 64<<10+1), nil)) }, false},
		{"long poll", func() error { return errOf(c.Get(t.Context(), "k", &GetOptions{Wait: time.Second})) }, false},
		{"status", func() error { return errOf(c.Status(t.Context(), "")) }, false},
		{"verify", func() error { return errOf(c.Verify(t.Context())) }, false},
	} {
		c.Close()
		if err := tt.call(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := len(p.idle) == 1; got != tt.own {
			t.Errorf("%s: over a connection of our own: %v", tt.name, got)
		}
	}
}

// TestProxy: a proxy of the environment is asked, by net/http. That looks at the
// environment once in a process, so it takes one more.
func TestProxy(t *testing.T) {
	if os.Getenv("KVD_TEST_PROXY") != "" {
		c, err := New(Config{Endpoints: []string{"http://kvd.example:1"}})
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if got, err := c.Get(t.Context(), "k", nil); err != nil || string(got.Value) != "by proxy" {
			t.Fatalf("got %+v, %v", got, err)
		}
		return
	}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Host != "kvd.example:1" {
			t.Errorf("the proxy was asked for %s", r.URL)
		}
		io.WriteString(w, "by proxy")
	}))
	defer proxy.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestProxy$", "-test.count=1")
	cmd.Env = append(os.Environ(), "KVD_TEST_PROXY=1", "HTTP_PROXY="+proxy.URL, "http_proxy="+proxy.URL, "NO_PROXY=", "no_proxy=")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestIdleClosed: connections that the member closed while they were idle are
// nobody's trouble, also where nothing may be sent twice.
func TestIdleClosed(t *testing.T) {
	s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
		if _, ok := next(); ok {
			_, _ = io.WriteString(conn, valueAnswer)
		}
	})
	for _, cfg := range []Config{{}, {NoIdempotencyKeys: true}} {
		c := s.client(t, cfg)
		p, before := c.endpoints[0].pool, s.connections()
		for range 20 {
			if _, err := c.Put(t.Context(), "k", nil, nil); err != nil {
				t.Fatal(err)
			}
			p.waitReadable(t)
			if _, err := c.Get(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			p.waitReadable(t)
		}
		if n := s.connections() - before; n != 40 {
			t.Errorf("%d connections", n)
		}
	}
}

// TestClosedUnderRequest: a member that closes an old connection when the request is
// on its way may not have seen it. What may be sent again is, at once and over a new
// connection; what may not is of unknown outcome.
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
		cfg  Config
		call func(c *Client) error
		sent int // with the first, which makes the connection
	}{
		{"get", Config{}, func(c *Client) error { return errOf(c.Get(t.Context(), "k", nil)) }, 3},
		{"put", Config{}, func(c *Client) error { return errOf(c.Put(t.Context(), "k", nil, nil)) }, 3},
		{"without a key", Config{NoIdempotencyKeys: true}, func(c *Client) error { return errOf(c.Put(t.Context(), "k", nil, nil)) }, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			mu.Lock()
			keys = nil
			mu.Unlock()
			c := s.client(t, tt.cfg)
			if _, err := c.Get(t.Context(), "k", nil); err != nil {
				t.Fatal(err)
			}
			begun := time.Now()
			err := tt.call(c)
			mu.Lock()
			defer mu.Unlock()
			if len(keys) != tt.sent {
				t.Errorf("sent %d times", len(keys))
			}
			if tt.sent == 2 {
				if e, ok := errors.AsType[*Error](err); !ok || e.Outcome != OutcomeUnknown || e.Attempts != 1 {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || keys[1] != keys[2] || time.Since(begun) > time.Second {
				t.Errorf("got %v after %v, keys %q", err, time.Since(begun), keys)
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

// TestUnasked: what a member sends without being asked answers no request.
func TestUnasked(t *testing.T) {
	const late = "HTTP/1.1 408 Request Timeout\r\nContent-Length: 0\r\n\r\n"
	for name, together := range map[string]bool{"behind an answer": true, "while idle": false} {
		t.Run(name, func(t *testing.T) {
			s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
				for {
					if _, ok := next(); !ok {
						return
					}
					if together {
						_, _ = io.WriteString(conn, valueAnswer+late)
					} else {
						_, _ = io.WriteString(conn, valueAnswer)
						_, _ = io.WriteString(conn, late)
					}
				}
			})
			c := s.client(t, Config{})
			for range 20 {
				if got, err := c.Get(t.Context(), "k", nil); err != nil || string(got.Value) != "v" {
					t.Fatalf("got %+v, %v", got, err)
				}
				c.endpoints[0].pool.waitReadable(t)
			}
			if n := s.connections(); n != 20 {
				t.Errorf("%d connections", n)
			}
		})
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

// TestPool: the connection used last is the next, no more than maxIdle are kept, and
// none for long.
func TestPool(t *testing.T) {
	s := newWireServer(t, answering(valueAnswer))
	c := s.client(t, Config{})
	p := c.endpoints[0].pool
	deadline := time.Now().Add(10 * time.Second)
	var all []*conn
	for range maxIdle + 3 {
		n, err := p.get(t.Context(), deadline, false)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, n)
	}
	for _, n := range all {
		p.put(n)
	}
	if len(p.idle) != maxIdle {
		t.Errorf("%d are idle", len(p.idle))
	}
	if _, err := all[maxIdle].net.Write(nil); !errors.Is(err, net.ErrClosed) {
		t.Errorf("one too many: %v", err)
	}
	if n, err := p.get(t.Context(), deadline, false); err != nil || n != all[maxIdle-1] {
		t.Errorf("got another one than was put back last, %v", err)
	}
	all[0].since = time.Now().Add(-p.keep - time.Second)
	p.expire()
	if slices.Contains(p.idle, all[0]) || len(p.idle) != maxIdle-2 || !p.armed {
		t.Errorf("%d are left", len(p.idle))
	}
	c.Close()
	p.put(all[maxIdle-1]) // in use at Close
	if len(p.idle) != 0 || p.armed {
		t.Errorf("%d are left after Close", len(p.idle))
	}
}

// TestIdleTime: idle connections are closed without another call.
func TestIdleTime(t *testing.T) {
	gone := make(chan struct{})
	s := newWireServer(t, func(_ int, conn net.Conn, next func() (*http.Request, bool)) {
		next()
		_, _ = io.WriteString(conn, valueAnswer)
		next()
		close(gone)
	})
	c := s.client(t, Config{})
	p := c.endpoints[0].pool
	p.keep = 20 * time.Millisecond
	if _, err := c.Get(t.Context(), "k", nil); err != nil {
		t.Fatal(err)
	}
	<-gone
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) != 0 || p.armed {
		t.Errorf("%d are left", len(p.idle))
	}
}
