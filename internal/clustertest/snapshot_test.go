package clustertest

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// away lets writes pass while a member is cut off, until the log begins after what
// it has when snapshot is true.
func away(t *testing.T, c *Cluster, leader, m *Member, writes int) {
	t.Helper()
	c.Net.Isolate(m.ID, 1, 2, 3)
	for i := range writes {
		put(t, leader, fmt.Sprint("away", i), "x")
	}
}

// back heals the network and waits until the member has everything.
func back(t *testing.T, c *Cluster, leader, m *Member) {
	t.Helper()
	c.Net.Heal()
	put(t, leader, "back", "x")
	eventually(t, fmt.Sprintf("member %d catches up", m.ID), func() bool {
		r, err := m.DB().Get(within(t, time.Second), []byte("back"), kvstore.GetOptions{})
		return err == nil && r.Found
	})
}

// TestCatchUpNeedsFewSnapshots: none within the entries that are kept for it, and one
// beyond them, even though the log goes on being compacted.
func TestCatchUpNeedsFewSnapshots(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		m := c.follower(leader)
		put(t, leader, "k", "v")
		time.Sleep(time.Second)
		sent := c.Net.Snapshots()
		away(t, c, leader, m, 4) // CatchUpEntries is 5
		back(t, c, leader, m)
		if got := c.Net.Snapshots() - sent; got > 0 {
			t.Errorf("%d snapshots for 4 entries", got)
		}
		sent = c.Net.Snapshots()
		away(t, c, leader, m, 300)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for i := range 300 { // six more snapshots are taken meanwhile
				put(t, leader, fmt.Sprint("more", i), "x")
			}
		}()
		back(t, c, leader, m)
		<-done
		time.Sleep(time.Second)
		if got := c.Net.Snapshots() - sent; got < 1 || got > 3 {
			t.Errorf("%d snapshots, want one, or few more as the log moves on", got)
		}
	})
}

// TestJoinerNeedsOneSnapshot: a new member needs one that names it, and raft asks
// for it at every heartbeat while it is being written. That is no reason to write
// another one behind it.
func TestJoinerNeedsOneSnapshot(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		for i := range 200 {
			put(t, leader, fmt.Sprint("k", i), "x")
		}
		time.Sleep(time.Second)
		var written atomic.Int64
		leader.Disk.OnOp(func(op Op) error {
			if op.Name == "body" && !op.Written {
				written.Add(1)
				time.Sleep(5 * time.Second) // as 500 MB take
			}
			return nil
		})
		joined := add(t, c, leader, 4, true, true)
		eventually(t, "the state to reach member 4", func() bool { return joined.DB() != nil && status(t, joined).Applied > 200 })
		time.Sleep(10 * time.Second)
		if got := written.Load(); got != 1 {
			t.Errorf("%d snapshots were written for one new member", got)
		}
	})
}

// TestLostSnapshots: those that are cut, those whose receiver crashes while it
// writes them, and those that nobody answers: the member still catches up.
func TestLostSnapshots(t *testing.T) {
	t.Run("cut", func(t *testing.T) {
		virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
			m := c.follower(leader)
			away(t, c, leader, m, 200)
			sent := c.Net.Snapshots()
			c.Net.CutSnapshots(5)
			back(t, c, leader, m)
			if got := c.Net.Snapshots() - sent; got <= 5 {
				t.Errorf("%d snapshots were sent: none was cut", got)
			}
		})
	})
	t.Run("receiver crashes", func(t *testing.T) {
		virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
			m := c.follower(leader)
			for range 5 {
				away(t, c, leader, m, 200)
				sent := c.Net.Snapshots()
				m.Disk.Stall()
				c.Net.Heal()
				eventually(t, "a snapshot on its way", func() bool { return c.Net.Snapshots() > sent })
				time.Sleep(300 * time.Millisecond) // it is being written
				m.Crash()
				m.Start()
				back(t, c, leader, m)
			}
		})
	})
	t.Run("not answered", func(t *testing.T) {
		virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
			m := c.follower(leader)
			away(t, c, leader, m, 200)
			c.Net.Heal()
			// The member hears, and is not heard.
			c.Net.SetLink(m.ID, leader.ID, Link{Cut: true})
			time.Sleep(5 * time.Second)
			back(t, c, leader, m)
		})
	})
}

// TestSnapshotsThatOvertakeEachOther: the same one twice at once, and an older one
// long after a newer one, change nothing.
func TestSnapshotsThatOvertakeEachOther(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		m := c.follower(leader)
		for range 5 {
			away(t, c, leader, m, 120)
			sent := c.Net.Snapshots()
			c.Net.Heal()
			c.Net.SetLink(leader.ID, m.ID, Link{Duplicate: 1, MaxDelay: 20 * time.Millisecond})
			eventually(t, "a snapshot on its way", func() bool { return c.Net.Snapshots() > sent })
			for i := range 120 {
				put(t, leader, fmt.Sprint("meanwhile", i), "x")
			}
			back(t, c, leader, m)
			before := m.Node().Members()
			time.Sleep(3 * time.Second) // the second copies have come
			st, err := m.Node().Status(within(t, time.Second))
			if err != nil || len(before) != 3 {
				t.Fatal(err)
			}
			if other, _ := leader.Node().Status(within(t, time.Second)); st.Applied != other.Applied {
				t.Errorf("applied %d, the leader %d", st.Applied, other.Applied)
			}
		}
	})
}
