package httpapi

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// sink is a ResponseWriter that costs next to nothing.
type sink struct {
	header http.Header
	status int
	n      int
}

func (s *sink) Header() http.Header         { return s.header }
func (s *sink) WriteHeader(status int)      { s.status = status }
func (s *sink) Write(b []byte) (int, error) { s.n += len(b); return len(b), nil }
func (s *sink) reset()                      { clear(s.header); s.status, s.n = 0, 0 }

var value128 = bytes.Repeat([]byte("v"), 128)

func benchRequest(method string, body io.Reader) *http.Request {
	r := httptest.NewRequest(method, "/v1/kv/0123456789abcdef0123456789abcdef", body)
	r.Host = "127.0.0.1:12380"
	r.Header["Accept"] = []string{"*/*"}
	return r
}

func BenchmarkGet(b *testing.B) {
	f := newFixture(b)
	f.h.ServeHTTP(httptest.NewRecorder(), benchRequest("PUT", bytes.NewReader(value128)))
	r, w := benchRequest("GET", nil), &sink{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		w.reset()
		f.h.ServeHTTP(w, r)
		if w.status != 200 || w.n != 128 {
			b.Fatal(w.status)
		}
	}
}

// BenchmarkPut has the store's share in it: encoding, and applying a batch of
// one.
func BenchmarkPut(b *testing.B) {
	f := newFixture(b)
	body := bytes.NewReader(value128)
	r, w := benchRequest("PUT", body), &sink{header: make(http.Header)}
	r.ContentLength = 128
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(value128)
		w.reset()
		f.h.ServeHTTP(w, r)
		if w.status != 201 && w.status != 204 {
			b.Fatal(w.status)
		}
	}
}

// nullStore is a Store that does nothing, to see the API's own share.
type nullStore struct {
	Store
	item kvstore.Item
}

func (s *nullStore) Get(context.Context, []byte, kvstore.GetOptions) (kvstore.GetResult, error) {
	return kvstore.GetResult{Item: s.item, Found: true, Revision: 12345}, nil
}

func (s *nullStore) Put(context.Context, []byte, []byte, kvstore.PutOptions) (kvstore.Result, error) {
	return kvstore.Result{Code: kvstore.Replaced, Revision: 12345, ModRevision: 12345}, nil
}

func (s *nullStore) Delete(context.Context, []byte, kvstore.DeleteOptions) (kvstore.Result, error) {
	return kvstore.Result{Code: kvstore.Deleted, Revision: 12345}, nil
}

func BenchmarkPutAlone(b *testing.B) {
	f := newFixture(b, func(c *Config) { c.Store = &nullStore{} })
	body := bytes.NewReader(value128)
	r, w := benchRequest("PUT", body), &sink{header: make(http.Header)}
	r.ContentLength = 128
	b.ReportAllocs()
	for b.Loop() {
		body.Reset(value128)
		w.reset()
		f.h.ServeHTTP(w, r)
	}
}

func BenchmarkGetNotFound(b *testing.B) {
	f := newFixture(b)
	r, w := benchRequest("GET", nil), &sink{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		w.reset()
		f.h.ServeHTTP(w, r)
	}
}

// BenchmarkDeadline is why requests share contexts.
func BenchmarkDeadline(b *testing.B) {
	b.Run("shared", func(b *testing.B) {
		var d deadlines
		const timeout = 5 * time.Second
		b.ReportAllocs()
		for b.Loop() {
			_ = d.context(timeout).Done()
		}
	})
	b.Run("own", func(b *testing.B) {
		parent, cancel := context.WithCancel(context.Background())
		defer cancel()
		b.ReportAllocs()
		for b.Loop() {
			ctx, cancel := context.WithTimeout(parent, 5*time.Second)
			_ = ctx.Done()
			cancel()
		}
	})
}

// BenchmarkWire serves over a loopback connection, beside a bare handler of
// net/http that answers as many bytes: the ratio of both is what the API costs.
func BenchmarkWire(b *testing.B) {
	type server interface {
		Serve(net.Listener) error
		Close() error
	}
	run := func(b *testing.B, srv server, method string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			b.Fatal(err)
		}
		done := make(chan struct{})
		go func() { defer close(done); _ = srv.Serve(ln) }()
		defer func() { _ = srv.Close(); <-done }()
		c := dial(b, ln.Addr().String())
		if err := c.SetDeadline(time.Time{}); err != nil {
			b.Fatal(err)
		}
		head := method + " /v1/kv/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1:12380\r\n"
		if method == "PUT" {
			head += "Content-Length: 128\r\n\r\n" + string(value128)
		} else {
			head += "\r\n"
		}
		request, buf := []byte(head), make([]byte, 4096)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
			// One answer is one segment here: small, and written at once.
			if n, err := c.Read(buf); err != nil || n < 20 {
				b.Fatal(n, err)
			}
		}
	}
	bare := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.Write(value128) })
	b.Run("bare", func(b *testing.B) { run(b, newServer(bare, ServerConfig{}), "GET") })
	b.Run("get", func(b *testing.B) {
		f := newFixture(b)
		f.h.ServeHTTP(httptest.NewRecorder(), benchRequest("PUT", bytes.NewReader(value128)))
		run(b, NewServer(f.h, ServerConfig{}), "GET")
	})
	b.Run("put", func(b *testing.B) { run(b, NewServer(newFixture(b).h, ServerConfig{}), "PUT") })
}
