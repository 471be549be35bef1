package httpapi

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"
)

var goVersion = runtime.Version()

func hex(b byte) string { return fmt.Sprintf("%02x", b) }

func withLocalAddr(ctx context.Context, ip string) context.Context {
	return context.WithValue(ctx, http.LocalAddrContextKey, &net.TCPAddr{IP: net.ParseIP(ip), Port: 12380})
}

func TestHeaderLimits(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	request := func(size int) string {
		const head = "GET /livez HTTP/1.1\r\nHost: localhost\r\nX-Pad: "
		return head + strings.Repeat("x", size-len(head)-4) + "\r\n\r\n"
	}
	for size, status := range map[int]int{16 << 10: 200, 16<<10 + 1: 431, 20 << 10: 431} {
		c := dial(t, addr)
		c.send(request(size))
		if resp := c.receive("GET"); resp.StatusCode != status {
			t.Errorf("%d bytes of headers: got %d, want %d", size, resp.StatusCode, status)
		}
	}
	c := dial(t, addr)
	go io.WriteString(c.Conn, request(1<<20)) // the server stops reading: writing may fail
	if resp := c.receive("GET"); resp.StatusCode != 431 {
		t.Errorf("1 MiB of headers: got %d", resp.StatusCode)
	}
}

func TestSlowHeadersAreClosed(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{HeaderTimeout: 100 * time.Millisecond})
	c := dial(t, addr)
	start := time.Now()
	c.send("GET /livez HTTP/1.1\r\nHost: local")
	c.wantClosed()
	if took := time.Since(start); took > 5*time.Second {
		t.Errorf("closed after %v", took)
	}
}

func TestIdleConnectionsAreClosed(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{IdleTimeout: 50 * time.Millisecond})
	c := dial(t, addr)
	c.send("GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
	c.receive("GET")
	c.wantClosed()
}

func TestServerDefaults(t *testing.T) {
	srv := newServer(http.NotFoundHandler(), ServerConfig{})
	if srv.ReadHeaderTimeout != 5*time.Second || srv.IdleTimeout != time.Minute || srv.ReadTimeout == 0 || srv.WriteTimeout <= defaultTimeout+srv.ReadTimeout || srv.MaxHeaderBytes+headerSlop != 16<<10 {
		t.Errorf("got %+v", srv)
	}
}

func TestNewRefusesNonsense(t *testing.T) {
	_, err := New(Config{MaxValueBytes: -1, Timeout: time.Hour, MaxWatches: -1})
	for _, want := range []string{"no store", "no cluster", "no membership", "no leadership", "no snapshots", "no verifier", "no guard", "max value", "timeout", "watches"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in: %v", want, err)
		}
	}
}

// TestManyAtOnce gives the race detector and the pool of buffers work to do.
func TestManyAtOnce(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	done := make(chan struct{}, 8)
	for i := range 8 {
		go func() {
			defer func() { done <- struct{}{} }()
			client := &http.Client{Transport: &http.Transport{}}
			defer client.CloseIdleConnections()
			for j := range 50 {
				key, value := fmt.Sprintf("http://%s/v1/kv/%d-%d", addr, i, j%5), strings.Repeat(fmt.Sprint(i), j*j*30)
				req, _ := http.NewRequest("PUT", key, strings.NewReader(value))
				resp, err := client.Do(req)
				if err != nil {
					t.Error(err)
					return
				}
				resp.Body.Close()
				resp, err = client.Get(key)
				if err != nil {
					t.Error(err)
					return
				}
				if got, _ := io.ReadAll(resp.Body); string(got) != value {
					t.Errorf("%s: got %d bytes, want %d", key, len(got), len(value))
				}
				resp.Body.Close()
			}
		}()
	}
	for range 8 {
		<-done
	}
}
