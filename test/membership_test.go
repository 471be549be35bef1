package test

import (
	"fmt"
	"net/http"
	"testing"
	"time"
)

// Changes of membership that make no sense, or would end the cluster, are
// refused and change nothing.
func TestRefusedMembershipChanges(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	follower, other := c.followers(leader)[0], c.followers(leader)[1]
	add := func(url string, id uint64) []byte {
		if id == 0 {
			return fmt.Appendf(nil, `{"peer_url":%q}`, url)
		}
		return fmt.Appendf(nil, `{"peer_url":%q,"id":%d}`, url, id)
	}
	for _, m := range []*member{leader, follower} { // any member answers alike
		wantProblem(t, m.call(http.MethodPost, "/v1/members", add(other.peerURL, 0)),
			http.StatusConflict, "exists", "not_applied")
		wantProblem(t, m.call(http.MethodPost, "/v1/members", add("http://127.0.0.1:1", other.id)),
			http.StatusConflict, "exists", "not_applied")
		wantProblem(t, m.call(http.MethodDelete, "/v1/members/99", nil),
			http.StatusNotFound, "not_found", "not_applied")
		wantProblem(t, m.call(http.MethodPost, "/v1/members", []byte(`{"peer_url":"nowhere"}`)),
			http.StatusBadRequest, "bad_parameter", "not_applied")
		wantProblem(t, m.call(http.MethodPost, "/v1/members", []byte(`{"peer_url":"http://127.0.0.1:1","rolle":"voter"}`)),
			http.StatusBadRequest, "bad_json", "not_applied")
	}

	// Two of three must live: with one down, neither of the others may go.
	other.kill()
	waitFor(t, 10*time.Second, "the dead member is noticed", func() error {
		var members []struct {
			ID      uint64 `json:"id"`
			Healthy bool   `json:"healthy"`
		}
		if err := leader.call(http.MethodGet, "/v1/members", nil).decode(http.StatusOK, &members); err != nil {
			return err
		}
		for _, m := range members {
			if m.Healthy == (m.ID == other.id) {
				return fmt.Errorf("%+v", members)
			}
		}
		return nil
	})
	for _, m := range []*member{leader, follower} {
		r := follower.call(http.MethodDelete, fmt.Sprintf("/v1/members/%d", m.id), nil)
		wantProblem(t, r, http.StatusConflict, "would_lose_quorum", "not_applied")
	}
	wantVoters(t, leader, 3)

	// The dead one may: two of two are left. Its id is used up then.
	if err := follower.call(http.MethodDelete, fmt.Sprintf("/v1/members/%d", other.id), nil).want(http.StatusNoContent); err != nil {
		t.Fatal(err)
	}
	wantVoters(t, leader, 2)
	wantProblem(t, leader.call(http.MethodPost, "/v1/members", add(other.peerURL, other.id)),
		http.StatusConflict, "id_removed", "not_applied")
	other.start() // it hears of it from its peers, and ends
	if code := other.process().exitCode(20 * time.Second); code != 5 {
		t.Errorf("the removed member: exit code %d, want 5", code)
	}
}

// One change at a time.
func TestPendingMembershipChange(t *testing.T) {
	t.Parallel()
	// A long election timeout, so that the leader leads on without followers
	// for as long as this takes.
	c := startCluster(t, 3, "--election-ticks", "30")
	leader := c.leader()
	for _, m := range c.followers(leader) {
		freeze(m)
	}
	first := make(chan error, 1)
	go func() {
		first <- func() error {
			r, err := post(leader, "/v1/members?timeout=2s", `{"peer_url":"http://127.0.0.1:1","auto_promote":false}`)
			if err != nil {
				return err
			}
			if p := r.problem(); r.status != http.StatusGatewayTimeout || p.Outcome != "unknown" {
				return fmt.Errorf("the first change: got %d %s, want 504 and an unknown outcome", r.status, r.body)
			}
			return nil
		}()
	}()
	// The first may reach the leader after the second; then both wait, and the
	// next attempt meets them.
	waitFor(t, 2*time.Second, "a refusal", func() error {
		r, err := post(leader, "/v1/members?timeout=100ms", `{"peer_url":"http://127.0.0.1:2","auto_promote":false}`)
		if err != nil {
			return err
		}
		if r.status != http.StatusConflict {
			return fmt.Errorf("status %d: %s", r.status, r.body)
		}
		wantProblem(t, r, http.StatusConflict, "config_change_pending", "not_applied")
		return nil
	})
	if err := <-first; err != nil {
		t.Error(err)
	}
	for _, m := range c.followers(leader) {
		m.cont()
	}
	waitFor(t, 20*time.Second, "the cluster works again", func() error { return tryPut(leader, "k", "v") })
}
