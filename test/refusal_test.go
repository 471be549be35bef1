package test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// Refusals that take a cluster in trouble, with the codes and outcomes of the
// API's table. TestAPI has those that a request earns by itself, and quorum_test
// and membership_test the rest.

// The quota refuses what would make the store larger, on every member, and
// nothing else; it clears itself when something was deleted.
func TestQuota(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--quota-bytes", "1MiB")
	leader := c.leader()
	value := []byte(strings.Repeat("v", 64<<10))
	for _, m := range []*member{leader, c.followers(leader)[0]} {
		var r *response
		stored := 0
		waitFor(t, 20*time.Second, "the quota is used up", func() error {
			r = m.call(http.MethodPut, fmt.Sprintf("/v1/kv/big/%d", stored), value)
			if r.status < 300 {
				stored++
			}
			return r.want(http.StatusInsufficientStorage)
		})
		wantProblem(t, r, http.StatusInsufficientStorage, "no_space", "not_applied")
		if stored < 10 {
			t.Errorf("%s: refused after %d values of 64 KiB, the quota is 1 MiB", m.name(), stored)
		}
		full, err := post(m, "/v1/txn", `{"then":[{"put":{"key":"a","value":"b"}}]}`)
		if err != nil {
			t.Fatal(err)
		}
		wantProblem(t, full, http.StatusInsufficientStorage, "no_space", "not_applied")
		m.call(http.MethodGet, "/v1/kv/big/0", nil).mustBe(t, http.StatusOK)
		if r, err := post(m, "/v1/txn", `{"then":[{"delete":{"key":"big/0"}}]}`); err != nil || r.status != 200 {
			t.Errorf("a transaction that only deletes: %v %v", r, err)
		}
		m.call(http.MethodDelete, "/v1/kv?prefix=big/", nil).mustBe(t, http.StatusOK)
		for _, other := range c.members {
			waitFor(t, 20*time.Second, "writes are taken again", func() error {
				return other.call(http.MethodPut, "/v1/kv/small", []byte("x")).want(http.StatusCreated, http.StatusNoContent)
			})
		}
	}
}

func (r *response) mustBe(t *testing.T, codes ...int) {
	t.Helper()
	if err := r.want(codes...); err != nil {
		t.Error(err)
	}
}

// More than a member will hold is refused at once and surely not applied.
func TestOverload(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	for _, m := range c.followers(leader) {
		freeze(m)
	}
	value := make([]byte, 1<<20)
	var overloaded, unknown, others atomic.Int64
	var refused sync.Map // keys
	var wg sync.WaitGroup
	for i := range 320 { // MiB; 256 may wait
		wg.Go(func() {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			r, err := send(ctx, http.MethodPut, fmt.Sprintf("%s/v1/kv/%d?timeout=5s", leader.clientURL, i), value)
			switch {
			case err != nil:
				t.Error(err)
			case r.status == http.StatusTooManyRequests:
				overloaded.Add(1)
				refused.Store(fmt.Sprint(i), nil)
				wantProblem(t, r, 429, "overloaded", "not_applied")
				if r.header.Get("Retry-After") == "" {
					t.Error("429 without Retry-After")
				}
			case r.status == http.StatusGatewayTimeout:
				unknown.Add(1)
				wantProblem(t, r, 504, "outcome_unknown", "unknown")
			default:
				others.Add(1)
				wantProblem(t, r, 503, "no_leader", "not_applied")
			}
		})
	}
	wg.Wait()
	t.Logf("%d overloaded, %d unknown, %d without a leader", overloaded.Load(), unknown.Load(), others.Load())
	if overloaded.Load() == 0 {
		t.Error("nothing was refused")
	}
	for _, m := range c.followers(leader) {
		m.cont()
	}
	waitFor(t, 20*time.Second, "the cluster works again", func() error { return tryPut(leader, "k", "v") })
	refused.Range(func(key, _ any) bool {
		if r := leader.call(http.MethodGet, fmt.Sprint("/v1/kv/", key), nil); r.status != http.StatusNotFound {
			t.Errorf("key %s was refused, and is there: %d", key, r.status)
		}
		return true
	})
}

// A member that has not heard from a leader for long says so when asked for
// something younger, and one that shuts down takes no writes.
func TestTooStaleAndStopping(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	leader.put("k", "v")
	c.waitApplied(10 * time.Second)
	fs := c.followers(leader)
	for _, m := range fs {
		freeze(m)
	}
	leader.process().signal(syscall.SIGTERM) // it finds nobody to hand over to, and tries for a while
	waitFor(t, 5*time.Second, "refusal", func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		r, err := send(ctx, http.MethodPut, leader.clientURL+"/v1/kv/k", []byte("w"))
		if err != nil {
			return err
		}
		if r.status == http.StatusServiceUnavailable && r.problem().Code == "stopping" {
			wantProblem(t, r, 503, "stopping", "not_applied")
			return nil
		}
		return fmt.Errorf("%d %s", r.status, r.body)
	})
	if code := leader.process().exitCode(15 * time.Second); code != 0 {
		t.Errorf("exit code %d", code)
	}
	left := fs[0]
	left.cont()
	waitFor(t, 10*time.Second, "a state that is too old", func() error {
		r := left.call(http.MethodGet, "/v1/kv/k?consistency=stale&max_stale=1s", nil)
		if r.status != http.StatusServiceUnavailable {
			return fmt.Errorf("%d %s", r.status, r.body)
		}
		wantProblem(t, r, 503, "too_stale", "")
		return nil
	})
	if r := left.call(http.MethodGet, "/v1/kv/k?consistency=stale", nil); string(r.body) != "v" {
		t.Errorf("stale read: %d %s", r.status, r.body)
	}
	fs[1].cont()
}

// Requests that no client library sends.
func TestRawRefusals(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	for _, m := range []*member{leader, c.followers(leader)[0]} {
		for _, tt := range []struct{ name, request, want, code string }{
			{"a foreign Host", "GET /v1/kv/k HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421", "bad_host"},
			{"a foreign Host, of a watch", "GET /v1/watch HTTP/1.1\r\nHost: evil.example\r\n\r\n", "421", "bad_host"},
			{"half a chunked body", "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "400", "bad_body"},
			{"headers without end", "GET /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431", ""},
		} {
			conn, err := net.Dial("tcp", m.clientAddr())
			if err != nil {
				t.Fatal(err)
			}
			_ = conn.SetDeadline(time.Now().Add(10 * time.Second))
			_, _ = conn.Write([]byte(tt.request)) // what is refused early is not read to its end
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Errorf("%s of %s: %v", tt.name, m.name(), err)
				conn.Close()
				continue
			}
			body := make([]byte, 4096)
			n, _ := res.Body.Read(body)
			if !strings.HasPrefix(res.Status, tt.want) || !strings.Contains(string(body[:n]), tt.code) {
				t.Errorf("%s of %s: got %s %s, want %s %s", tt.name, m.name(), res.Status, body[:n], tt.want, tt.code)
			}
			conn.Close()
		}
	}
}
