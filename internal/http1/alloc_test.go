//go:build !race

// The race detector allocates for itself, so these counts hold without it: `make test`
// runs TestAllocations of all packages once more, without -race.

package http1

import (
	"io"
	"net"
	"net/http"
	"testing"
)

var value128 = make([]byte, 128)

// answer128 declares its length as the API does.
func answer128(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header()["Content-Length"] = length128
	_, _ = w.Write(value128)
}

var length128 = []string{"128"}

// exchanger returns what sends a request over one connection and reads the answer, which
// is one segment: small, and written at once.
func exchanger(t testing.TB, h http.HandlerFunc, raw string) func() {
	f := serve(t, h)
	c := dial(t, f.addr)
	request, buf := []byte(raw), make([]byte, 4096)
	return func() {
		if _, err := c.Write(request); err != nil {
			t.Fatal(err)
		}
		if n, err := net.Conn(c).Read(buf); err != nil || n < 100 {
			t.Fatal(n, err)
		}
	}
}

const (
	get128 = "GET /v1/kv/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1:12380\r\n\r\n"
	put128 = "PUT /v1/kv/0123456789abcdef0123456789abcdef HTTP/1.1\r\nHost: 127.0.0.1:12380\r\nContent-Length: 3\r\n\r\nabc"
)

// TestAllocations counts what a request costs in all, from its first byte to the last of
// its answer: its head as a string, once a second a Date.
func TestAllocations(t *testing.T) {
	for name, raw := range map[string]string{"GET": get128, "PUT": put128} {
		if n := testing.AllocsPerRun(500, exchanger(t, answer128, raw)); n > 1 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	r := newRequest(t.Context(), "")
	for _, raw := range []string{get128, put128} {
		b := []byte(raw)
		if n := testing.AllocsPerRun(500, func() { r.parse(b) }); n > 1 {
			t.Errorf("to parse: %v allocations", n)
		}
	}
}

func BenchmarkParse(b *testing.B) {
	r, raw := newRequest(b.Context(), ""), []byte(put128)
	b.ReportAllocs()
	for b.Loop() {
		if r.parse(raw) == 0 {
			b.Fatal("not taken")
		}
	}
}

// BenchmarkExchange is a request over a loopback connection, and net/http beside it.
func BenchmarkExchange(b *testing.B) {
	b.Run("http1", func(b *testing.B) {
		exchange := exchanger(b, answer128, get128)
		b.ReportAllocs()
		for b.Loop() {
			exchange()
		}
	})
	b.Run("net/http", func(b *testing.B) {
		c := dial(b, servePlain(b, answer128))
		request, buf := []byte(get128), make([]byte, 4096)
		b.ReportAllocs()
		for b.Loop() {
			if _, err := c.Write(request); err != nil {
				b.Fatal(err)
			}
			if n, err := net.Conn(c).Read(buf); err != nil || n < 100 {
				b.Fatal(n, err)
			}
		}
	})
}
