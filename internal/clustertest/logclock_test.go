package clustertest

import (
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/kvstore"
)

// TestTTLAfterSlowClock: while a member leads whose clock runs more slowly than the
// others', what it grants does not end early when another takes over.
func TestTTLAfterSlowClock(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		leader.clock.set(0.5)
		for range 20 {
			put(t, leader, "k", "v")
			time.Sleep(time.Second)
		}
		granted := time.Now()
		if _, err := leader.DB().Put(within(t, time.Second), []byte("t"), nil, kvstore.PutOptions{TTL: 8 * time.Second}); err != nil {
			t.Fatal(err)
		}
		next := c.follower(leader)
		if err := leader.Node().TransferLeadership(within(t, 5*time.Second), next.ID); err != nil {
			t.Fatal(err)
		}
		for {
			r, err := next.DB().Get(within(t, time.Second), []byte("t"), kvstore.GetOptions{})
			if err != nil {
				t.Fatal(err)
			}
			if lived := time.Since(granted); !r.Found && lived < 8*time.Second {
				t.Fatalf("a key with a TTL of 8s ended after %v", lived)
			} else if !r.Found {
				return
			} else if lived > 10*time.Second {
				t.Fatalf("a key with a TTL of 8s is still there after %v", lived)
			}
			time.Sleep(50 * time.Millisecond)
		}
	})
}

// TestNoStampBeforeTheLogIsApplied: a leader that is elected long after the one
// before it has gone does not stamp what waits for it before it has seen what that
// one has stamped; its clock would go back afterwards, and leases end late. That
// the clock is never behind what is applied is checked at each entry.
func TestNoStampBeforeTheLogIsApplied(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "v")
		time.Sleep(300 * time.Millisecond) // until all know what is committed
		known := status(t, leader).Commit
		c.Net.SetFilter(func(m *raftpb.Message) Fate { return Fate{Lose: m.GetCommit() > known} })
		put(t, leader, "k", "nobody else has applied this")
		c.Net.SetFilter(func(*raftpb.Message) Fate { return Fate{Lose: true} })
		leader.Crash()
		var wg sync.WaitGroup
		for _, m := range c.Members() {
			if m == leader {
				continue
			}
			wg.Go(func() {
				if _, err := m.DB().Put(within(t, time.Minute), []byte("waits"), nil, kvstore.PutOptions{}); err != nil {
					t.Errorf("member %d: %v", m.ID, err)
				}
			})
		}
		time.Sleep(10 * time.Second)
		c.Net.SetFilter(nil)
		wg.Wait()
	})
}

// TestClockAfterReseed: a member that takes over the leader's state reckons the
// log's clock as before. The state's own clock is that of the moment at which it was
// asked for, seconds or minutes ago; a member that took it would stamp that much too
// little when it leads, and leases would end as much late. The next stamp that is
// applied mends it, so there must be none: it is looked at once the state is there.
func TestClockAfterReseed(t *testing.T) {
	cluster(t, 1, 3, func(t *testing.T, c *Cluster, leader *Member) {
		fill(t, leader, 20)
		large(t, leader)
		victim := c.follower(leader)
		// Unlike damage in memory, it is found by the verdict alone, behind which nothing
		// waits.
		victim.Forget()
		put(t, leader, "k8", "other")
		if v := verify(t, victim); !slices.Equal(v.Diverged, []uint64{victim.ID}) {
			t.Fatalf("%+v", v)
		}
		begin := time.Now()
		eventually(t, "the state of the leader", func() bool { return victim.Node().Diverged() == nil })
		synctest.Wait()
		took := time.Since(begin)
		if took < 5*time.Second {
			t.Fatalf("the state was there after %v: too soon to show anything", took)
		}
		behind := leader.Node().Clock() - victim.Node().Clock()
		t.Logf("%v behind the leader's after %v", behind, took)
		if behind < 0 || behind > time.Second {
			t.Errorf("the log's clock is %v behind the leader's after a state that took %v to come", behind, took)
		}
	})
}
