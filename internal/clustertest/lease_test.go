package clustertest

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// TestLeaseBasedReadsAreStale: a leader that is cut off still answers reads from its
// lease when another has long been elected and has acknowledged a newer value. That
// is what the option costs; without it nothing of the kind is ever read.
func TestLeaseBasedReadsAreStale(t *testing.T) {
	for _, lease := range []bool{true, false} {
		t.Run(fmt.Sprintf("lease=%v", lease), func(t *testing.T) {
			stale, served := 0, 0
			for scene := range uint64(25) {
				seed := seeded(t, scene)
				synctest.Test(t, func(t *testing.T) {
					// CheckQuorum looks once an election timeout.
					s, n := readCutOff(t, seed, time.Duration(scene)*40*time.Millisecond, lease)
					stale, served = stale+s, served+n
				})
			}
			t.Logf("%d of %d reads of a leader that was cut off were stale", stale, served)
			switch {
			case lease && stale == 0:
				t.Error("no stale read: the option does nothing, or this test shows nothing")
			case !lease && stale > 0:
				t.Error("stale reads")
			}
		})
	}
}

// readCutOff cuts the leader off after a while, and reads there while another one writes.
func readCutOff(t *testing.T, seed uint64, after time.Duration, lease bool) (stale, served int) {
	c := New(t, seed, 3, raftnode.Config{ReadOnlyLeaseBased: lease})
	defer c.Close()
	c.StartAll()
	old, err := c.WaitLeader(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	put(t, old, "k", "old")
	time.Sleep(after)
	c.Net.Isolate(old.ID, 1, 2, 3)
	acked := "old"
	// At least 3 s, so that a lease would have run out; longer while the two others tie.
	start := time.Now()
	for time.Since(start) < 3*time.Second || acked == "old" && time.Since(start) < 10*time.Second {
		time.Sleep(10 * time.Millisecond)
		for _, m := range c.Members() {
			if m != old && acked == "old" && m.Node().Leads() {
				put(t, m, "k", "new")
				acked = "new"
			}
		}
		r, err := old.DB().Get(within(t, time.Millisecond), []byte("k"), kvstore.GetOptions{})
		if err != nil {
			continue
		}
		served++
		if string(r.Value) != acked {
			stale++
		}
	}
	if acked == "old" {
		t.Errorf("seed %d: no other leader within 10s", seed)
	}
	return stale, served
}

// TestExpiryAfterQuorum: what was due while there was no majority ends soon after there
// is one again, and nothing before its time.
func TestExpiryAfterQuorum(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		db := leader.DB()
		for key, ttl := range map[string]time.Duration{"due": 2 * time.Second, "later": time.Minute} {
			if _, err := db.Put(within(t, 5*time.Second), []byte(key), nil, kvstore.PutOptions{TTL: ttl}); err != nil {
				t.Fatal(err)
			}
		}
		for _, m := range c.Members() {
			if m != leader {
				m.Crash()
			}
		}
		time.Sleep(10 * time.Second)
		if r, err := db.Get(within(t, time.Second), []byte("due"), kvstore.GetOptions{Stale: true}); err != nil || !r.Found {
			t.Fatalf("it ended without a majority: %v", err)
		}
		c.Revive()
		next, err := c.WaitLeader(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		begin := time.Now()
		gone := func(key string) bool {
			r, err := next.DB().Get(within(t, 5*time.Second), []byte(key), kvstore.GetOptions{})
			return err == nil && !r.Found
		}
		eventually(t, "its end", func() bool { return gone("due") })
		if took := time.Since(begin); took > 3*time.Second {
			t.Errorf("it ended %v after there was a leader again", took)
		}
		if gone("later") {
			t.Error("what is not due has ended too")
		}
	})
}
