package test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"
)

// change does one change and returns what it was.
func (s *changeScript) change(kind string, target *member) string {
	s.t.Helper()
	switch kind {
	case "add":
		m := s.add(true)
		s.waitVoters(m.id, 0)
		return fmt.Sprintf("add %d", m.id)
	case "add and promote":
		m := s.add(false)
		s.request(http.MethodPost, fmt.Sprintf("/v1/members/%d/promote", m.id), "", http.StatusOK)
		s.waitVoters(m.id, 0)
		s.done++ // these are two
		return fmt.Sprintf("add and promote %d", m.id)
	case "replace":
		m := s.replace(target)
		return fmt.Sprintf("replace %d by %d", target.id, m.id)
	case "remove a follower", "remove the leader":
		s.request(http.MethodDelete, fmt.Sprintf("/v1/members/%d", target.id), "", http.StatusNoContent, http.StatusNotFound, http.StatusGone)
		s.gone(target)
		return fmt.Sprintf("%s, %d", kind, target.id)
	case "address by PATCH":
		s.patchAddress(target)
	case "address by restart":
		s.moveAddress(target)
	}
	return fmt.Sprintf("%s of %d", kind, target.id)
}

// place takes a place where nobody sits.
func (s *changeScript) place() *member {
	s.t.Helper()
	for _, p := range s.places {
		if !slices.ContainsFunc(s.live, func(m *member) bool { return m.clientURL == p.clientURL }) {
			m := newMember(s.t, s.nextID)
			m.clientURL = p.clientURL
			s.nextID++
			return m
		}
	}
	s.t.Fatal("all places are taken")
	return nil
}

// through is somebody who is not about to be killed.
func (s *changeScript) through() *member {
	m := s.live[s.rng.IntN(len(s.live))]
	for m == s.victim {
		m = s.live[s.rng.IntN(len(s.live))]
	}
	return m
}

// add adds a member under an id that is known beforehand, and starts it.
func (s *changeScript) add(autoPromote bool) *member {
	s.t.Helper()
	m := s.place()
	s.request(http.MethodPost, "/v1/members",
		fmt.Sprintf(`{"id":%d,"peer_url":%q,"client_url":%q,"auto_promote":%v}`, m.id, m.peerURL, m.clientURL, autoPromote),
		http.StatusCreated, http.StatusConflict)
	m.args = []string{"--join", s.through().clientURL}
	m.start()
	s.live = append(s.live, m)
	m.waitReady(30 * time.Second)
	return m
}

// replace swaps a member for a new one, which starts while the request waits.
func (s *changeScript) replace(old *member) *member {
	s.t.Helper()
	m := s.place()
	m.args = []string{"--join", s.through().clientURL}
	body := fmt.Sprintf(`{"remove":%d,"add":{"id":%d,"peer_url":%q,"client_url":%q}}`, old.id, m.id, m.peerURL, m.clientURL)
	s.request(http.MethodPost, "/v1/members/replace?timeout=100ms", body, http.StatusOK, http.StatusAccepted)
	m.start()
	s.live = append(s.live, m)
	s.request(http.MethodPost, "/v1/members/replace?timeout=2s", body, http.StatusOK, http.StatusNotFound, http.StatusConflict)
	s.waitVoters(m.id, old.id)
	s.gone(old)
	m.waitReady(20 * time.Second)
	return m
}

// gone waits for the end of a member that was removed.
func (s *changeScript) gone(m *member) {
	s.t.Helper()
	s.live = slices.DeleteFunc(s.live, func(o *member) bool { return o == m })
	s.waitVoters(0, m.id)
	if code := m.process().exitCode(20 * time.Second); code != 5 {
		s.t.Errorf("%s was removed: exit code %d, want 5", m.name(), code)
	}
}

// patchAddress tells the cluster another way to a member: through a proxy.
func (s *changeScript) patchAddress(m *member) {
	s.t.Helper()
	p := startProxy(s.t, m.listensAt())
	m.peerURL = "http://" + p.addr
	s.request(http.MethodPatch, fmt.Sprintf("/v1/members/%d", m.id), fmt.Sprintf(`{"peer_url":%q}`, m.peerURL), http.StatusOK)
	s.waitAddress(m)
	// Should it start again, then with what is true now.
	m.setFlag("--advertise-peer", m.peerURL)
	waitFor(s.t, 15*time.Second, "the others come through the new address", func() error {
		if p.conns.Load() == 0 {
			return fmt.Errorf("nobody has connected")
		}
		return nil
	})
}

