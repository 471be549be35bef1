package clustertest

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"testing"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// What a healed cluster has time for. A follower waits for 1 s to 2 s, drawn anew
// each time, before it stands for election; candidates that tie wait once more.
const (
	leaderWithin = 5 * 2 * time.Second
	equalWithin  = 30 * time.Second
)

// recovery heals everything, and sees that the cluster comes back and that nothing
// of what clients were told is missing. Clients go on for a while.
func (s *sim) recovery(t *testing.T) {
	s.operating.Wait()
	healed := time.Now()
	s.healAll(s.c.Members())
	leader := s.awaitLeader(t, healed)
	time.Sleep(2 * time.Second)
	s.end()
	s.wg.Wait()
	if leader == nil {
		return
	}
	members := s.dismiss(t)
	if len(members) == 0 {
		return
	}
	s.c.trace.deed("the end: members %v", ids(members))
	// Clients have let go of their leases, and the clocks are good: all that had a
	// time to live ends.
	time.Sleep(8 * time.Second)
	s.writeEverywhere(t, members)
	s.awaitEqual(t, members)
	a := s.client(0, false)
	for _, m := range members {
		if !m.gone.Load() {
			s.readAll(t, a, m)
		}
	}
	if t.Failed() {
		s.look()
	}
}

// putAddressesRight does what the operator of a cluster must who has moved a member
// and does not know whether the others were told: where they look for it, there it
// is to run. With a majority of the others there is no need for that, but there may
// be none.
//
// One at a time, and then they have the time to agree: the log of one that is elected
// may hold other addresses, which count from then on, and a member that is not where
// the log has it says so in the log. If all were put right at once, all could be wrong
// after that, and again and again.
func (s *sim) putAddressesRight() {
	if time.Since(s.moved) < leaderWithin/2 {
		return
	}
	type view struct {
		of, applied uint64
		members     []raftnode.Member
	}
	var views []view
	for _, m := range s.c.Members() {
		if node := m.Node(); node != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			if st, err := node.Status(ctx); err == nil {
				views = append(views, view{m.ID, st.Applied, node.Members()})
			}
			cancel()
		}
	}
	slices.SortFunc(views, func(a, b view) int { return cmp.Compare(b.applied, a.applied) }) // the newest first
	if len(views) == 0 {
		return
	}
	for _, mb := range views[0].members {
		s.revive(s.c.Member(mb.ID)) // dismissed while the change that adds it was under way
	}
	for _, mb := range views[0].members {
		// What a member knows of itself the others may not have been told.
		for _, v := range views {
			if i := slices.IndexFunc(v.members, func(x raftnode.Member) bool { return x.ID == mb.ID }); v.of != mb.ID && i >= 0 {
				mb = v.members[i]
				break
			}
		}
		m := s.c.Member(mb.ID)
		m.mu.Lock()
		wrong := m.listens != mb.PeerURL
		m.url = mb.PeerURL
		m.mu.Unlock()
		if wrong {
			s.c.trace.deed("member %d is put where the others look for it: %s", m.ID, mb.PeerURL)
			s.moved = time.Now()
			m.Crash()
			s.revive(m)
			return
		}
	}
	s.seedAnew(views[0].members)
}

// seedAnew starts a member that has joined nobody yet, and was told where others were
// before they moved, with where they are now.
func (s *sim) seedAnew(members []raftnode.Member) {
	seeds := make(map[uint64]string)
	for _, mb := range members {
		seeds[mb.ID] = mb.PeerURL
	}
	for _, mb := range members {
		m := s.c.Member(mb.ID)
		if node := m.Node(); node == nil || len(node.Members()) > 0 {
			continue
		}
		m.mu.Lock()
		same := maps.Equal(m.seeds, seeds)
		m.seeds = seeds
		m.mu.Unlock()
		if !same {
			s.c.trace.deed("member %d is told where the others are: %v", m.ID, seeds)
			s.moved = time.Now()
			m.Crash()
			s.revive(m)
			return
		}
	}
}

// awaitLeader waits until all members that are in touch agree on a leader, and it
// has taken a write: soon after everything was healed, and put right.
func (s *sim) awaitLeader(t *testing.T, healed time.Time) *Member {
	for n := 0; ; n++ {
		if n%100 == 0 {
			s.putAddressesRight()
		}
		time.Sleep(20 * time.Millisecond)
		for _, m := range s.c.Members() {
			s.revive(m) // one whose last write had failed may have ended only now
			if node := m.Node(); node != nil && node.Leads() {
				ctx, cancel := context.WithTimeout(context.Background(), time.Second)
				_, err := m.DB().Put(ctx, []byte("healed"), fmt.Append(nil, time.Since(healed)), kvstore.PutOptions{})
				cancel()
				if err == nil {
					s.back = time.Since(healed)
					if took := min(s.back, time.Since(s.moved)); took > leaderWithin {
						t.Errorf("the first write after healing took %v", took)
					}
					s.c.trace.deed("member %d leads and writes %v after healing", m.ID, time.Since(healed))
					return m
				}
			}
		}
		if time.Since(healed) > time.Minute {
			t.Errorf("no leader has taken a write %v after healing", time.Since(healed))
			s.look()
			return nil
		}
	}
}

// dismiss returns the members of the cluster, and ends all others: they were
// removed while nobody could tell them, or were never added.
func (s *sim) dismiss(t *testing.T) []*Member {
	o := &operator{sim: s, a: s.client(0, false)}
	var known []member
	for end := time.Now().Add(equalWithin); known == nil && time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if l := s.leader(); l != nil {
			known = o.ask(l.Server())
			s.help(l)
		} else {
			s.putAddressesRight()
		}
	}
	var members []*Member
	for _, m := range s.c.Members() {
		in := slices.IndexFunc(known, func(k member) bool { return k.ID == m.ID })
		if in < 0 {
			m.Crash()
			continue
		}
		members = append(members, m)
	}
	if len(members) == 0 {
		t.Error("nobody tells who the members are")
	}
	return members
}

