package test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// TestMembershipChanges carries out a script of membership changes of all kinds
// while clients write and members are killed. Every acknowledged write is kept,
// and none waits for longer than two election timeouts and a second after the
// last fault.
func TestMembershipChanges(t *testing.T) {
	t.Parallel()
	steps := int(envNumber(t, "KVD_CHANGES", 9))
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	s := newChangeScript(t, seed)
	w := startWriters(t, "w/", 300, 3*time.Millisecond, goPutters(t, 4, s.places...)...)
	s.w = w
	w.waitMore(10*time.Second, 50)
	for s.done < steps {
		s.step()
	}
	w.waitMore(10*time.Second, 50)
	w.stop()
	t.Logf("%d changes: %v; %d kills; %d writes", s.done, s.count, s.kills, w.count())

	c := &cluster{t: t, members: s.live}
	c.waitReady()
	w.wantNoneFailed()
	w.wantAll(s.live...)
	const election = time.Second // the default --tick and --election-ticks
	limit := 2*election + time.Second
	worst := time.Duration(0)
	for _, x := range w.between(time.Time{}, time.Now()) {
		from := x.began
		for _, f := range s.faults {
			if f.at.After(from) && f.at.Before(x.ended) {
				from = f.at
			}
		}
		waited := x.ended.Sub(from)
		worst = max(worst, waited)
		if waited > limit {
			t.Errorf("a write took %v, %v of it after the last fault (%s), want at most %v", x.took(), waited, s.lastFault(x.ended), limit)
		}
	}
	t.Logf("the longest wait after a fault was %v", worst.Round(time.Millisecond))
}

// changeScript changes the membership of a cluster that lives at some of a
// fixed number of places, so that clients have a fixed list of addresses.
type changeScript struct {
	t      *testing.T
	rng    *rand.Rand
	places []*member // addresses: what sits there changes
	live   []*member
	nextID uint64
	deck   []string
	victim *member // of the present step; nil: nobody
	w      *writers

	done, kills int
	count       map[string]int
	faults      []moment
}

type moment struct {
	at   time.Time
	what string
}

func newChangeScript(t *testing.T, seed uint64) *changeScript {
	s := &changeScript{t: t, rng: rand.New(rand.NewPCG(seed, 0x40)), count: map[string]int{}, nextID: 10}
	c := startCluster(t, 3)
	s.live = slices.Clone(c.members)
	s.places = slices.Clone(c.members)
	for range 3 {
		s.places = append(s.places, newMember(t, 0))
	}
	for _, m := range s.live {
		m.listensAt()           // the flags say it, whatever its URL will be
		m.dropFlag("--cluster") // it is for the founding, and says where they were then
	}
	return s
}

func (s *changeScript) fault(what string) { s.faults = append(s.faults, moment{time.Now(), what}) }

func (s *changeScript) lastFault(before time.Time) string {
	last := "none"
	for _, f := range s.faults {
		if f.at.Before(before) {
			last = fmt.Sprintf("%s, %v before", f.what, before.Sub(f.at).Round(time.Millisecond))
		}
	}
	return last
}

// step does the next change that the size of the cluster allows, most times
// with a member killed in the middle of it.
func (s *changeScript) step() {
	s.t.Helper()
	if len(s.deck) == 0 {
		s.deck = []string{"add", "add and promote", "replace", "remove a follower", "remove the leader", "address by PATCH", "address by restart"}
		s.rng.Shuffle(len(s.deck), func(i, j int) { s.deck[i], s.deck[j] = s.deck[j], s.deck[i] })
	}
	i := slices.IndexFunc(s.deck, func(kind string) bool {
		switch kind {
		case "add", "add and promote":
			return len(s.live) < 5
		case "remove a follower", "remove the leader":
			return len(s.live) > 3
		}
		return true
	})
	kind := "add"
	if i >= 0 {
		kind = s.deck[i]
		s.deck = slices.Delete(s.deck, i, i+1)
	} else if len(s.live) == 5 {
		kind = "remove a follower"
	}
	// Whom it is about is not killed: what is not there cannot be moved.
	leader := (&cluster{t: s.t, members: s.live}).leader()
	target := s.live[s.rng.IntN(len(s.live))]
	switch kind {
	case "remove the leader":
		target = leader
	case "remove a follower":
		for target == leader {
			target = s.live[s.rng.IntN(len(s.live))]
		}
	}
	victim := s.live[s.rng.IntN(len(s.live))]
	after := time.Duration(s.rng.IntN(150)) * time.Millisecond
	// One that has moved can be reached once a majority without it has been told.
	moves := kind == "address by restart" && len(s.live) < 5
	if s.rng.IntN(4) == 0 || victim == target || moves {
		victim = nil
	}
	s.victim = victim
	began := time.Now()
	s.fault(kind)
	killed := make(chan struct{})
	go func() {
		defer close(killed)
		if victim != nil {
			pause(nil, after)
			victim.kill()
		}
	}()
	what := s.change(kind, target)
	<-killed
	by := "nobody"
	if victim != nil {
		by = fmt.Sprintf("member %d (after %v)", victim.id, after)
		s.kills++
		victim.start()
		victim.waitReady(20 * time.Second)
	}
	s.fault("end of " + kind)
	s.done++
	s.count[kind]++
	s.t.Logf("%2d. %s, %s killed: %v, members %v", s.done, what, by, time.Since(began).Round(time.Millisecond), ids(s.live))
	if s.t.Failed() {
		s.t.FailNow()
	}
	s.w.waitMore(10*time.Second, 20)
}
