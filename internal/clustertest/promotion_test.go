package clustertest

import (
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/raftnode"
)

// TestPromotionWaitsForTheLog: a learner that answers and does not have the log
// becomes no voter, by itself or by hand: it would count for a quorum and add
// nothing to it. Nothing of the log reaches it here, while all else does.
func TestPromotionWaitsForTheLog(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "v")
		c.Net.SetFilter(func(m *raftpb.Message) Fate {
			return Fate{Lose: m.GetTo() == 4 && m.GetType() == raftpb.MsgApp && len(m.GetEntries()) > 0}
		})
		learner := add(t, c, leader, 4, true, true)
		for i := range 100 {
			put(t, leader, "k", "v")
			time.Sleep(100 * time.Millisecond)
			if n := len(status(t, leader).Voters); n != 3 {
				t.Fatalf("%d voters after %d writes that the learner lacks", n, i+1)
			}
		}
		_, err := leader.Node().PromoteMember(within(t, 10*time.Second), 4)
		if !errors.Is(err, raftnode.ErrLearnerNotReady) {
			t.Errorf("by hand: %v, want %v", err, raftnode.ErrLearnerNotReady)
		}
		c.Net.SetFilter(nil)
		config(t, []uint64{1, 2, 3, 4}, leader, learner)
	})
}
