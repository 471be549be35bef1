//go:build unix && !race

// The race detector allocates for itself, so these counts hold without it: `make test`
// runs TestAllocations of all packages once more, without -race.

package client

import (
	"context"
	"net"
	"sync"
	"testing"
)

const (
	gotAnswer = "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nEtag: \"123456\"\r\nKvd-Revision: 123457\r\n" +
		"Date: Sat, 28 Nov 2026 20:00:00 GMT\r\nContent-Length: 128\r\n\r\n"
	putAnswer = "HTTP/1.1 204 No Content\r\nEtag: \"123456\"\r\nKvd-Revision: 123456\r\nDate: Sat, 28 Nov 2026 20:00:00 GMT\r\n\r\n"
)

// parrot gives every request the same answer, and allocates nothing for it.
func parrot(t testing.TB, answer []byte) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	t.Cleanup(func() { l.Close(); wg.Wait() })
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer conn.Close()
				buf := make([]byte, 8<<10) // a request comes at once
				for {
					if _, err := conn.Read(buf); err != nil {
						return
					}
					if _, err := conn.Write(answer); err != nil {
						return
					}
				}
			})
		}
	})
	return "http://" + l.Addr().String()
}

// caller returns what gets a key, or puts it, over and over.
func caller(t testing.TB, cfg Config, method string) func(ctx context.Context) error {
	answer := gotAnswer + string(make([]byte, 128))
	if method == "PUT" {
		answer = putAnswer
	}
	cfg.Endpoints = []string{parrot(t, []byte(answer))}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	value := make([]byte, 128)
	return func(ctx context.Context) error {
		if method == "PUT" {
			_, err := c.Put(ctx, "0123456789abcdef0123456789abcdef", value, nil)
			return err
		}
		_, err := c.Get(ctx, "0123456789abcdef0123456789abcdef", nil)
		return err
	}
}

// TestAllocations counts what a call costs in all, under a context that can be
// canceled, and under one that cannot.
func TestAllocations(t *testing.T) {
	for _, tt := range []struct {
		method     string
		background float64
		cancelable float64
	}{
		{"GET", 7, 9},
		{"PUT", 9, 11},
	} {
		call := caller(t, Config{}, tt.method)
		count := func(ctx context.Context) float64 {
			return testing.AllocsPerRun(200, func() {
				if err := call(ctx); err != nil {
					t.Fatal(err)
				}
			})
		}
		a, b := count(context.Background()), count(t.Context())
		if a > tt.background || b > tt.cancelable {
			t.Errorf("%s: %v allocations, %v with a context that ends; want %v and %v", tt.method, a, b, tt.background, tt.cancelable)
		}
	}
}

// BenchmarkCall is a call over a loopback connection, and over net/http beside it.
func BenchmarkCall(b *testing.B) {
	for _, method := range []string{"GET", "PUT"} {
		for name, cfg := range map[string]Config{"own": {}, "net-http": {HTTPClient: ownHTTPClient()}} {
			b.Run(method+"/"+name, func(b *testing.B) {
				call := caller(b, cfg, method)
				if cfg.HTTPClient != nil {
					b.Cleanup(cfg.HTTPClient.CloseIdleConnections)
				}
				b.ReportAllocs()
				for b.Loop() {
					if err := call(b.Context()); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// repeat is an answer over and over.
type repeat struct {
	answer []byte
	rest   []byte
}

func (r *repeat) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		r.rest = r.answer
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func BenchmarkReadAnswer(b *testing.B) {
	r := newReader(&repeat{answer: []byte(gotAnswer + string(make([]byte, 128)))})
	b.ReportAllocs()
	for b.Loop() {
		if a, err := r.answer("GET", 1<<20); err != nil || a.revision != 123457 {
			b.Fatal(err)
		}
	}
}
