package clustertest

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// fill writes some of everything that a state can hold.
func fill(t testing.TB, m *Member, n int) {
	t.Helper()
	ctx := within(t, time.Minute)
	lease, err := m.DB().GrantLease(ctx, time.Hour, kvstore.WriteOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for i := range n {
		o := kvstore.PutOptions{ContentType: "text/plain"}
		switch i % 4 {
		case 1:
			o.Lease = lease.Lease
		case 2:
			o.TTL = time.Hour
		case 3:
			o.IdempotencyKey = fmt.Sprint("request", i)
		}
		if _, err := m.DB().Put(ctx, fmt.Appendf(nil, "k%d", i), []byte("value"), o); err != nil {
			t.Fatal(err)
		}
	}
}

// verify has the members compare their states, as they are now or later, and returns
// what they found.
func verify(t testing.TB, m *Member) raftnode.Verification {
	t.Helper()
	ctx, now := within(t, time.Minute), uint64(0)
	for _, other := range m.c.Members() {
		node := other.Node()
		if node == nil {
			continue
		}
		if st, err := node.Status(ctx); err == nil {
			now = max(now, st.Applied)
		}
	}
	for {
		v, err := m.Node().Verify(ctx)
		if err != nil {
			t.Fatalf("verify on member %d: %v", m.ID, err)
		}
		if v.Index > now { // not one that was under way
			return v
		}
	}
}

// flip alters a key in a member's memory, once the member has it.
func flip(t testing.TB, m *Member, key string) {
	t.Helper()
	get(t, m, key)
	if !m.Flip(key) {
		t.Fatalf("member %d has no %s", m.ID, key)
	}
}

func clean(v raftnode.Verification, members int) bool {
	var hashes []uint64
	for _, h := range v.Hashes {
		hashes = append(hashes, h)
	}
	slices.Sort(hashes)
	return len(hashes) == members && len(slices.Compact(hashes)) == 1 && len(v.Missing) == 0 && len(v.Diverged) == 0
}

// TestVerify: any member can have the states compared; it is done without
// asking, too, although nothing is written.
func TestVerify(t *testing.T) {
	cluster(t, 1, 3, func(t *testing.T, c *Cluster, leader *Member) {
		if v, ok := leader.Node().LastVerification(); ok {
			t.Errorf("verified before the first time: %+v", v)
		}
		fill(t, leader, 80)
		last := uint64(0)
		for _, m := range c.Members() {
			v := verify(t, m)
			if !clean(v, 3) || v.Index <= last {
				t.Errorf("asked of member %d: %+v after index %d", m.ID, v, last)
			}
			last = v.Index
		}
		time.Sleep(3 * time.Minute)
		for _, m := range c.Members() {
			v, ok := m.Node().LastVerification()
			if age := time.Since(v.At); !ok || !clean(v, 3) || age > 31*time.Second {
				t.Errorf("member %d after three minutes: %+v of %v ago", m.ID, v, age)
			}
		}
	})
}

// TestVerifyWithoutOne: a member that is not there is missing, and held up
// nobody for long; without a quorum there is no verdict.
func TestVerifyWithoutOne(t *testing.T) {
	cluster(t, 1, 3, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 10)
		away := c.follower(leader)
		away.Crash()
		begin := time.Now()
		v := verify(t, leader)
		if len(v.Hashes) != 2 || !slices.Equal(v.Missing, []uint64{away.ID}) || len(v.Diverged) != 0 {
			t.Errorf("%+v", v)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
		for _, m := range c.Members() {
			if m != leader {
				m.Crash()
			}
		}
		if v, err := leader.Node().Verify(within(t, 5*time.Second)); !errors.Is(err, raftnode.ErrNoLeader) {
			t.Errorf("without a quorum: %+v, %v", v, err)
		}
	})
}

