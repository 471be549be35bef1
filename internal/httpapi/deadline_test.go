package httpapi

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func TestDeadlines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deadlines
		const timeout = 5 * time.Second
		first := d.context(timeout)
		time.Sleep(deadlineStep - 1)
		if d.context(timeout) != first {
			t.Error("a context within the step was not shared")
		}
		for range 100 {
			start := time.Now()
			ctx := d.context(timeout)
			until, ok := ctx.Deadline()
			if left := until.Sub(start); !ok || left < timeout || left > timeout+deadlineStep {
				t.Fatalf("a request has %v", left)
			}
			if ctx.Err() != nil {
				t.Fatal("a context was handed out that is done")
			}
			time.Sleep(37 * time.Millisecond)
		}
		if first.Err() != nil {
			t.Fatalf("the first context ended early: %v", first.Err())
		}
		if d.context(timeout) == nil || d.context(timeout+1) != nil {
			t.Error("two timeouts share a context")
		}
		last := d.context(timeout)
		<-last.Done()
		if !errors.Is(last.Err(), context.DeadlineExceeded) || !errors.Is(first.Err(), context.DeadlineExceeded) {
			t.Errorf("got %v and %v", first.Err(), last.Err())
		}
	})
}

func TestDeadlinesAtOnce(t *testing.T) {
	var d deadlines
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if err := d.context(time.Minute).Err(); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
}

// Without a quorum every request ends in its time: writes with an unknown
// outcome, reads without a leader.
func TestRequestTimeouts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.do("PUT", "/v1/kv/k", "v")
		f.log.set(func(l *directLog) { l.blocked = true })
		for query, want := range map[string]time.Duration{"": 5 * time.Second, "?timeout=250ms": 250 * time.Millisecond, "?timeout=2m": 2 * time.Minute} {
			start := time.Now()
			f.wantProblem(504, "outcome_unknown", unknown, "PUT", "/v1/kv/k"+query, "v")
			if took := time.Since(start); took < want || took > want+deadlineStep {
				t.Errorf("PUT %s took %v", query, took)
			}
			start = time.Now()
			f.wantProblem(503, "no_leader", "", "GET", "/v1/kv/k"+query, "")
			if took := time.Since(start); took < want || took > want+deadlineStep {
				t.Errorf("GET %s took %v", query, took)
			}
			f.want(200, "v", "GET", "/v1/kv/k?consistency=stale", "")
		}
	})
}

// TestHalfClosedClientIsToldTheTruth: net/http takes a client that closed its
// sending side for one that went away, and would say 200 for a handler that
// returns in silence.
func TestHalfClosedClientIsToldTheTruth(t *testing.T) {
	f := newFixture(t)
	f.log.set(func(l *directLog) { l.blocked = true })
	addr := f.serve(ServerConfig{})
	c := dial(t, addr)
	c.send("PUT /v1/kv/k?timeout=1m HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv")
	if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	checkProblem(t, c.receive("PUT"), 504, "outcome_unknown", unknown)
}

// A request may ask for more time than the server's deadlines allow by default.
func TestLongTimeoutOutlivesServerDeadlines(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Timeout = 50 * time.Millisecond })
	f.log.set(func(l *directLog) { l.blocked = true })
	addr := f.serve(ServerConfig{BodyTimeout: 100 * time.Millisecond, WriteTimeout: 100 * time.Millisecond})
	c := dial(t, addr)
	start := time.Now()
	c.send("PUT /v1/kv/k?timeout=400ms HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\n\r\nv")
	checkProblem(t, c.receive("PUT"), 504, "outcome_unknown", unknown)
	if took := time.Since(start); took < 400*time.Millisecond {
		t.Errorf("ended after %v", took)
	}
}