// look notes how all members are, for who reads of a failure.
func (s *sim) look() {
	for _, m := range s.c.Members() {
		node := m.Node()
		if node == nil {
			s.c.trace.deed("member %d does not run (removed: %v)", m.ID, m.gone.Load())
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := node.Status(ctx)
		cancel()
		var known []string
		for _, mb := range node.Members() {
			known = append(known, fmt.Sprintf("%d@%s", mb.ID, mb.PeerURL))
		}
		s.c.trace.deed("member %d at %s: %+v, %v; knows %v", m.ID, m.listens, st, err, known)
	}
}

func ids(members []*Member) (all []uint64) {
	for _, m := range members {
		all = append(all, m.ID)
	}
	return all
}

// writeEverywhere writes once by way of each member. They have the time to come back
// that all members have to become equal, after the last of them was put right.
func (s *sim) writeEverywhere(t *testing.T, members []*Member) {
	a, began := s.client(0, false), time.Now()
	for _, m := range members {
		for n := 0; !m.gone.Load(); n++ { // a replacement may end only now
			s.revive(m)
			key, v := fmt.Sprintf("w/%d", m.ID), fmt.Sprintf("%d-%d", m.ID, n)
			r, err := a.do(m.Server(), call{method: "PUT", path: "/v1/kv/" + key, body: []byte(v)})
			if err == nil && (r.status == http.StatusCreated || r.status == http.StatusNoContent) {
				s.claims.write(r.etag(), change{kvstore.EventPut, key, v})
				break
			}
			s.help(m)
			s.putAddressesRight()
			if took := min(time.Since(began), time.Since(s.moved)); took > equalWithin || time.Since(began) > 4*equalWithin {
				t.Errorf("member %d takes no write after %v: %v, %s", m.ID, took, err, describe(r))
				break
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
}

func describe(r *reply) string {
	if r == nil {
		return "no answer"
	}
	return fmt.Sprintf("%d %s", r.status, r.body)
}

// help starts a member again that has no good state and nobody to give it one: it is
// the only one that votes. What was found of it is in the log, so that it is good
// again only when it has been compared once more.
func (s *sim) help(m *Member) {
	if m.Node() == nil || m.Node().Diverged() == nil || time.Since(s.helped) < 8*time.Second {
		return
	}
	voters := slices.DeleteFunc(m.Node().Members(), func(mb raftnode.Member) bool { return mb.Learner })
	if len(voters) == 1 && voters[0].ID == m.ID {
		s.c.trace.deed("member %d has nobody to help it: it is started again", m.ID)
		s.helped = time.Now()
		m.Crash()
		m.Start()
	}
}

// awaitEqual waits until all members have the same state at the same index, and say
// so themselves of what is really in their memory.
func (s *sim) awaitEqual(t *testing.T, members []*Member) {
	ctx, cancel := context.WithTimeout(context.Background(), equalWithin)
	defer cancel()
	for {
		why := s.unequal(ctx, members)
		if why == "" {
			return
		}
		s.putAddressesRight()
		if ctx.Err() != nil {
			t.Errorf("members are not equal %v after the first write: %s", equalWithin, why)
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// unequal says what is missing for all members to be equal.
func (s *sim) unequal(ctx context.Context, members []*Member) string {
	var index, hash uint64
	for _, m := range members {
		s.revive(m)
	}
	members = slices.DeleteFunc(slices.Clone(members), func(m *Member) bool { return m.gone.Load() })
	for i, m := range members {
		if m.Node() == nil {
			return fmt.Sprintf("member %d does not run", m.ID)
		}
		if m.Node().Diverged() != nil || m.Altered() {
			s.help(m)
			return fmt.Sprintf("member %d has no good state: %v", m.ID, m.Node().Diverged())
		}
		if err := inTouch(ctx, m); err != nil {
			return fmt.Sprintf("member %d: %v", m.ID, err)
		}
		at, h := m.machine.Hash()
		if i > 0 && (at != index || h != hash) {
			return fmt.Sprintf("member %d has %016x at index %d, member %d %016x at %d", m.ID, h, at, members[0].ID, hash, index)
		}
		index, hash = at, h
	}
	v, err := members[0].Node().Verify(ctx)
	if err != nil || len(v.Hashes) != len(members) || len(v.Diverged) > 0 {
		return fmt.Sprintf("verification %+v, %v", v, err)
	}
	return ""
}

// inTouch brings a member to the end of the log. It does not wait for long: one that
// is being removed, or is not where the others look for it, needs something else.
func inTouch(ctx context.Context, m *Member) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return m.Node().ReadBarrier(ctx)
}

// readAll reads everything there is by way of one member.
func (s *sim) readAll(t *testing.T, a *client, m *Member) {
	r, err := a.do(m.Server(), call{method: "GET", path: "/v1/kv?prefix=&limit=10000"})
	if err != nil || r.status != http.StatusOK {
		t.Errorf("listing of all keys by way of member %d: %v, %s", m.ID, err, describe(r))
		return
	}
	items, _ := s.claimList(a, "", r)
	for _, it := range items {
		if len(it.Key) > 2 && it.Key[:2] == "l/" {
			t.Errorf("%s is there long after its time: %s", it.Key, it.Value)
		}
	}
}
