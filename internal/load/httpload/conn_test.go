package httpload

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// serve starts a server of net/http with h and returns its address.
func serve(t testing.TB, h http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s.Listener.Addr().String()
}

func open(t testing.TB, addr string) *Conn {
	t.Helper()
	c, err := Open(t.Context(), addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func request(t testing.TB, method, path string, size int, body []byte, headers ...string) *Request {
	t.Helper()
	r, err := NewRequest(method, "kvd.test", path, size, body, headers...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// TestExchange sends requests of all kinds over one connection, to net/http, and
// checks what came there.
func TestExchange(t *testing.T) {
	seen := map[string]string{}
	var conns = map[string]bool{}
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		conns[r.RemoteAddr] = true
		seen[r.Method+" "+r.URL.RequestURI()] = r.Host + " " + r.Header.Get("X-Test") + " " + string(b)
		switch r.URL.Query().Get("as") {
		case "none":
			w.WriteHeader(204)
		case "chunked":
			for range 3 {
				fmt.Fprint(w, strings.Repeat("x", 5000))
				w.(http.Flusher).Flush()
			}
		case "missing":
			http.Error(w, "no such key", 404)
		default:
			fmt.Fprint(w, "value")
		}
	})
	c := open(t, addr)
	for _, e := range []struct {
		r    *Request
		want int64
		seen string
	}{
		{request(t, "GET", "/k/"+Placeholder(3), 3, nil), 5, "kvd.test  "},
		{request(t, "PUT", "/k/"+Placeholder(3)+"?as=none", 3, []byte("body of "+Placeholder(3)), "X-Test: yes"), 0, "kvd.test yes body of abc"},
		{request(t, "GET", "/k/"+Placeholder(3)+"?as=chunked", 3, nil), 15000, "kvd.test  "},
		{request(t, "POST", "/k/"+Placeholder(3)+"?n=2", 3, []byte{}), 5, "kvd.test  "},
	} {
		e.r.SetKey([]byte("abc"))
		n, err := c.Do(e.r, 200, 204)
		if err != nil || n != e.want {
			t.Errorf("%.40q: %d bytes, %v; want %d", e.r.raw, n, err, e.want)
		}
		line, _, _ := strings.Cut(string(e.r.raw), " HTTP")
		if got, ok := seen[line]; !ok || got != e.seen {
			t.Errorf("%s: the server saw %q, want %q", line, got, e.seen)
		}
	}
	var status *StatusError
	if _, err := c.Do(request(t, "GET", "/?as=missing", 0, nil), 200); !errors.As(err, &status) || status.Status != 404 {
		t.Errorf("error %v, want status 404", err)
	}
	if n, err := c.Do(request(t, "GET", "/", 0, nil), 200); n != 5 || err != nil {
		t.Errorf("after an unexpected status: %d bytes, %v", n, err)
	}
	if len(conns) != 1 {
		t.Errorf("%d connections, want 1", len(conns))
	}
}

// TestServerCloses: when the server says that it closes, the next request goes
// over another connection.
func TestServerCloses(t *testing.T) {
	conns := map[string]bool{}
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		conns[r.RemoteAddr] = true
		w.Header().Set("Connection", "close")
		fmt.Fprint(w, "bye")
	})
	c := open(t, addr)
	for range 3 {
		if n, err := c.Do(request(t, "GET", "/", 0, nil), 200); n != 3 || err != nil {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	if len(conns) != 3 {
		t.Errorf("%d connections, want 3", len(conns))
	}
}

// answering is a server that answers each connection's first request with text,
// and closes.
func answering(t *testing.T, text string) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			if _, err := bufio.NewReader(conn).ReadString('\n'); err == nil {
				_, _ = io.WriteString(conn, text)
			}
			conn.Close()
		}
	}()
	return l.Addr().String()
}

