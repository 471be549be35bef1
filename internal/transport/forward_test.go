package transport

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// echo answers with the request, reversed.
func echo(_ context.Context, from uint64, req []byte) ([]byte, error) {
	if from != 1 {
		return nil, fmt.Errorf("from %d", from)
	}
	if bytes.HasPrefix(req, []byte("fail")) {
		return nil, errors.New(string(req))
	}
	out := make([]byte, len(req))
	for i, b := range req {
		out[len(req)-1-i] = b
	}
	return out, nil
}

func TestForwardManyInFlight(t *testing.T) {
	n1, n2 := pair(t, new(recorder), &recorder{forward: echo}, nil)
	var wg sync.WaitGroup
	for g := range 64 {
		wg.Go(func() {
			for i := range 50 {
				req := fmt.Appendf(nil, "request %d of %d %s", i, g, strings.Repeat("x", g*i))
				want, _ := echo(t.Context(), 1, req)
				got, sent, err := n1.Forward(t.Context(), 2, req)
				if err != nil || !sent || !bytes.Equal(got, want) {
					t.Errorf("request %d of %d: %d bytes, sent %v, %v", i, g, len(got), sent, err)
					return
				}
				clear(req) // the caller's again
			}
		})
	}
	wg.Wait()
	if v := n1.Stats().Violations + n2.Stats().Violations; v != 0 {
		t.Errorf("%d violations", v)
	}
}

func TestForwardErrors(t *testing.T) {
	n1, _ := pair(t, new(recorder), &recorder{forward: echo}, func(c *Config) { c.MaxFrameBytes = 1 << 16 })
	tests := []struct {
		name string
		to   uint64
		req  []byte
		want error
		sent bool
	}{
		{"handler fails", 2, []byte("fail well"), ErrRemote, true},
		{"too large", 2, make([]byte, 1<<16), ErrTooLarge, false},
		{"unknown peer", 3, nil, ErrUnknownPeer, false},
		{"itself", 1, nil, ErrUnknownPeer, false},
	}
	for _, tt := range tests {
		_, sent, err := n1.Forward(t.Context(), tt.to, tt.req)
		if sent != tt.sent || !errors.Is(err, tt.want) {
			t.Errorf("%s: sent %v, %v", tt.name, sent, err)
		}
	}
	if _, sent, err := n1.Forward(t.Context(), 2, make([]byte, 1<<16-maxCallOverhead)); !sent || err != nil {
		t.Errorf("as large as can be: sent %v, %v", sent, err)
	}
}

func TestForwardToDeadPeer(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	url := "http://" + ln.Addr().String()
	ln.Close()
	n1 := startNode(t, 1, nil, nil)
	n1.SetPeers(map[uint64]string{2: url})
	for range 5 {
		_, sent, err := n1.Forward(t.Context(), 2, []byte("x"))
		if sent || !errors.Is(err, ErrUnreachable) {
			t.Errorf("sent %v, %v", sent, err)
		}
	}
}

// TestForwardWhileDialing waits for a connection that is being made, but no
// longer than its caller.
func TestForwardWhileDialing(t *testing.T) {
	ln := listen(t, "127.0.0.1:0") // takes connections and says nothing
	defer ln.Close()
	n1 := startNode(t, 1, nil, nil)
	n1.SetPeers(map[uint64]string{2: "http://" + ln.Addr().String()})
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	_, sent, err := n1.Forward(ctx, 2, []byte("x"))
	if sent || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("sent %v, %v", sent, err)
	}
}

// TestForwardCut loses the peer while a request is being handled.
func TestForwardCut(t *testing.T) {
	began := make(chan struct{})
	ended := make(chan error, 1)
	n1, n2 := pair(t, new(recorder), &recorder{forward: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		close(began)
		<-ctx.Done()
		ended <- ctx.Err()
		return nil, ctx.Err()
	}}, nil)
	result := make(chan error, 1)
	go func() {
		_, sent, err := n1.Forward(context.Background(), 2, []byte("x"))
		if !sent {
			err = fmt.Errorf("sent=false with %w", err)
		}
		result <- err
	}()
	<-began
	n1.mu.Lock()
	p := (*n1.peers.Load())[2]
	n1.mu.Unlock()
	conn, _ := p.forward.get()
	conn.l.Close()
	if err := <-result; !errors.Is(err, ErrLost) || strings.Contains(err.Error(), "sent=false") {
		t.Errorf("got %v, want a lost connection, sent", err)
	}
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("the handler's context ended with %v", err)
	}
	n2.stopRun()
}