// TestAlteredMember: a bit that flips in memory, and a command that was applied
// another way, in a follower and in the leader, of two and of three: the member
// is found within a minute, does not lead any more, is given the state of the
// others, and starts from that later.
func TestAlteredMember(t *testing.T) {
	for _, size := range []int{2, 3} {
		for _, leads := range []bool{false, true} {
			for name, alter := range map[string]func(t *testing.T, m, other *Member){
				"bit": func(t *testing.T, m, _ *Member) {
					flip(t, m, "k7")
				},
				"command": func(t *testing.T, m, other *Member) {
					m.Forget()
					put(t, other, "k8", "other")
				},
			} {
				t.Run(fmt.Sprintf("%s/%d/leads=%v", name, size, leads), func(t *testing.T) {
					cluster(t, 3, size, func(t *testing.T, c *Cluster, leader *Member) {
						alteredMember(t, c, leader, leads, name, alter)
					})
				})
			}
		}
	}
}

func alteredMember(t *testing.T, c *Cluster, leader *Member, leads bool, name string, alter func(t *testing.T, m, other *Member)) {
	size := len(c.Members())
	fill(t, leader, 120)
	// The worst moment is just after a comparison.
	for {
		if _, ok := leader.Node().LastVerification(); ok {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	victim, other := c.follower(leader), leader
	if leads {
		victim, other = leader, c.follower(leader)
	}
	alter(t, victim, other)
	// Of two that differ and find nothing wrong with themselves, the leader is right.
	wrong := victim
	if size == 2 && leads && name == "command" {
		wrong = other
	}
	before := status(t, wrong)
	begin := time.Now()
	var found error
	for told := false; found == nil && !told; {
		if time.Sleep(10 * time.Millisecond); time.Since(begin) > time.Minute {
			t.Fatal("not found within a minute")
		}
		found = wrong.Node().Diverged()
		v, _ := wrong.Node().LastVerification()
		told = slices.Contains(v.Diverged, wrong.ID) // it may have a good state already
	}
	if found != nil && !errors.Is(found, raftnode.ErrDiverged) {
		t.Errorf("diverged %v", found)
	}
	t.Logf("found after %v: %v", time.Since(begin), found)
	eventually(t, "the state of the others", func() bool { return wrong.Node().Diverged() == nil })
	if wrong.Node().Leads() && wrong == leader {
		t.Error("it leads again at once")
	}
	if wrong == victim && wrong.Altered() {
		t.Error("its state was not replaced")
	}
	put(t, wrong, "k9", "written there")
	for _, m := range c.Members() {
		if got := get(t, m, "k9"); got != "written there" {
			t.Errorf("member %d reads %q", m.ID, got)
		}
		if want, got := get(t, c.Member(1), "k7"), get(t, m, "k7"); got != want {
			t.Errorf("member %d reads %q, member 1 %q", m.ID, got, want)
		}
	}
	v := verify(t, other)
	if !clean(v, size) {
		t.Errorf("afterwards: %+v", v)
	}
	st, err := wrong.Node().Status(within(t, time.Second))
	if err != nil || st.SnapshotIndex <= before.SnapshotIndex {
		t.Errorf("no snapshot of the new state is recorded: %d, %v", st.SnapshotIndex, err)
	}
	if err := wrong.Crash(); err != nil && !errors.Is(err, ErrCrashed) {
		t.Errorf("crashed with %v", err)
	}
	wrong.Start()
	eventually(t, "the member after a restart", func() bool {
		_, err := wrong.DB().Get(within(t, time.Second), []byte("k9"), kvstore.GetOptions{})
		return err == nil
	})
	if v := verify(t, other); !clean(v, size) {
		t.Errorf("after a restart: %+v", v)
	}
	if err := wrong.Node().Diverged(); err != nil {
		t.Errorf("after a restart: %v", err)
	}
}

// TestDivergedMemberKeepsItToItself: as long as it has no good state it writes no
// snapshot, and goes on with the log.
func TestDivergedMemberKeepsItToItself(t *testing.T) {
	// It never falls behind the log: what raft sends then has no body here either.
	cfg := raftnode.Config{SnapshotEntries: 50, CatchUpEntries: 10_000}
	configured(t, 1, 3, cfg, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 120)
		time.Sleep(time.Second)
		victim := c.follower(leader)
		c.Net.NoBodies(true)
		victim.Forget()
		put(t, leader, "k7", "other")
		eventually(t, "divergence", func() bool {
			_ = verify(t, leader)
			return victim.Node().Diverged() != nil
		})
		before, err := victim.Node().Status(within(t, time.Second))
		if err != nil {
			t.Fatal(err)
		}
		if body, _, err := victim.Node().OpenSnapshot(before.SnapshotIndex); !errors.Is(err, raftnode.ErrDiverged) {
			t.Errorf("it offers a snapshot: %v, %v", body, err)
		}
		for i := range 200 {
			put(t, leader, "after", fmt.Sprint(i))
		}
		time.Sleep(30 * time.Second)
		// It may be waiting for a state just now, which it gives up after a while.
		eventually(t, "the log applied", func() bool { return status(t, victim).Applied+20 >= status(t, leader).Applied })
		if victim.Node().Diverged() == nil {
			t.Fatal("it has a good state")
		}
		if after := status(t, victim); after.SnapshotIndex != before.SnapshotIndex {
			t.Errorf("snapshot %d became %d", before.SnapshotIndex, after.SnapshotIndex)
		}
		c.Net.NoBodies(false)
		eventually(t, "the state of the others", func() bool { return victim.Node().Diverged() == nil })
		if v := verify(t, leader); !clean(v, 3) {
			t.Errorf("afterwards: %+v", v)
		}
	})
}

