package clustertest

import (
	"slices"
	"testing"
	"time"
)

// short waits until every running member knows that the disks of ids are short of
// room, and of no others.
func short(t *testing.T, c *Cluster, limit time.Duration, ids ...uint64) {
	t.Helper()
	deadline := time.Now().Add(limit)
	for {
		wrong := false
		for _, m := range c.Members() {
			if node := m.Node(); node != nil && !slices.Equal(node.DiskShort(), ids) {
				wrong = true
			}
		}
		if !wrong {
			return
		}
		if time.Now().After(deadline) {
			for _, m := range c.Members() {
				if node := m.Node(); node != nil {
					t.Errorf("member %d knows that disks %v are short, want %v within %v", m.ID, node.DiskShort(), ids, limit)
				}
			}
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// TestDiskShortIsKnownToAll: through the leader, whoever that is, and for as long
// as the member that is short says so.
func TestDiskShortIsKnownToAll(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		const soon = 1100 * time.Millisecond // the others' next report
		follower := c.follower(leader)
		short(t, c, soon)

		follower.Node().SetDiskShort(true)
		short(t, c, soon, follower.ID)
		leader.Node().SetDiskShort(true)
		both := []uint64{follower.ID, leader.ID}
		slices.Sort(both)
		short(t, c, soon, both...)
		leader.Node().SetDiskShort(false)
		short(t, c, soon, follower.ID)

		// A leader that is new knows it at once, and never forgets it meanwhile.
		for range 3 {
			was := c.Leader()
			if err := was.Node().TransferLeadership(within(t, 5*time.Second), 0); err != nil {
				t.Fatal(err)
			}
			for range 50 {
				for _, m := range c.Members() {
					if got := m.Node().DiskShort(); !slices.Equal(got, []uint64{follower.ID}) {
						t.Fatalf("after member %d led, member %d knows %v", was.ID, m.ID, got)
					}
				}
				time.Sleep(100 * time.Millisecond)
			}
		}
		follower.Node().SetDiskShort(false)
		short(t, c, soon)

		// One that is gone is forgotten: its disk is nobody's limit any more.
		follower.Node().SetDiskShort(true)
		short(t, c, soon, follower.ID)
		follower.Crash()
		short(t, c, 8*time.Second)
	})
}
