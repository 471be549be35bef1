//go:build unix

package client

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"net/http"
	"slices"
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
