package clustertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

var scripts = flag.Int("scripts", 2, "how many scripts of membership changes to run, from -seed on")

// changesWanted is how many membership changes a script makes.
const changesWanted = 40

// TestReconfiguration changes the membership again and again, under writes and
// crashes: learners come and become voters, voters are replaced and removed,
// leaders remove themselves, addresses change. No acknowledged write may be
// lost, and a healed cluster agrees on who is in it.
func TestReconfiguration(t *testing.T) {
	for i := range uint64(*scripts) {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			var history []porcupine.Operation
			synctest.Test(t, func(t *testing.T) { history = reconfigure(t, seed) })
			if t.Failed() {
				t.Logf("replay: go test ./internal/clustertest -run TestReconfiguration -scripts=1 -seed=%d", seed)
				return
			}
			// Outside of virtual time: the checker's limit is real.
			if res := porcupine.CheckOperationsTimeout(model, history, time.Minute); res != porcupine.Ok {
				t.Errorf("history of %d operations is not linearizable: %v", len(history), res)
			}
		})
	}
}

// script is one run of membership changes.
type script struct {
	c      *Cluster
	rng    *rand.Rand
	nextID uint64
	down   map[uint64]bool // crashed, to be started again
	did    map[string]int
	last   []raftnode.Member
	moves  int // addresses given
}

