package clustertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// virtual runs f on a started cluster of three, in virtual time.
func virtual(t *testing.T, f func(t *testing.T, c *Cluster, leader *Member)) { cluster(t, 1, 3, f) }

// cluster runs f on a started cluster of some size that takes snapshots often, in
// virtual time.
func cluster(t *testing.T, seed uint64, size int, f func(t *testing.T, c *Cluster, leader *Member)) {
	configured(t, seed, size, raftnode.Config{SnapshotEntries: 50, CatchUpEntries: 5}, f)
}

// configured runs f on a started cluster whose members all have cfg, in virtual time.
func configured(t *testing.T, seed uint64, size int, cfg raftnode.Config, f func(t *testing.T, c *Cluster, leader *Member)) {
	seed = seeded(t, seed)
	synctest.Test(t, func(t *testing.T) {
		c := New(t, seed, size, cfg)
		defer c.Close()
		c.StartAll()
		leader, err := c.WaitLeader(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		f(t, c, leader)
		for _, v := range c.Violations() {
			t.Errorf("invariant broken: %s", v)
		}
	})
}

// seeded makes all that is random in a scene follow from the seed that it returns: the
// scene's own, and with -seed=N another, in which the same must hold.
func seeded(t *testing.T, scene uint64) uint64 {
	seed := scene + *firstSeed - 1
	cryptotest.SetGlobalRandom(t, seed)
	return seed
}

func within(t testing.TB, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

func put(t testing.TB, m *Member, key, value string) {
	t.Helper()
	if _, err := m.DB().Put(within(t, 10*time.Second), []byte(key), []byte(value), kvstore.PutOptions{}); err != nil {
		t.Fatalf("put %s on member %d: %v", key, m.ID, err)
	}
}

func get(t testing.TB, m *Member, key string) string {
	t.Helper()
	r, err := m.DB().Get(within(t, 10*time.Second), []byte(key), kvstore.GetOptions{})
	if err != nil {
		t.Fatalf("get %s on member %d: %v", key, m.ID, err)
	}
	return string(r.Value)
}

// follower returns a member other than the leader.
func (c *Cluster) follower(leader *Member) *Member {
	for _, m := range c.Members() {
		if m != leader {
			return m
		}
	}
	return nil
}

// eventually waits, in virtual time, until f holds.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for range 600 {
		if f() {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("%s: not within 30s", what)
}

func TestEveryMemberServes(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, _ *Member) {
		for i := range 100 {
			for _, m := range c.Members() {
				value := fmt.Sprint(i, m.ID)
				put(t, m, "k", value)
				for _, other := range c.Members() {
					if got := get(t, other, "k"); got != value {
						t.Fatalf("member %d reads %q after member %d wrote %q", other.ID, got, m.ID, value)
					}
				}
			}
		}
		st, err := c.Member(1).Node().Status(within(t, time.Second))
		if err != nil || st.SnapshotIndex == 0 {
			t.Errorf("no snapshot after %d entries: %v", st.Applied, err)
		}
		for _, mb := range c.Member(2).Node().Members() {
			if !mb.Started || mb.Name != fmt.Sprintf("n%d", mb.ID) || mb.ClientURL == "" {
				t.Errorf("member is not published: %+v", mb)
			}
		}
	})
}

func TestMemberJoinsAndIsPromoted(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		for i := range 200 { // so that it needs a snapshot
			put(t, leader, fmt.Sprint("k", i), "x")
		}
		asked := c.follower(leader)
		mb, err := asked.Node().AddMember(within(t, 10*time.Second), raftnode.Member{PeerURL: peerURL(4), AutoPromote: true})
		if err != nil || mb.ID != 4 || !mb.Learner {
			t.Fatalf("add: %+v, %v", mb, err)
		}
		if _, err := asked.Node().AddMember(within(t, 10*time.Second), raftnode.Member{ID: 9, PeerURL: peerURL(4)}); !errors.Is(err, raftnode.ErrMemberExists) {
			t.Errorf("same address again: %v", err)
		}
		joined := c.Member(4)
		joined.Start()
		eventually(t, "promotion", func() bool {
			for _, mb := range leader.Node().Members() {
				if mb.ID == 4 {
					return !mb.Learner && mb.Started
				}
			}
			return false
		})
		put(t, joined, "from", "four")
		if got := get(t, leader, "from"); got != "four" {
			t.Errorf("leader reads %q", got)
		}
		if got := get(t, joined, "k199"); got != "x" {
			t.Errorf("joined member reads %q", got)
		}
	})
}

