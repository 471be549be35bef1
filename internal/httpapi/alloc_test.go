//go:build !race

// The race detector allocates for itself, so these counts hold without it: `make test`
// runs TestAllocations of all packages once more, without -race.

package httpapi

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"
)

// TestAllocations counts what a request costs, from its first byte to the last of its
// answer where it goes over a connection. Raise nothing here without a reason.
func TestAllocations(t *testing.T) {
	const key = "/v1/kv/0123456789abcdef0123456789abcdef"
	put := func(f *fixture) {
		f.h.ServeHTTP(httptest.NewRecorder(), benchRequest("PUT", bytes.NewReader(value128)))
	}
	handler := func(f *fixture, method string, body []byte) func() {
		reader := bytes.NewReader(nil)
		r, w := benchRequest(method, reader), &sink{header: make(http.Header)}
		r.ContentLength = int64(len(body))
		return func() {
			reader.Reset(body)
			w.reset()
			f.h.ServeHTTP(w, r)
		}
	}
	wire := func(f *fixture, raw string) func() {
		c := dial(t, f.serve(ServerConfig{}))
		if err := c.SetDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		request, buf := []byte(raw), make([]byte, 4096)
		return func() {
			if _, err := c.Write(request); err != nil {
				t.Fatal(err)
			}
			if n, err := c.Read(buf); err != nil || n < 100 || buf[9] != '2' && buf[9] != '4' {
				t.Fatalf("%q, %v", buf[:n], err)
			}
		}
	}
	alone := newFixture(t, func(c *Config) { c.Store = &nullStore{} })
	f := newFixture(t)
	put(f)
	for _, row := range []struct {
		name string
		run  func()
		most float64
	}{
		{"GET", handler(f, "GET", nil), 2},
		{"PUT without a store", handler(alone, "PUT", value128), 3},
		{"GET, over a connection", wire(f, "GET "+key+" HTTP/1.1\r\nHost: 127.0.0.1:12380\r\n\r\n"), 3},
		{"PUT without a store, over a connection", wire(alone, "PUT "+key+" HTTP/1.1\r\nHost: 127.0.0.1:12380\r\nContent-Length: 128\r\n\r\n"+string(value128)), 4},
	} {
		if n := testing.AllocsPerRun(500, row.run); n > row.most {
			t.Errorf("%s: %v allocations, was %v", row.name, n, row.most)
		} else {
			t.Logf("%s: %v", row.name, n)
		}
	}
}
