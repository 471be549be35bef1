package clustertest

import (
	"context"
	"errors"
	"testing"
	"time"

	"kvd/internal/raftnode"
)

// TestTransferTo: leadership goes where it is asked to go, from wherever.
func TestTransferTo(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		learner := add(t, c, leader, 4, false, true)
		time.Sleep(2 * time.Second)
		ctx := within(t, 60*time.Second)
		for range 2 {
			for _, to := range []uint64{1, 2, 3} {
				begin := time.Now()
				if err := learner.Node().TransferLeadership(ctx, to); err != nil {
					t.Fatalf("to member %d: %v", to, err)
				}
				if took := time.Since(begin); took > time.Second {
					t.Errorf("to member %d: took %v", to, took)
				}
				if l, err := c.WaitLeader(time.Second); err != nil || l.ID != to {
					t.Errorf("to member %d: %+v leads, %v", to, l, err)
				}
			}
		}
		for _, to := range []uint64{4, 9} {
			if err := c.Member(1).Node().TransferLeadership(ctx, to); !errors.Is(err, raftnode.ErrNotVoter) {
				t.Errorf("to member %d, which is no voter: %v", to, err)
			}
		}
		if err := learner.Node().TransferLeadership(ctx, 0); err != nil {
			t.Errorf("to anybody: %v", err)
		}
		l, err := c.WaitLeader(time.Second)
		if err != nil || l.ID == 3 {
			t.Fatalf("after a transfer to anybody %+v leads, %v", l, err)
		}
		dead := c.follower(l)
		dead.Crash()
		time.Sleep(2 * time.Second)
		if err := learner.Node().TransferLeadership(within(t, 3*time.Second), dead.ID); !errors.Is(err, raftnode.ErrNoLeader) {
			t.Errorf("to a dead one: %v", err)
		}
		put(t, l, "k", "it leads still")
		short, cancel := context.WithTimeout(context.Background(), 2*time.Second)
		defer cancel()
		for _, m := range c.Members() {
			if m != learner {
				m.Crash()
			}
		}
		time.Sleep(3 * time.Second)
		if err := learner.Node().TransferLeadership(short, 1); !errors.Is(err, raftnode.ErrNoLeader) {
			t.Errorf("with nobody left: %v", err)
		}
	})
}