// TestMalformed: an answer that is cut, or is none, is an error and no hang.
func TestMalformed(t *testing.T) {
	for _, text := range []string{
		"",
		"HTTP/1.1 2",
		"HTTP/1.1 200 OK\r\n",
		"HTTP/1.0 200 OK\r\n\r\n",
		"SSH-2.0\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n",
		"HTTP/1.1 200 OK\r\nX: " + strings.Repeat("y", readBuffer) + "\r\n\r\n",
	} {
		c := open(t, answering(t, text))
		if n, err := c.Do(request(t, "GET", "/", 0, nil), 200); err == nil {
			t.Errorf("%.60q: %d bytes and no error", text, n)
		}
	}
}

// TestReconnects: the request after a broken connection makes a new one.
func TestReconnects(t *testing.T) {
	c := open(t, answering(t, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"))
	var good, bad int
	for range 6 {
		if _, err := c.Do(request(t, "GET", "/", 0, nil), 200); err == nil {
			good++
		} else {
			bad++
		}
	}
	if good != 3 || bad != 3 { // each connection serves one and breaks at the next
		t.Errorf("%d requests succeeded and %d failed, want 3 and 3", good, bad)
	}
}

// TestContextEnds: a request that is not answered ends with the context.
func TestContextEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	arrived, release := make(chan struct{}), make(chan struct{})
	addr := serve(t, func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
	})
	defer close(release)
	c, err := Open(ctx, addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	go func() {
		<-arrived
		cancel()
	}()
	begin := time.Now()
	if _, err := c.Do(request(t, "GET", "/", 0, nil), 200); err == nil || time.Since(begin) > 10*time.Second {
		t.Errorf("error %v after %v", err, time.Since(begin))
	}
}

// TestKeyPlaces: a key stands wherever its place is, and nowhere else.
func TestKeyPlaces(t *testing.T) {
	r := request(t, "PUT", "/"+Placeholder(2)+"/x"+Placeholder(2), 2, []byte("["+Placeholder(2)+"]"))
	if r.Places() != 3 {
		t.Fatalf("%d places, want 3", r.Places())
	}
	r.SetKey([]byte("ab"))
	r.SetKeyAt(1, []byte("cd"))
	want := "PUT /ab/xcd HTTP/1.1\r\nHost: kvd.test\r\nContent-Length: 4\r\n\r\n[ab]"
	if string(r.raw) != want {
		t.Errorf("request %q, want %q", r.raw, want)
	}
	if _, err := NewRequest("GET", "h", "/", 2, nil); err == nil {
		t.Error("a request without a place for its key was made")
	}
	defer func() {
		if recover() == nil {
			t.Error("a key of another length was taken")
		}
	}()
	r.SetKey([]byte("abc"))
}

// TestStream reads lines that come one by one, two in a chunk, and longer than
// the buffer.
func TestStream(t *testing.T) {
	long := strings.Repeat("z", 3*readBuffer)
	addr := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/plain" {
			fmt.Fprint(w, "no stream")
			return
		}
		if r.URL.Path == "/refused" {
			w.WriteHeader(410)
			return
		}
		for _, part := range []string{"one\n", "two\nthree\n", long + "\n"} {
			fmt.Fprint(w, part)
			w.(http.Flusher).Flush()
		}
	})
	s, err := open(t, addr).Stream(request(t, "GET", "/", 0, nil))
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"one", "two", "three", long} {
		if got, err := s.Next(); err != nil || string(got) != want {
			t.Fatalf("line %.20q, %v; want %.20q", got, err, want)
		}
	}
	if _, err := s.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("error %v at the end, want EOF", err)
	}
	if _, err := open(t, addr).Stream(request(t, "GET", "/plain", 0, nil)); !errors.Is(err, errBroken) {
		t.Errorf("error %v for an answer with a length", err)
	}
	if _, err := open(t, addr).Stream(request(t, "GET", "/refused", 0, nil)); err == nil || err.Error() != "status 410" {
		t.Errorf("error %v, want status 410", err)
	}
}

func BenchmarkDo(b *testing.B) {
	c := open(b, serve(b, func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "value") }))
	r := request(b, "GET", "/k/"+Placeholder(4), 4, nil)
	r.SetKey([]byte("abcd"))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Do(r, 200); err != nil {
			b.Fatal(err)
		}
	}
}