func TestRemovedMemberEnds(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		victim := c.follower(leader)
		if err := leader.Node().RemoveMember(within(t, 10*time.Second), victim.ID, false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "end of the removed member", func() bool {
			err, ended := victim.Ended()
			return ended && errors.Is(err, raftnode.ErrRemoved)
		})
		put(t, leader, "k", "two members")
		ctx := within(t, 10*time.Second)
		if _, err := leader.Node().AddMember(ctx, raftnode.Member{ID: victim.ID, PeerURL: "http://new:1"}); !errors.Is(err, raftnode.ErrIDRemoved) {
			t.Errorf("id used again: %v", err)
		}
		if err := leader.Node().RemoveMember(ctx, victim.ID, false); !errors.Is(err, raftnode.ErrNoSuchMember) {
			t.Errorf("removed again: %v", err)
		}
		// One that was away when it was removed is told by its peers.
		victim.Crash()
		victim.Start()
		eventually(t, "end of the removed member that came back", func() bool {
			err, ended := victim.Ended()
			return ended && errors.Is(err, raftnode.ErrRemoved)
		})
	})
}

func TestLeaderRemovesItself(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		other := c.follower(leader)
		if err := other.Node().RemoveMember(within(t, 10*time.Second), leader.ID, false); err != nil {
			t.Fatal(err)
		}
		eventually(t, "end of the old leader", func() bool {
			err, ended := leader.Ended()
			return ended && errors.Is(err, raftnode.ErrRemoved)
		})
		put(t, other, "k", "v")
	})
}

func TestRemovalThatLosesQuorum(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		var down, up *Member
		for _, m := range c.Members() {
			switch {
			case m == leader:
			case down == nil:
				down = m
			default:
				up = m
			}
		}
		down.Crash()
		time.Sleep(3 * time.Second)
		ctx := within(t, 10*time.Second)
		if err := leader.Node().RemoveMember(ctx, up.ID, false); !errors.Is(err, raftnode.ErrWouldLoseQuorum) {
			t.Errorf("removal of one of two that are left: %v", err)
		}
		if err := up.Node().RemoveMember(ctx, down.ID, false); err != nil {
			t.Errorf("removal of the dead one, asked of a follower: %v", err)
		}
		put(t, up, "k", "v")
	})
}

// TestPendingChange: a second change is refused while the first cannot commit.
func TestPendingChange(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		for _, m := range c.Members() {
			if m != leader {
				c.Net.SetLink(m.ID, leader.ID, Link{Drop: 1})
			}
		}
		first := make(chan error, 1)
		ctx := within(t, 10*time.Second)
		go func() {
			_, err := leader.Node().AddMember(ctx, raftnode.Member{PeerURL: "http://a:1"})
			first <- err
		}()
		time.Sleep(10 * time.Millisecond)
		short := within(t, 350*time.Millisecond)
		if _, err := leader.Node().AddMember(short, raftnode.Member{PeerURL: "http://b:1"}); !errors.Is(err, raftnode.ErrConfigChangePending) {
			t.Errorf("second change: %v", err)
		}
		c.Net.Heal()
		if err := <-first; err != nil && !errors.Is(err, raftnode.ErrNoLeader) && !errors.Is(err, raftnode.ErrOutcomeUnknown) {
			t.Errorf("first change: %v", err)
		}
	})
}

func TestLeadershipTransfer(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		begin := time.Now()
		if err := leader.Node().TransferLeadership(within(t, 5*time.Second), 0); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v, longer than an election timeout", took)
		}
		eventually(t, "another leader", func() bool {
			l := c.Leader()
			return l != nil && l != leader
		})
		put(t, leader, "k", "through the new leader")
	})
}

