package clustertest

import (
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// TestStalledLeader: one whose disk does not answer gives leadership up, does not get
// it back while that lasts, and says so. Nothing is lost, and the others go on.
func TestStalledLeader(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "before")
		leader.Disk.Stall()
		lost := make(chan error, 1)
		go func() { // so that there is something to write
			_, err := leader.DB().Put(within(t, 5*time.Second), []byte("during"), nil, kvstore.PutOptions{})
			lost <- err
		}()
		begin := time.Now()
		var next *Member
		for next == nil || next == leader {
			if time.Sleep(10 * time.Millisecond); time.Since(begin) > 5*time.Second {
				t.Fatal("the stalled leader still leads after 5s")
			}
			for _, m := range c.Members() {
				if m.Node().Leads() && m != leader {
					next = m
				}
			}
		}
		if took := time.Since(begin); took < time.Second || took > 2*time.Second {
			t.Errorf("handed over after %v, want an election timeout and not two", took)
		}
		if err := <-lost; err != nil {
			t.Logf("the write that was under way: %v", err)
		}
		if err := leader.Node().Ready(); err == nil || !strings.Contains(err.Error(), "disk has not answered for") {
			t.Errorf("ready: %v", err)
		}
		// Leadership moves among the others only: neither a transfer nor the loss of
		// the leader brings it back here.
		for round := range 6 {
			put(t, next, "k", "after")
			if err := next.Node().TransferLeadership(within(t, 5*time.Second), 0); err != nil {
				t.Errorf("round %d: %v", round, err)
			}
			for range 40 {
				time.Sleep(100 * time.Millisecond)
				if leader.Node().Leads() {
					t.Fatalf("round %d: the stalled member leads", round)
				}
			}
			for _, m := range c.Members() {
				if m.Node().Leads() {
					next = m
				}
			}
		}
		for _, m := range c.Members() {
			if m == leader || m == next {
				continue
			}
			m.Crash() // nobody is left to elect anyone without the stalled member
		}
		before := termOf(t, leader)
		time.Sleep(30 * time.Second)
		if after := termOf(t, leader); after > before+1 || leader.Node().Leads() {
			t.Errorf("term %d became %d while the disk did not answer", before, after)
		}
		leader.Disk.Unstall()
		eventually(t, "ready", func() bool { return leader.Node().Ready() == nil })
		for _, m := range c.Members() {
			m.Start()
		}
		for _, m := range c.Members() {
			if got := get(t, m, "k"); got != "after" {
				t.Errorf("member %d reads %q", m.ID, got)
			}
		}
	})
}

func termOf(t *testing.T, m *Member) uint64 {
	t.Helper()
	st, err := m.Node().Status(within(t, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	return st.Term
}

// TestStalledFollower says so, and disturbs nobody.
func TestStalledFollower(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		m := c.follower(leader)
		before := termOf(t, leader)
		m.Disk.Stall()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
			put(t, leader, "k", "v")
		}
		if err := m.Node().Ready(); err == nil || !strings.Contains(err.Error(), "disk has not answered for") {
			t.Errorf("ready: %v", err)
		}
		// Leadership goes to the other one, and to nobody when that is gone.
		if err := leader.Node().TransferLeadership(within(t, 5*time.Second), 0); err != nil {
			t.Error(err)
		}
		if after := termOf(t, leader); after != before+1 || m.Node().Leads() {
			t.Errorf("term %d became %d, want one election", before, after)
		}
		var next *Member
		eventually(t, "another leader", func() bool { next = c.Leader(); return next != nil && next != leader })
		time.Sleep(2 * time.Second)
		leader.Crash()
		begin := time.Now()
		if err := next.Node().TransferLeadership(within(t, 5*time.Second), 0); !errors.Is(err, raftnode.ErrNoLeader) || time.Since(begin) > 2*time.Second {
			t.Errorf("to the stalled member: %v after %v", err, time.Since(begin))
		}
		leader.Start()
		m.Disk.Unstall()
		if got := get(t, m, "k"); got != "v" {
			t.Errorf("it reads %q", got)
		}
		eventually(t, "ready", func() bool { return m.Node().Ready() == nil })
	})
}

// TestStalledMemberIsNotElected: not when the leader is lost, although all others
// would vote for it.
func TestStalledMemberIsNotElected(t *testing.T) {
	for scene := range uint64(20) {
		seed := seeded(t, scene)
		synctest.Test(t, func(t *testing.T) {
			c := New(t, seed, 5, raftnode.Config{})
			defer c.Close()
			c.StartAll()
			leader, err := c.WaitLeader(5 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			stalled := c.follower(leader)
			stalled.Disk.Stall()
			put(t, leader, "k", "v")
			time.Sleep(2 * time.Second)
			leader.Crash()
			for begin := time.Now(); ; time.Sleep(10 * time.Millisecond) {
				var next *Member
				for _, m := range c.Members() {
					if node := m.Node(); node != nil && node.Leads() {
						next = m
					}
				}
				if next == stalled {
					t.Errorf("seed %d: the stalled member was elected", seed)
				}
				if next != nil {
					return
				}
				if time.Since(begin) > 5*time.Second {
					t.Fatalf("seed %d: no leader within 5s", seed)
				}
			}
		})
	}
}

// TestStalledLeaderKeepsItWhereNobodyCan: with one other voter, or none that
// answers, there is nobody to hand leadership to, and it goes on as soon as the
// disk does.
func TestStalledLeaderKeepsItWhereNobodyCan(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		c.follower(leader).Crash()
		put(t, leader, "k", "v")
		before := termOf(t, leader)
		leader.Disk.Stall()
		done := make(chan error, 1)
		go func() {
			_, err := leader.DB().Put(within(t, 30*time.Second), []byte("k"), []byte("w"), kvstore.PutOptions{})
			done <- err
		}()
		time.Sleep(10 * time.Second)
		if err := leader.Node().Ready(); err == nil {
			t.Error("it is ready")
		}
		if got := get(t, leader, "k"); got != "v" {
			t.Errorf("it reads %q", got)
		}
		leader.Disk.Unstall()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if after := termOf(t, leader); after != before {
			t.Errorf("term %d became %d", before, after)
		}
	})
}