// moveAddress starts a member anew at another address.
func (s *changeScript) moveAddress(m *member) {
	s.t.Helper()
	if code := m.term(); code != 0 {
		s.t.Errorf("%s: exit code %d, want 0", m.name(), code)
	}
	m.peerURL = fmt.Sprintf("http://127.0.0.1:%d", freePort(s.t))
	m.setFlag("--listen-peer", m.peerAddr())
	m.setFlag("--advertise-peer", m.peerURL)
	m.start()
	m.waitReady(20 * time.Second)
	s.waitAddress(m)
}

// listensAt is where the member's peer port is, whatever its URL is.
func (m *member) listensAt() string {
	if i := slices.Index(m.args, "--listen-peer"); i >= 0 {
		return m.args[i+1]
	}
	addr := m.peerAddr()
	m.setFlag("--listen-peer", addr)
	return addr
}

// request asks one member after the other until the answer has one of the
// codes. A change that is under way, or was lost with its leader, is asked for again.
func (s *changeScript) request(method, path, body string, codes ...int) *response {
	s.t.Helper()
	var r *response
	n := s.rng.IntN(len(s.live))
	waitFor(s.t, 30*time.Second, method+" "+path+" "+body, func() (err error) {
		n++
		m := s.live[n%len(s.live)]
		ctx, cancel := context.WithTimeout(s.t.Context(), 8*time.Second)
		defer cancel()
		var b []byte
		if body != "" {
			b = []byte(body)
		}
		if r, err = send(ctx, method, m.clientURL+path, b, "Content-Type", "application/json"); err != nil {
			return err
		}
		if r.status == http.StatusBadRequest || r.status == http.StatusMethodNotAllowed {
			s.t.Fatalf("%s %s: %d %s", method, path, r.status, r.body)
		}
		if r.status == http.StatusConflict {
			if code := r.problem().Code; code != "exists" && code != "id_removed" {
				return fmt.Errorf("%d %s", r.status, r.body)
			}
		}
		return r.want(codes...)
	})
	return r
}

// waitVoters waits until everybody who lives, but for who is down, sees in as a
// voter and no trace of out; 0 stands for nobody.
func (s *changeScript) waitVoters(in, out uint64) {
	s.t.Helper()
	waitFor(s.t, 30*time.Second, fmt.Sprintf("member %d votes and %d is gone", in, out), func() error {
		asked := 0
		for _, m := range s.live {
			st, err := m.status()
			if err != nil {
				continue // it was killed
			}
			asked++
			if in != 0 && !slices.Contains(st.VoterIDs, in) || slices.Contains(st.VoterIDs, out) || slices.Contains(st.LearnerIDs, out) {
				return fmt.Errorf("%s sees voters %v, learners %v", m.name(), st.VoterIDs, st.LearnerIDs)
			}
		}
		if asked < len(s.live)-1 {
			return fmt.Errorf("only %d of %d answer", asked, len(s.live))
		}
		return nil
	})
}

// waitAddress waits until the others know the member's peer URL.
func (s *changeScript) waitAddress(m *member) {
	s.t.Helper()
	waitFor(s.t, 20*time.Second, m.name()+" is known at "+m.peerURL, func() error {
		var members []struct {
			ID      uint64 `json:"id"`
			PeerURL string `json:"peer_url"`
		}
		r, err := m.get("/v1/members")
		if err != nil {
			return err
		}
		if err := json.Unmarshal(r.body, &members); err != nil {
			return fmt.Errorf("%w: %s", err, r.body)
		}
		for _, o := range members {
			if o.ID == m.id && o.PeerURL == m.peerURL {
				return nil
			}
		}
		return fmt.Errorf("%+v", members)
	})
}

func ids(ms []*member) (ids []uint64) {
	for _, m := range ms {
		ids = append(ids, m.id)
	}
	return ids
}
