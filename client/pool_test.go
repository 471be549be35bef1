//go:build unix

package client

import (
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"slices"
	"testing"
	"time"
)

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
