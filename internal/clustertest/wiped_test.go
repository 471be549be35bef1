package clustertest

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"kvd/internal/raftnode"
)

// wipe gives a member an empty disk, as if its directory had been deleted.
func (m *Member) wipe() {
	m.Disk = newDisk(rand.New(rand.NewPCG(m.ID, 9)))
}

// TestWipedLearnerStartsAgain is about a member that comes back under its old id
// with nothing of what it had acknowledged: the leader goes on from where it
// was, and the library panics on a commit index that the new log does not
// reach (etcd issues 20269 and 21178). It must neither panic nor serve nor hold up
// the others; removed and added under a new id it is a member again.
func TestWipedLearnerStartsAgain(t *testing.T) {
	tests := []struct {
		name    string
		entries int // that it had got before it lost them
	}{
		{"before the first entry", 0},
		{"after a few entries", 10},
		{"after snapshots", 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
				if _, err := leader.Node().AddMember(within(t, 10*time.Second), raftnode.Member{PeerURL: peerURL(4)}); err != nil {
					t.Fatal(err)
				}
				learner := c.Member(4)
				learner.Start()
				if tt.entries > 0 {
					for i := range tt.entries {
						put(t, leader, fmt.Sprint("k", i%10), fmt.Sprint(i))
					}
					caughtUp(t, leader, learner)
				}
				learner.Crash()
				learner.wipe()
				learner.Start()
				for i := range 100 {
					put(t, leader, fmt.Sprint("k", i%10), fmt.Sprint("again", i))
					time.Sleep(20 * time.Millisecond)
				}
				for _, m := range c.Members() {
					if err, ended := m.Ended(); ended {
						t.Errorf("member %d has ended: %v", m.ID, err)
					}
				}
				if learner.Node().Ready() == nil {
					// It may have been given all of it anew. Then it must have it.
					settle(t, c)
				}
				// The remedy.
				if err := leader.Node().RemoveMember(within(t, 10*time.Second), 4, false); err != nil {
					t.Fatal(err)
				}
				mb, err := leader.Node().AddMember(within(t, 10*time.Second), raftnode.Member{PeerURL: peerURL(5), AutoPromote: true})
				if err != nil || mb.ID != 5 {
					t.Fatalf("add: %+v, %v", mb, err)
				}
				again := c.Member(5)
				again.Start()
				eventually(t, "the new member to serve", func() bool { return again.Node().Ready() == nil })
				if got := get(t, again, "k9"); got != "again99" {
					t.Errorf("the new member reads %q", got)
				}
			})
		})
	}
}