// large makes the state take about ten seconds to fetch.
func large(t testing.TB, m *Member) {
	t.Helper()
	for i := range 10 {
		_, err := m.DB().Put(within(t, time.Minute), fmt.Appendf(nil, "large%d", i), make([]byte, 1<<20), kvstore.PutOptions{})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// TestWritesGoOnDuringReseed: while a member waits for the leader's state it takes
// part in the log. In a cluster of two nothing could be written otherwise.
func TestWritesGoOnDuringReseed(t *testing.T) {
	cluster(t, 1, 2, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 20)
		large(t, leader)
		victim := c.follower(leader)
		before, _ := leader.Node().Status(within(t, time.Second))
		flip(t, victim, "k7")
		if v := verify(t, leader); !slices.Equal(v.Diverged, []uint64{victim.ID}) {
			t.Fatalf("%+v", v)
		}
		writes := 0
		for victim.Node().Diverged() != nil && writes < 1000 {
			begin := time.Now()
			put(t, leader, "during", fmt.Sprint(writes))
			if took := time.Since(begin); took > time.Second {
				t.Errorf("write %d took %v", writes, took)
			}
			writes++
			time.Sleep(50 * time.Millisecond)
		}
		after, _ := leader.Node().Status(within(t, time.Second))
		if writes < 100 || writes == 1000 || after.Term != before.Term {
			t.Errorf("%d writes while it had no good state; term %d became %d", writes, before.Term, after.Term)
		}
		if got := get(t, victim, "during"); got != fmt.Sprint(writes-1) {
			t.Errorf("it reads %q after %d writes", got, writes)
		}
		if v := verify(t, leader); !clean(v, 2) {
			t.Errorf("afterwards: %+v", v)
		}
	})
}