// TestIsolatedFollower: reads and writes fail in time and say so; stale reads
// go on.
func TestIsolatedFollower(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "v")
		m := c.follower(leader)
		get(t, m, "k")
		c.Net.Isolate(m.ID, 1, 2, 3)
		time.Sleep(5 * time.Second)
		begin := time.Now()
		if _, err := m.DB().Get(within(t, 2*time.Second), []byte("k"), kvstore.GetOptions{}); !errors.Is(err, raftnode.ErrNoLeader) {
			t.Errorf("linearizable read: %v", err)
		}
		if _, err := m.DB().Put(within(t, 2*time.Second), []byte("k"), nil, kvstore.PutOptions{}); !errors.Is(err, raftnode.ErrNoLeader) {
			t.Errorf("write: %v", err)
		}
		if took := time.Since(begin); took != 4*time.Second {
			t.Errorf("took %v, want the 4s of the deadlines", took)
		}
		if r, err := m.DB().Get(within(t, time.Second), []byte("k"), kvstore.GetOptions{Stale: true}); err != nil || string(r.Value) != "v" {
			t.Errorf("stale read: %q %v", r.Value, err)
		}
		if age, ok := m.Node().Staleness(); !ok || age < 5*time.Second {
			t.Errorf("staleness %v %v", age, ok)
		}
		term := leader.Node()
		before, _ := term.Status(within(t, time.Second))
		c.Net.Heal()
		eventually(t, "a read on the healed member", func() bool {
			_, err := m.DB().Get(within(t, time.Second), []byte("k"), kvstore.GetOptions{})
			return err == nil
		})
		// PreVote: coming back disturbs nobody.
		if after, _ := term.Status(within(t, time.Second)); after.Term != before.Term || after.Leader != before.Leader {
			t.Errorf("term %d led by %d became term %d led by %d", before.Term, before.Leader, after.Term, after.Leader)
		}
	})
}

// TestDeposedLeader: a leader that lost its majority stops answering; what it
// had proposed ends unknown, or surely not applied, never in a false success.
func TestDeposedLeader(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "old")
		c.Net.Isolate(leader.ID, 1, 2, 3)
		_, err := leader.DB().Put(within(t, 2*time.Second), []byte("k"), []byte("lost"), kvstore.PutOptions{})
		if !errors.Is(err, raftnode.ErrOutcomeUnknown) {
			t.Errorf("write on an isolated leader: %v", err)
		}
		m := c.follower(leader)
		put(t, m, "k", "new")
		if _, err := leader.DB().Get(within(t, 2*time.Second), []byte("k"), kvstore.GetOptions{}); err == nil {
			t.Error("the deposed leader served a read")
		}
		c.Net.Heal()
		eventually(t, "the new value on the old leader", func() bool {
			r, err := leader.DB().Get(within(t, time.Second), []byte("k"), kvstore.GetOptions{})
			return err == nil && string(r.Value) == "new"
		})
	})
}

// TestSingleVoterReadsAfterCrash: a single voter must not answer before it
// knows what it had committed in its last life.
func TestSingleVoterReadsAfterCrash(t *testing.T) {
	for scene := range uint64(30) {
		seed := seeded(t, scene)
		synctest.Test(t, func(t *testing.T) {
			c := New(t, seed, 1, raftnode.Config{SnapshotEntries: 1000})
			defer c.Close()
			c.StartAll()
			m := c.Member(1)
			for i := range 20 {
				put(t, m, "k", fmt.Sprint(i))
			}
			m.Crash()
			m.Start()
			if got := get(t, m, "k"); got != "19" {
				t.Errorf("seed %d: read %q after a crash, want 19", seed, got)
			}
		})
	}
}

// TestNewLeaderIsFresh: from the moment it leads, a leader's own state is as new as
// any. Its first tick may be far away.
func TestNewLeaderIsFresh(t *testing.T) {
	seed := seeded(t, 1)
	synctest.Test(t, func(t *testing.T) {
		c := New(t, seed, 3, raftnode.Config{})
		defer c.Close()
		c.StartAll()
		for range 10_000 {
			for _, m := range c.Members() {
				if !m.Node().Leads() {
					continue
				}
				if age, ok := m.Node().Staleness(); !ok || age > 10*time.Millisecond {
					t.Errorf("it has led for a millisecond at most, and is %v old, %v", age, ok)
				}
				return
			}
			time.Sleep(time.Millisecond)
		}
		t.Error("no leader")
	})
}