func reconfigure(t *testing.T, seed uint64) []porcupine.Operation {
	c := New(t, seed, 3, raftnode.Config{SnapshotEntries: 60, CatchUpEntries: 10})
	defer c.Close()
	c.StartAll()
	if _, err := c.WaitLeader(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	w := c.StartClients(8, 6)
	stopped := false
	defer func() {
		if !stopped { // the test has failed
			w.Stop()
		}
	}()
	s := &script{c: c, rng: rand.New(rand.NewPCG(seed, 4)), nextID: 4, down: make(map[uint64]bool), did: make(map[string]int)}
	defer s.explain(t)
	made := 0
	for tries := 0; made < changesWanted && tries < 10*changesWanted; tries++ {
		s.disturb()
		time.Sleep(time.Duration(s.rng.IntN(500)) * time.Millisecond)
		if s.change(t) {
			made++
		}
	}
	if made < changesWanted {
		t.Errorf("only %d changes were made: %v", made, s.did)
	}

	// Heal: whoever is a member is there.
	healed := time.Now()
	clear(s.down)
	s.revive()
	eventually(t, "a write after healing", func() bool {
		s.revive()
		leader := s.leader()
		if leader == nil {
			return false
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := leader.DB().Put(ctx, []byte("healed"), nil, kvstore.PutOptions{})
		return err == nil
	})
	took := time.Since(healed)
	if took > 3*time.Second {
		t.Errorf("the first write after healing took %v, longer than two election timeouts and a second", took)
	}
	time.Sleep(3 * time.Second)
	history, good, unknown := w.Stop()
	stopped = true
	s.settle(t)
	for _, v := range c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
	if good < 100 {
		t.Errorf("only %d operations were answered: the run shows nothing", good)
	}
	t.Logf("%d answered, %d unknown, first write %v after healing, %v", good, unknown, took, s.did)
	return history
}

// disturb crashes a member now and then, so that a majority stays, and starts
// those that are down.
func (s *script) disturb() {
	// It is not away for long: one that comes back when all the members it
	// knew have been replaced has nobody to ask where the others are.
	if s.rng.IntN(2) == 0 {
		clear(s.down)
	}
	s.revive()
	members, _ := s.members()
	if s.rng.IntN(3) != 0 || len(s.down) > 0 || len(members) < 3 {
		return
	}
	m := s.c.Member(members[s.rng.IntN(len(members))].ID)
	s.down[m.ID] = true
	s.did["crash"]++
	m.Crash()
}

// members is the newest membership that any running member has applied, or the
// last one seen while none runs.
func (s *script) members() (members []raftnode.Member, via *Member) {
	var newest uint64
	for _, m := range s.c.Members() {
		node := m.Node()
		if node == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := node.Status(ctx)
		cancel()
		if err == nil && st.Applied > 0 && st.Applied >= newest {
			newest, members, via = st.Applied, node.Members(), m
		}
	}
	if via == nil {
		return s.last, nil
	}
	s.last = members
	return members, via
}

// leader is the member that believes to lead in the highest term, or nil.
func (s *script) leader() (leader *Member) {
	var term uint64
	for _, m := range s.c.Members() {
		node := m.Node()
		if node == nil || !node.Leads() {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := node.Status(ctx)
		cancel()
		if err == nil && st.Term > term {
			term, leader = st.Term, m
		}
	}
	return leader
}

// revive starts every member that should run, and clears away those whose lives
// have ended. One that was removed while it was away is started as well, to
// hear of it.
func (s *script) revive() {
	members, _ := s.members()
	for _, m := range s.c.Members() {
		err, ended := m.Ended()
		if !ended {
			continue
		}
		m.Crash()
		if errors.Is(err, raftnode.ErrRemoved) {
			s.did["end of a removed member"]++
			s.down[m.ID] = true // for good
			continue
		}
	}
	for _, mb := range members {
		m := s.c.Member(mb.ID)
		if m.Node() == nil && !s.down[mb.ID] {
			m.url = mb.PeerURL
			m.Start()
		}
	}
}

// change makes one change at random; false: it was refused, or its outcome is
// not known.
func (s *script) change(t *testing.T) bool {
	members, _ := s.members()
	var voters, learners []uint64
	for _, mb := range members {
		if mb.Learner {
			learners = append(learners, mb.ID)
		} else {
			voters = append(voters, mb.ID)
		}
	}
	var running []*Member
	for _, mb := range members {
		if m := s.c.Member(mb.ID); m.Node() != nil {
			running = append(running, m)
		}
	}
	if len(running) == 0 {
		return false
	}
	via := running[s.rng.IntN(len(running))].Node()
	pick := func(ids []uint64) uint64 { return ids[s.rng.IntN(len(ids))] }
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	begin := time.Now()
	what, err := "", error(nil)
	switch s.rng.IntN(7) {
	case 0, 1:
		if len(members) >= 6 {
			return false
		}
		what = "add"
		err = s.add(ctx, func(mb raftnode.Member) error {
			mb.AutoPromote = s.rng.IntN(3) > 0
			_, err := via.AddMember(ctx, mb)
			return err
		})
	case 2:
		if len(learners) == 0 {
			return false
		}
		what = "promote"
		_, err = via.PromoteMember(ctx, pick(learners))
	case 3:
		if len(voters) < 2 {
			return false
		}
		what = "replace"
		err = s.add(ctx, func(mb raftnode.Member) error {
			_, _, err := via.ReplaceMember(ctx, pick(voters), mb)
			return err
		})
	case 4:
		if len(members) < 3 {
			return false
		}
		what = "remove"
		err = via.RemoveMember(ctx, members[s.rng.IntN(len(members))].ID, false)
	case 5:
		leader := s.leader()
		if leader == nil || len(voters) < 3 {
			return false
		}
		what = "leader removes itself"
		err = leader.Node().RemoveMember(ctx, leader.ID, false)
	case 6:
		what = "update"
		s.moves++
		id := members[s.rng.IntN(len(members))].ID
		_, err = via.UpdateMember(ctx, id, raftnode.MemberUpdate{PeerURL: new(fmt.Sprintf("http://member-%d:1%d", id, s.moves))})
	}
	if took := time.Since(begin); took > 9*time.Second {
		t.Errorf("%s took %v, longer than its deadline", what, took)
	}
	if err == nil {
		s.did[what]++
		return true
	}
	s.did[what+" refused"]++
	for _, told := range []error{
		raftnode.ErrNoLeader, raftnode.ErrStopped, raftnode.ErrOutcomeUnknown, raftnode.ErrConfigChangePending,
		raftnode.ErrWouldLoseQuorum, raftnode.ErrLearnerNotReady, raftnode.ErrNoSuchMember, raftnode.ErrNotVoter,
	} {
		if errors.Is(err, told) {
			return false
		}
	}
	t.Errorf("%s: %v", what, err)
	return false
}

// add has a new member added and starts it, soon, unless it surely is none.
func (s *script) add(ctx context.Context, by func(raftnode.Member) error) error {
	id := s.nextID
	s.nextID++
	m := s.c.Member(id)
	timer := time.AfterFunc(time.Duration(s.rng.IntN(1500))*time.Millisecond, m.Start)
	err := by(raftnode.Member{ID: id, PeerURL: peerURL(id)})
	if err != nil && timer.Stop() {
		s.down[id] = true
	}
	return err
}

// settle waits until all members agree on the membership and hold the same
// state, and nobody else runs.
func (s *script) settle(t *testing.T) {
	t.Helper()
	eventually(t, "all members agree", func() bool {
		s.revive()
		members, via := s.members()
		if via == nil {
			return false
		}
		_, want := via.machine.Hash()
		for _, mb := range members {
			m := s.c.Member(mb.ID)
			node := m.Node()
			if node == nil || !slices.Equal(node.Members(), members) {
				return false
			}
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			_, err := m.DB().Get(ctx, []byte("k0"), kvstore.GetOptions{})
			cancel()
			st, serr := node.Status(context.Background())
			if _, hash := m.machine.Hash(); err != nil || serr != nil || hash != want || len(st.VotersOutgoing) > 0 {
				return false
			}
		}
		return true
	})
}

// explain logs what a failed run ended in.
func (s *script) explain(t *testing.T) {
	if !t.Failed() {
		return
	}
	members, _ := s.members()
	t.Logf("members %+v", members)
	for _, m := range s.c.Members() {
		if node := m.Node(); node != nil {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			st, err := node.Status(ctx)
			cancel()
			if st.Applied > 0 || err != nil {
				t.Logf("member %d, %v: %+v", m.ID, err, st)
			}
		}
	}
}