// TestLeaderLostDuringReseed: the member does not wait for one that is gone, and
// is given the state of the next.
func TestLeaderLostDuringReseed(t *testing.T) {
	cluster(t, 1, 3, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 20)
		large(t, leader)
		victim := c.follower(leader)
		flip(t, victim, "k7")
		verify(t, leader)
		time.Sleep(5 * time.Second) // it is fetching now
		if victim.Node().Diverged() == nil {
			t.Fatal("it has a good state already")
		}
		leader.Crash()
		begin := time.Now()
		eventually(t, "the state of the next leader", func() bool { return victim.Node().Diverged() == nil })
		t.Logf("took %v", time.Since(begin))
		put(t, victim, "k", "v")
		leader.Start()
		eventually(t, "the crashed leader", func() bool { return leader.Node().Ready() == nil })
		if v := verify(t, victim); !clean(v, 3) {
			t.Errorf("afterwards: %+v", v)
		}
	})
}

// TestSnapshotHealsDivergedMember: one that has fallen behind the log is given a
// snapshot by raft, and needs no other.
func TestSnapshotHealsDivergedMember(t *testing.T) {
	cluster(t, 1, 3, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 10)
		victim := c.follower(leader)
		c.Net.NoBodies(true)
		flip(t, victim, "k7")
		if v := verify(t, leader); !slices.Equal(v.Diverged, []uint64{victim.ID}) {
			t.Fatalf("%+v", v)
		}
		time.Sleep(3 * time.Second) // it waits for the leader's state
		c.Net.Isolate(victim.ID, 1, 2, 3)
		time.Sleep(15 * time.Second) // and no more
		for i := range 200 {
			put(t, leader, "k", fmt.Sprint(i))
		}
		c.Net.NoBodies(false)
		c.Net.Heal()
		eventually(t, "a good state", func() bool { return !victim.Altered() && victim.Node().Diverged() == nil })
		if n := c.Net.Fetched(); n != 0 {
			t.Errorf("it asked for %d more", n)
		}
		if v := verify(t, victim); !clean(v, 3) {
			t.Errorf("afterwards: %+v", v)
		}
	})
}

// TestDivergedAlone: a member without others has nobody to ask. It says so, and a
// restart helps: its disk has what its memory lost.
func TestDivergedAlone(t *testing.T) {
	cluster(t, 1, 1, func(t *testing.T, c *Cluster, m *Member) {
		fill(t, m, 120)
		time.Sleep(time.Second)
		flip(t, m, "k119")
		if v := verify(t, m); !slices.Equal(v.Diverged, []uint64{1}) || m.Node().Diverged() == nil {
			t.Errorf("%+v, %v", v, m.Node().Diverged())
		}
		time.Sleep(2 * time.Minute)
		if m.Node().Diverged() == nil {
			t.Error("it forgot")
		}
		m.Crash()
		m.Start()
		eventually(t, "a read", func() bool { return m.Node().Ready() == nil })
		if got := get(t, m, "k119"); got != "value" {
			t.Errorf("reads %q", got)
		}
		if v := verify(t, m); !clean(v, 1) {
			t.Errorf("%+v", v)
		}
	})
}

// TestVerifyWithLearner: it is compared too, and does not vote on what is right.
func TestVerifyWithLearner(t *testing.T) {
	cluster(t, 1, 3, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 120) // so that it needs a snapshot
		learner := c.Member(4)
		if _, err := leader.Node().AddMember(within(t, 10*time.Second), raftnode.Member{ID: 4, PeerURL: peerURL(4)}); err != nil {
			t.Fatal(err)
		}
		learner.Start()
		eventually(t, "the learner", func() bool { return learner.Node().Ready() == nil })
		if v := verify(t, learner); !clean(v, 4) {
			t.Errorf("%+v", v)
		}
		learner.Forget()
		put(t, leader, "k", "v")
		if v := verify(t, learner); !slices.Equal(v.Diverged, []uint64{4}) {
			t.Errorf("%+v", v)
		}
		eventually(t, "the state of the others", func() bool { return learner.Node().Diverged() == nil })
		if v := verify(t, leader); !clean(v, 4) {
			t.Errorf("afterwards: %+v", v)
		}
	})
}
