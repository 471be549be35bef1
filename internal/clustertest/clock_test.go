package clustertest

import (
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/raftnode"
)

// TestClockOfLateLeader: a member that has run for longer than the leader, or
// from an older stamp, does not reckon that the log's clock is ahead of the
// leader's; it would end leases early when it leads itself.
func TestClockOfLateLeader(t *testing.T) {
	seed := seeded(t, 1)
	synctest.Test(t, func(t *testing.T) {
		c := New(t, seed, 3, raftnode.Config{})
		defer c.Close()
		c.Member(3).Start()
		time.Sleep(10 * time.Second)
		c.Member(1).Start()
		c.Member(2).Start()
		if _, err := c.WaitLeader(time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := c.Member(1).Node().TransferLeadership(within(t, 10*time.Second), 1); err != nil {
			t.Fatal(err)
		}
		put(t, c.Member(1), "a", "1")
		get(t, c.Member(3), "a") // it has applied that
		if of1, of3 := c.Member(1).Node().Clock(), c.Member(3).Node().Clock(); of3 > of1 || of1-of3 > time.Second {
			t.Errorf("the leader's clock is %v, that of one that ran before it %v", of1, of3)
		}
		// All stop, and come back at different times with the clock of the log.
		for _, m := range c.Members() {
			if err := m.Stop(); err != nil {
				t.Fatal(err)
			}
		}
		c.Member(3).Start()
		time.Sleep(10 * time.Second)
		c.Member(1).Start()
		c.Member(2).Start()
		if _, err := c.WaitLeader(time.Minute); err != nil {
			t.Fatal(err)
		}
		if err := c.Member(1).Node().TransferLeadership(within(t, 10*time.Second), 1); err != nil {
			t.Fatal(err)
		}
		put(t, c.Member(1), "a", "2")
		get(t, c.Member(3), "a")
		if of1, of3 := c.Member(1).Node().Clock(), c.Member(3).Node().Clock(); of3 > of1 || of1-of3 > time.Second {
			t.Errorf("after a restart the leader's clock is %v, that of one that ran before it %v", of1, of3)
		}
	})
}
