package test

import (
	"fmt"
	"net/http"
	"strings"
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
		wantProblem(t, m.call(http.MethodPost, "/v1/members/99/promote", nil),
			http.StatusNotFound, "not_found", "not_applied")
		wantProblem(t, m.call(http.MethodPatch, "/v1/members/99", []byte(`{"name":"nobody"}`)),
			http.StatusNotFound, "not_found", "not_applied")
		wantProblem(t, m.call(http.MethodPost, "/v1/members/replace", []byte(`{"remove":99,"add":{"peer_url":"http://127.0.0.1:1"}}`)),
			http.StatusNotFound, "not_found", "not_applied")
	}

	// A learner that never ran lags behind, and says by how much.
	lagging := fmt.Appendf(nil, `{"peer_url":"http://127.0.0.1:%d","auto_promote":false}`, freePort(t))
	var added struct{ ID uint64 }
	if err := follower.call(http.MethodPost, "/v1/members", lagging).decode(http.StatusCreated, &added); err != nil {
		t.Fatal(err)
	}
	for _, m := range []*member{leader, follower} {
		r := m.call(http.MethodPost, fmt.Sprintf("/v1/members/%d/promote", added.ID), nil)
		wantProblem(t, r, http.StatusConflict, "learner_not_ready", "not_applied")
		if want := fmt.Sprintf("member %d lacks ", added.ID); !strings.Contains(r.problem().Detail, want) {
			t.Errorf("%s: %s, want it to say %q", m.name(), r.body, want)
		}
	}
	if err := follower.call(http.MethodDelete, fmt.Sprintf("/v1/members/%d", added.ID), nil).want(http.StatusNoContent); err != nil {
		t.Fatal(err)
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
	// Two at once: whichever comes first waits for its commit, the other for the
	// first, and both in vain.
	answers := make(chan *response, 2)
	for i := range 2 {
		go func() {
			r, err := post(leader, "/v1/members?timeout=2s", fmt.Sprintf(`{"peer_url":"http://127.0.0.1:%d","auto_promote":false}`, i+1))
			if err != nil {
				r = &response{body: []byte(err.Error())}
			}
			answers <- r
		}()
	}
	refused, waited := <-answers, <-answers
	if refused.status == http.StatusGatewayTimeout {
		refused, waited = waited, refused
	}
	wantProblem(t, refused, http.StatusConflict, "config_change_pending", "not_applied")
	wantProblem(t, waited, http.StatusGatewayTimeout, "outcome_unknown", "unknown")
	for _, m := range c.followers(leader) {
		m.cont()
	}
	waitFor(t, 20*time.Second, "the cluster works again", func() error { return tryPut(leader, "k", "v") })
}
