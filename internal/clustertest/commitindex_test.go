package clustertest

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/raftnode"
)

// appends counts what one member sends to another.
type appends struct {
	mu            sync.Mutex
	filled, empty int // MsgApp with entries, and without
	from, to      uint64
}

func (a *appends) see(m *raftpb.Message) Fate {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case m.GetType() != raftpb.MsgApp || m.GetFrom() != a.from || m.GetTo() != a.to:
	case len(m.GetEntries()) > 0:
		a.filled++
	default:
		a.empty++
	}
	return Fate{}
}

func (a *appends) counts() (filled, empty int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.filled, a.empty
}

// TestFollowersHearOfACommit: with no batch to come, followers know what is committed
// one delay of the network after the leader does, and wait for no heartbeat.
func TestFollowersHearOfACommit(t *testing.T) {
	const delay = time.Millisecond
	configured(t, 1, 3, raftnode.Config{VerifyEvery: -1}, func(t *testing.T, c *Cluster, leader *Member) {
		c.Net.SetDefault(Link{MinDelay: delay, MaxDelay: delay})
		time.Sleep(10 * time.Second) // all have told the others of themselves
		for i := range 20 {
			put(t, leader, "k", fmt.Sprint(i))
			st, err := leader.Node().Status(within(t, time.Second))
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(delay)
			synctest.Wait()
			for _, m := range c.Members() {
				if got, err := m.Node().Status(within(t, time.Second)); err != nil || got.Commit < st.Commit {
					t.Fatalf("put %d: member %d knows of %d, the leader of %d (%v)", i, m.ID, got.Commit, st.Commit, err)
				}
			}
		}
	})
}

// TestOneMessageForEachBatch: while one batch follows the other, what is committed is
// told with the next of them.
func TestOneMessageForEachBatch(t *testing.T) {
	configured(t, 1, 3, raftnode.Config{VerifyEvery: -1}, func(t *testing.T, c *Cluster, leader *Member) {
		time.Sleep(10 * time.Second)
		seen := &appends{from: leader.ID, to: c.follower(leader).ID}
		c.Net.SetFilter(seen.see)
		var wg sync.WaitGroup
		for i := range 32 {
			wg.Go(func() {
				for range 50 {
					put(t, leader, fmt.Sprint(i), "v")
				}
			})
		}
		wg.Wait()
		c.Net.SetFilter(nil)
		filled, empty := seen.counts()
		t.Logf("%d appends with entries, %d without", filled, empty)
		if filled < 50 {
			t.Fatalf("only %d batches: the run shows nothing", filled)
		}
		if 4*empty > filled {
			t.Errorf("%d appends only told of a commit index, beside %d with entries", empty, filled)
		}
	})
}
