package http1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// server is a Server, or net/http's, on a real listener.
type server interface {
	Serve(net.Listener) error
	Close() error
}

// longPath is what the tests' servers leave to net/http.
const longPath = "/long"

// fixture is a Server in front of net/http.
type fixture struct {
	*Server
	addr string
	log  lockedBuffer

	served atomic.Int32 // requests that net/http had no part in
	mu     sync.Mutex
	handed map[string]bool // by the client's address
}

// serve starts a Server with the handler.
func serve(t testing.TB, h http.HandlerFunc, change ...func(*http.Server)) *fixture {
	t.Helper()
	f := &fixture{handed: make(map[string]bool)}
	fallback := &http.Server{ErrorLog: log.New(&f.log, "", 0)}
	fallback.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, own := w.(*answer); own {
			f.served.Add(1)
		}
		h(w, r)
	})
	fallback.ConnState = func(c net.Conn, state http.ConnState) {
		if state == http.StateNew {
			f.mu.Lock()
			defer f.mu.Unlock()
			f.handed[c.RemoteAddr().String()] = true
		}
	}
	for _, c := range change {
		c(fallback)
	}
	f.Server = New(fallback, func(r *http.Request) bool { return r.URL.Path != longPath })
	f.addr = start(t, f.Server)
	return f
}

// servePlain starts net/http alone.
func servePlain(t testing.TB, h http.HandlerFunc, change ...func(*http.Server)) string {
	t.Helper()
	srv := &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	for _, c := range change {
		c(srv)
	}
	return start(t, srv)
}

func start(t testing.TB, srv server) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	t.Cleanup(func() {
		_ = srv.Close()
		if err := <-served; !errors.Is(err, http.ErrServerClosed) {
			t.Errorf("Serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// state is what the connection of a client is doing; ok: the Server has it.
func (f *fixture) state(c net.Conn) (state int32, ok bool) {
	f.Server.mu.Lock()
	defer f.Server.mu.Unlock()
	for k := range f.conns {
		if k.tcp.RemoteAddr().String() == c.LocalAddr().String() {
			return k.state.Load(), true
		}
	}
	return 0, false
}

// noticed tells whether the server has read what a client sent first.
func (f *fixture) noticed(c net.Conn) bool {
	if state, ok := f.state(c); ok && state != fresh {
		return true
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.handed[c.LocalAddr().String()]
}

// until waits for what other goroutines are about to do.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	for late := time.Now().Add(30 * time.Second); !done(); runtime.Gosched() {
		if time.Now().After(late) {
			t.Fatalf("never: %s", what)
		}
	}
}

func dial(t testing.TB, addr string) *net.TCPConn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	if err := c.SetDeadline(time.Now().Add(60 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func send(t testing.TB, c net.Conn, text string) {
	t.Helper()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
}

// receive reads one answer.
func receive(t testing.TB, br *bufio.Reader) *http.Response {
	t.Helper()
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp
}

// wantEnd checks that a connection ends, with nothing more on it.
func wantEnd(t testing.TB, r io.Reader) {
	t.Helper()
	n, err := io.Copy(io.Discard, r)
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		t.Error("the connection was not ended")
	}
	if n > 0 {
		t.Errorf("%d bytes more", n)
	}
}

// talk sends what it is given, and then that there is no more, and tells all that is
// answered until the connection ends.
func talk(t testing.TB, addr, raw string) string {
	t.Helper()
	c := dial(t, addr)
	return finish(t, c, raw)
}

func finish(t testing.TB, c *net.TCPConn, raw string) string {
	t.Helper()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.WriteString(c, raw) // the server may have had enough
		_ = c.CloseWrite()
	}()
	defer func() { _ = c.Close(); <-sent }()
	return transcript(c, raw)
}

// transcript reads answers to their end. All are read as what they answer: a HEAD's has
// no body.
func transcript(r io.Reader, raw string) string {
	var b strings.Builder
	br := bufio.NewReader(r)
	heads := strings.HasPrefix(raw, "HEAD ")
	for {
		if _, err := br.Peek(1); err != nil {
			return b.String()
		}
		req := &http.Request{Method: http.MethodGet}
		if heads {
			req.Method, heads = http.MethodHead, false
		}
		resp, err := http.ReadResponse(br, req)
		if err != nil {
			fmt.Fprintf(&b, "no answer: %v\n", err)
			return b.String()
		}
		body, err := io.ReadAll(resp.Body)
		resp.Header.Del("Date")
		fmt.Fprintf(&b, "%s %s close=%v length=%d %v\n", resp.Proto, resp.Status, resp.Close, resp.ContentLength, resp.TransferEncoding)
		for _, name := range slices.Sorted(maps.Keys(resp.Header)) {
			fmt.Fprintf(&b, "  %s: %q\n", name, resp.Header[name])
		}
		if len(body) > 1000 {
			body = fmt.Appendf(nil, "%d bytes, %x", len(body), sum(body))
		}
		fmt.Fprintf(&b, "  %q, %v\n", body, err)
	}
}

// echo answers with all that it sees of a request.
func echo(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	body, err := io.ReadAll(r.Body)
	fmt.Fprintf(&b, "%s %q %+v %q %s\n", r.Method, r.RequestURI, *r.URL, r.Host, r.Proto)
	for _, name := range slices.Sorted(maps.Keys(r.Header)) {
		fmt.Fprintf(&b, "%s=%q ", name, r.Header[name])
	}
	fmt.Fprintf(&b, "\n%d %v %v %v %x %v", r.ContentLength, r.TransferEncoding, r.Close, r.Trailer, sum(body), err)
	w.Header().Set("Content-Type", "text/plain")
	w.Header().Set("Content-Length", fmt.Sprint(b.Len()))
	_, _ = w.Write(b.Bytes())
}

// lockedBuffer may be written while it is read.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
