package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"
)

// slack is what an answer may take beyond the timeout that the client asked
// for, on a machine that does other things.
const slack = time.Second

// timed sends a request and fails the test when the answer took longer than
// limit plus slack.
func (m *member) timed(limit time.Duration, method, path string, body []byte) *response {
	m.t.Helper()
	began := time.Now()
	r := m.call(method, path, body)
	if took := time.Since(began); took > limit+slack {
		m.t.Errorf("%s %s was answered after %v, want %v", method, path, took, limit)
	}
	return r
}

// A member without a leader proposes nothing: writes surely did not happen.
func TestWriteWithoutLeader(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	c.members[0].put("k", "v")
	c.waitApplied(10 * time.Second)
	left := c.members[0]
	c.members[1].kill()
	c.members[2].kill()
	waitFor(t, 10*time.Second, "no leader", func() error {
		s, err := left.status()
		if err == nil && s.Leader != 0 {
			err = fmt.Errorf("leader %d", s.Leader)
		}
		return err
	})

	for _, method := range []string{http.MethodPut, http.MethodDelete} {
		r := left.timed(2*time.Second, method, "/v1/kv/k?timeout=2s", []byte("w"))
		wantProblem(t, r, http.StatusServiceUnavailable, "no_leader", "not_applied")
		if r.header.Get("Retry-After") == "" {
			t.Errorf("%s: no Retry-After", method)
		}
	}
	if r := left.call(http.MethodGet, "/livez", nil); r.status != http.StatusOK {
		t.Errorf("/livez: got %d, want 200: it never depends on a quorum", r.status)
	}
	if r := left.call(http.MethodGet, "/readyz", nil); r.status != http.StatusServiceUnavailable {
		t.Errorf("/readyz: got %d, want 503", r.status)
	}
	c.members[1].start()
	c.members[1].waitReady(20 * time.Second)
	left.wantValue("k", "v")
}

// A write that was proposed and then lost its quorum may have happened or may
// yet; a read that cannot be confirmed is refused in time.
func TestQuorumLost(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	leader.put("k", "old")
	c.waitApplied(10 * time.Second)
	for _, m := range c.followers(leader) {
		freeze(m)
	}
	r := leader.timed(2*time.Second, http.MethodPut, "/v1/kv/k?timeout=2s", []byte("new"))
	wantProblem(t, r, http.StatusGatewayTimeout, "outcome_unknown", "unknown")

	r = leader.timed(2*time.Second, http.MethodGet, "/v1/kv/k?timeout=2s", nil)
	if r.status != http.StatusServiceUnavailable && r.status != http.StatusGatewayTimeout {
		t.Errorf("a linearizable GET without a quorum: got %d %s, want 503 or 504", r.status, r.body)
	}
	r = leader.timed(0, http.MethodGet, "/v1/kv/k?consistency=stale", nil)
	if r.status != http.StatusOK || string(r.body) != "old" {
		t.Errorf("a stale GET without a quorum: got %d %q, want 200 old", r.status, r.body)
	}
	if d, err := time.ParseDuration(r.header.Get("Kvd-Staleness")); err != nil || d <= 0 {
		t.Errorf("Kvd-Staleness: got %q, want the time since a leader was heard", r.header.Get("Kvd-Staleness"))
	}

	for _, m := range c.followers(leader) {
		m.cont()
	}
	waitFor(t, 20*time.Second, "the cluster works again", func() error { return tryPut(leader, "other", "x") })
	got := leader.call(http.MethodGet, "/v1/kv/k", nil)
	if s := string(got.body); s != "old" && s != "new" {
		t.Errorf("after all: got %q, want old or new", s)
	}
	for _, m := range c.members {
		m.wantValue("k", string(got.body))
	}
}

// The same read on a follower that is cut off from its leader.
func TestReadOnLonelyFollower(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	leader.put("k", "v")
	c.waitApplied(10 * time.Second)
	lonely := c.followers(leader)[0]
	for _, m := range c.members {
		if m != lonely {
			freeze(m)
		}
	}
	r := lonely.timed(2*time.Second, http.MethodGet, "/v1/kv/k?timeout=2s", nil)
	if r.status != http.StatusServiceUnavailable && r.status != http.StatusGatewayTimeout {
		t.Errorf("a linearizable GET: got %d %s, want 503 or 504", r.status, r.body)
	}
	r = lonely.timed(0, http.MethodGet, "/v1/kv/k?consistency=stale", nil)
	if r.status != http.StatusOK || r.header.Get("Kvd-Staleness") == "" {
		t.Errorf("a stale GET: got %d, Kvd-Staleness %q, want 200 and a time", r.status, r.header.Get("Kvd-Staleness"))
	}
	for _, m := range c.members {
		if m != lonely {
			m.cont()
		}
	}
	waitFor(t, 20*time.Second, "the follower reads again", func() error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		r, err := send(ctx, http.MethodGet, lonely.clientURL+"/v1/kv/k", nil)
		if err == nil && string(r.body) != "v" {
			err = errors.New(string(r.body))
		}
		return err
	})
}
