package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"
)

// TestSilentPeers is about strangers who connect to the peers' port and say
// nothing, or half of something: each holds a goroutine and a descriptor for
// as long as it is let. 500 of them are cut off in time, all of them, while
// peers are served.
func TestSilentPeers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	handler := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "served") })
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- serveUntil(ctx, newPeerServer(handler, log.New(io.Discard, "", 0)), ln, 0) }()
	defer func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	}()

	before := runtime.NumGoroutine()
	begin := time.Now()
	var conns []net.Conn
	for i := range 500 {
		conn, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		if i%2 == 1 {
			if _, err := fmt.Fprint(conn, "POST /raft/v1/stream HTTP/1.1\r\nHost: loc"); err != nil {
				t.Fatal(err)
			}
		}
		conns = append(conns, conn)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: headerTimeout}
	resp, err := client.Get("http://" + ln.Addr().String())
	if err != nil {
		t.Fatalf("a peer among the silent: %v", err)
	}
	resp.Body.Close()

	var wg sync.WaitGroup
	for _, conn := range conns {
		_ = conn.SetReadDeadline(begin.Add(10 * time.Second))
		wg.Go(func() {
			if _, err := io.Copy(io.Discard, conn); errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("a silent connection is still open after %v", time.Since(begin))
			}
		})
	}
	wg.Wait()
	// What is left of them ends by itself, at once.
	for end := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before+20 && time.Now().Before(end); {
		runtime.Gosched()
	}
	if after := runtime.NumGoroutine(); after > before+20 {
		t.Errorf("%d goroutines, %d before", after, before)
	}
}
