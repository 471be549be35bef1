package http1

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// held is a handler that waits to be let go, or for the end of its context.
type held struct{ began, free chan struct{} }

func newHeld() *held { return &held{began: make(chan struct{}, 16), free: make(chan struct{})} }

func (h *held) serve(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/hold" || r.URL.Path == longPath {
		h.began <- struct{}{}
		select {
		case <-h.free:
		case <-r.Context().Done():
			return
		}
	}
	echo(w, r)
}

const hold = "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n"

// shutdown begins a Shutdown and returns what it will have come to.
func shutdown(t *testing.T, f *fixture, limit time.Duration) <-chan error {
	done := make(chan error, 1)
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	go func() { done <- f.Shutdown(ctx) }()
	until(t, "Shutdown begins", f.stopping.Load)
	return done
}

func TestShutdownEndsIdleConnectionsAtOnce(t *testing.T) {
	f := serve(t, echo)
	var idles []*bufio.Reader
	for range 3 {
		c := dial(t, f.addr)
		send(t, c, getA)
		idles = append(idles, bufio.NewReader(c))
		receive(t, idles[len(idles)-1])
	}
	handed := dial(t, f.addr)
	send(t, handed, long)
	idles = append(idles, bufio.NewReader(handed))
	receive(t, idles[3])
	silent := dial(t, f.addr)
	until(t, "all are accepted", func() bool { _, ok := f.state(silent); return ok })

	began := time.Now()
	done := shutdown(t, f, time.Minute)
	for _, br := range idles {
		wantEnd(t, br)
	}
	wantEnd(t, silent)
	if took := time.Since(began); took < SilentPatience {
		t.Errorf("one that has sent nothing was ended after %v", took)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	if c, err := net.Dial("tcp", f.addr); err == nil {
		_ = c.Close()
		t.Error("the listener is still there")
	}
}

// TestShutdownAnswers has a request under way, one on a connection opened ahead of need,
// and one that net/http must serve.
func TestShutdownAnswers(t *testing.T) {
	h := newHeld()
	f := serve(t, h.serve)
	f.patience = time.Minute // a busy machine is no reason to lose them
	under, ahead, handed := dial(t, f.addr), dial(t, f.addr), dial(t, f.addr)
	send(t, under, hold+getA)
	<-h.began
	for _, c := range []net.Conn{ahead, handed} {
		until(t, "it is accepted", func() bool { _, ok := f.state(c); return ok })
	}
	done := shutdown(t, f, time.Minute)
	send(t, ahead, getA)
	send(t, handed, long)
	<-h.began
	select {
	case err := <-done:
		t.Fatalf("Shutdown returned with requests under way: %v", err)
	default:
	}
	close(h.free)
	for _, c := range []net.Conn{under, ahead, handed} {
		br := bufio.NewReader(c)
		if resp := receive(t, br); resp.StatusCode != 200 || !resp.Close {
			t.Errorf("got %s, close=%v", resp.Status, resp.Close)
		}
		wantEnd(t, br) // the request behind it is not answered
		_ = c.Close()
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestShutdownIsGivenUp when its context ends; Close then cuts, and ends the contexts of
// the handlers that Serve waits for.
func TestShutdownIsGivenUp(t *testing.T) {
	h := newHeld()
	f := serve(t, h.serve)
	own, handed := dial(t, f.addr), dial(t, f.addr)
	send(t, own, hold)
	send(t, handed, long)
	<-h.began
	<-h.began
	if err := <-shutdown(t, f, time.Millisecond); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	for _, c := range []net.Conn{own, handed} {
		if n, _ := io.Copy(io.Discard, c); n != 0 {
			t.Errorf("%d bytes of an answer that was cut", n)
		}
	}
	// That Serve returns http.ErrServerClosed, the fixture checks.
}

// TestCloseCuts whatever a connection is doing.
func TestCloseCuts(t *testing.T) {
	h := newHeld()
	f := serve(t, h.serve)
	var conns []net.Conn
	for _, raw := range []string{"", getA, hold, long, "GET / HTTP", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf"} {
		c := dial(t, f.addr)
		conns = append(conns, c)
		send(t, c, raw)
		switch raw {
		case "":
			until(t, "it is accepted", func() bool { _, ok := f.state(c); return ok })
		case getA:
			receive(t, bufio.NewReader(c))
		case hold, long:
			<-h.began
		default:
			until(t, "it is read", func() bool { return f.noticed(c) })
		}
	}
	for range 2 {
		if err := f.Close(); err != nil {
			t.Error(err)
		}
	}
	for i, c := range conns {
		// Cut, with or without a reset; nobody is told anything. What was half a
		// request may get net/http's 400.
		answer, err := io.ReadAll(c)
		if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() || len(answer) > 0 && !strings.HasPrefix(string(answer), "HTTP/1.1 400") {
			t.Errorf("connection %d: %q, %v", i, answer, err)
		}
	}
}

// TestServeWhenClosed covers the order that a start that failed has.
func TestServeWhenClosed(t *testing.T) {
	for name, end := range map[string]func(*Server) error{
		"Close":    (*Server).Close,
		"Shutdown": func(s *Server) error { return s.Shutdown(context.Background()) },
	} {
		srv := New(&http.Server{Handler: http.NotFoundHandler()}, func(*http.Request) bool { return true })
		if err := end(srv); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		if err := srv.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("%s: got %v", name, err)
		}
		if _, err := ln.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("%s: the listener is open: %v", name, err)
		}
	}
}

// TestListenerFails: Serve says so at once, and Close ends what is left.
func TestListenerFails(t *testing.T) {
	srv := New(&http.Server{Handler: http.HandlerFunc(echo)}, func(*http.Request) bool { return true })
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	c := dial(t, ln.Addr().String())
	br := bufio.NewReader(c)
	send(t, c, getA)
	receive(t, br)
	_ = ln.Close()
	if err := <-served; !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v", err)
	}
	send(t, c, getA)
	receive(t, br)
	if err := srv.Close(); err != nil {
		t.Error(err)
	}
	wantEnd(t, br)
}

// TestManyComeAndGo gives the race detector connections that begin, are handed over and
// end while the server shuts down.
func TestManyComeAndGo(t *testing.T) {
	f := serve(t, echo)
	stopped := make(chan struct{})
	ended := make(chan struct{})
	const clients = 8
	for i := range clients {
		go func() {
			defer func() { ended <- struct{}{} }()
			for n := i; ; n++ {
				c, err := net.Dial("tcp", f.addr)
				if err != nil {
					return
				}
				_ = c.SetDeadline(time.Now().Add(30 * time.Second))
				raw := []string{getA, putB + long, "", getA + "GET", putOf(70_000)}[n%5]
				_, _ = io.WriteString(c, raw)
				if n%2 == 0 && raw != "" {
					_, _ = bufio.NewReader(c).ReadByte()
				}
				_ = c.Close()
				if n == 40 {
					select {
					case stopped <- struct{}{}:
					default:
					}
				}
			}
		}()
	}
	<-stopped
	if err := <-shutdown(t, f, time.Minute); err != nil {
		t.Error(err)
	}
	for range clients {
		<-ended
	}
}