// TestForwardShutdown: Run waits for handlers, and their callers learn.
func TestForwardShutdown(t *testing.T) {
	began := make(chan struct{})
	var handling atomic.Int32
	n1, n2 := pair(t, new(recorder), &recorder{forward: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		handling.Add(1)
		defer handling.Add(-1)
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil)
	result := make(chan error, 1)
	go func() {
		_, _, err := n1.Forward(context.Background(), 2, []byte("x"))
		result <- err
	}()
	<-began
	n2.stopRun()
	if handling.Load() != 0 {
		t.Error("Run returned with a handler at work")
	}
	if err := <-result; err == nil {
		t.Error("no error")
	}
}

// TestForwardDeadline travels with the request.
func TestForwardDeadline(t *testing.T) {
	limits := make(chan time.Duration, 1)
	n1, _ := pair(t, new(recorder), &recorder{forward: func(ctx context.Context, _ uint64, _ []byte) ([]byte, error) {
		by, _ := ctx.Deadline()
		limits <- time.Until(by)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, nil)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, sent, err := n1.Forward(ctx, 2, []byte("x"))
	if !sent || err == nil {
		t.Errorf("sent %v, %v", sent, err)
	}
	if left := <-limits; left > 50*time.Millisecond {
		t.Errorf("the handler had %v", left)
	}
}

// TestForwardBound: beyond MaxForwards a connection is not read.
func TestForwardBound(t *testing.T) {
	var began, now atomic.Int32
	held := make(chan struct{})
	release := sync.OnceFunc(func() { close(held) })
	n1, _ := pair(t, new(recorder), &recorder{forward: func(context.Context, uint64, []byte) ([]byte, error) {
		began.Add(1)
		if n := now.Add(1); n > 4 {
			t.Errorf("%d at once, want 4", n)
		}
		<-held
		now.Add(-1)
		return nil, nil
	}}, func(c *Config) { c.MaxForwards = 4 })
	t.Cleanup(release) // before the members end, which waits for handlers
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { _, _, _ = n1.Forward(ctx, 2, []byte("x")) })
	}
	waitFor(t, "handlers", func() bool { return began.Load() >= 4 })
	time.AfterFunc(200*time.Millisecond, cancel) // a fifth would have begun
	wg.Wait()
	if n := began.Load(); n != 4 {
		t.Errorf("%d began, want 4", n)
	}
	release()
	if _, _, err := n1.Forward(t.Context(), 2, []byte("x")); err != nil {
		t.Errorf("after the jam: %v", err)
	}
}

// stuck is a callConn whose connection nobody writes.
func stuck(t *testing.T) *callConn {
	tr, err := New(testConfig(t, 1, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	tr.cfg.ForwardQueueBytes = 100
	return newCallConn(newPeer(t.Context(), tr, new(recorder), 2, "http://127.0.0.1:1"), nil)
}

// TestForwardQueue: what was never written was never sent.
func TestForwardQueue(t *testing.T) {
	c := stuck(t)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, sent, err := c.call(ctx, make([]byte, 80)); sent || !errors.Is(err, context.Canceled) {
			t.Errorf("sent %v, %v", sent, err)
		}
	})
	waitFor(t, "the call to queue", func() bool { c.mu.Lock(); defer c.mu.Unlock(); return len(c.queue) == 1 })
	if _, sent, err := c.call(ctx, make([]byte, 80)); sent || !errors.Is(err, ErrOverloaded) {
		t.Errorf("beyond the limit: sent %v, %v", sent, err)
	}
	cancel()
	wg.Wait()
	if len(c.queue) != 0 || c.queued != 0 || len(c.calls) != 0 {
		t.Errorf("left behind: %d calls, %d bytes, %d waiting", len(c.queue), c.queued, len(c.calls))
	}
}

// TestForgedCalls: nonsense on a forward connection ends it.
func TestForgedCalls(t *testing.T) {
	n1 := alone(t, &recorder{forward: echo})
	for name, body := range map[string][]byte{
		"broken number": bytes.Repeat([]byte{0xff}, 11),
		"no timeout":    {1},
		"too long":      binary.AppendUvarint([]byte{1, 0}, 1<<40),
	} {
		before := n1.Stats().Violations
		s := upgradeAs(t, n1, 2, kindForward)
		if _, err := s.Write(frame(body)); err != nil {
			t.Fatal(err)
		}
		s.rest()
		waitFor(t, name+" to be counted", func() bool { return n1.Stats().Violations == before+1 })
	}
}

func BenchmarkForward(b *testing.B) {
	n1, _ := pair(b, new(recorder), &recorder{forward: echo}, nil)
	req := make([]byte, 200)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := n1.Forward(b.Context(), 2, req); err != nil {
			b.Fatal(err)
		}
	}
}
