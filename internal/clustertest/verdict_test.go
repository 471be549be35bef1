package clustertest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/raftnode"
)

// TestVerdictAfterLeaderIsLost: a leader dies with its verdict on its lips, and the next
// one hears from the learner first. All states are sound, and nobody is condemned.
func TestVerdictAfterLeaderIsLost(t *testing.T) {
	for scene := range uint64(8) {
		t.Run(fmt.Sprint(scene), func(t *testing.T) {
			seed := seeded(t, scene)
			synctest.Test(t, func(t *testing.T) { verdictAfterLeaderIsLost(t, seed) })
		})
	}
}

func verdictAfterLeaderIsLost(t *testing.T, seed uint64) {
	// Patience is over when there is another leader.
	c := New(t, seed, 3, raftnode.Config{VerifyEvery: 1200 * time.Millisecond})
	defer c.Close()
	c.StartAll()
	leader, err := c.WaitLeader(5 * time.Second)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, leader, 10)
	learner := add(t, c, leader, 4, false, true)
	eventually(t, "the learner", func() bool { return learner.Node().Ready() == nil })
	for _, from := range c.Members() { // what one voter says comes to another late
		for _, to := range c.Members() {
			if from != learner && to != learner {
				c.Net.SetLink(from.ID, to.ID, Link{MinDelay: 20 * time.Millisecond, MaxDelay: 30 * time.Millisecond})
			}
		}
	}
	var once sync.Once
	struck := make(chan uint64, 1)
	c.Net.SetFilter(func(m *raftpb.Message) Fate {
		if m.GetType() != raftpb.MsgApp || m.GetFrom() != leader.ID || !slices.ContainsFunc(m.GetEntries(), isVerdict) {
			return Fate{}
		}
		once.Do(func() {
			leader.Kill()
			struck <- m.GetIndex()
		})
		return Fate{Lose: true}
	})
	index := <-struck
	leader.Crash()
	begin := time.Now()
	for time.Since(begin) < 20*time.Second {
		for _, m := range c.Members() {
			if node := m.Node(); node != nil && node.Diverged() != nil {
				t.Fatalf("member %d after %v: %v", m.ID, time.Since(begin), node.Diverged())
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	leader.Start()
	put(t, learner, "k", "v")
	if v := verify(t, learner); v.Index <= index || len(v.Diverged) > 0 {
		t.Errorf("afterwards, verdict after %d: %+v", index, v)
	}
	for _, v := range c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
}

func isVerdict(e *raftpb.Entry) bool { return bytes.Contains(e.GetData(), []byte(`"hashes":`)) }

// TestDivergedMajorityIsSoundAgain: most members believe that their states are wrong and
// they are not, any more; the one that does not is behind, and needs a snapshot that a
// leader without a good state does not give. A comparison clears them, although the
// leader tries to hand over all the time.
func TestDivergedMajorityIsSoundAgain(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cluster(t, seed, 3, divergedMajorityIsSoundAgain)
		})
	}
}

func divergedMajorityIsSoundAgain(t *testing.T, c *Cluster, leader *Member) {
	fill(t, leader, 20)
	behind := c.follower(leader)
	c.Net.Isolate(behind.ID, 1, 2, 3)
	fill(t, leader, 120)
	time.Sleep(3 * time.Second)
	var wrong []*Member
	for _, m := range c.Members() {
		if m != behind {
			flip(t, m, "k7")
			wrong = append(wrong, m)
		}
	}
	if v := verify(t, leader); len(v.Diverged) != 2 {
		t.Fatalf("%+v", v)
	}
	for _, m := range wrong {
		if first := status(t, m).FirstIndex; first <= status(t, behind).LastIndex {
			t.Fatalf("member %d could help without a snapshot: its log begins at %d", m.ID, first)
		}
	}
	c.Net.Heal()
	time.Sleep(10 * time.Second) // the leader finds somebody to hand over to
	begin := time.Now()
	for _, m := range wrong {
		m.Unflip("k7")
	}
	for _, m := range c.Members() {
		for m.Node().Ready() != nil || m.Node().Diverged() != nil {
			if time.Sleep(100 * time.Millisecond); time.Since(begin) > time.Minute {
				t.Fatalf("member %d after %v: ready %v, diverged %v", m.ID, time.Since(begin), m.Node().Ready(), m.Node().Diverged())
			}
		}
	}
	t.Logf("took %v", time.Since(begin))
	for _, m := range c.Members() {
		put(t, m, "k", fmt.Sprint(m.ID))
	}
	// One that began when some were not to be heard may be under way.
	eventually(t, "a clean comparison", func() bool { return clean(verify(t, behind), 3) })
}

// TestDivergedLeaderLeavesRoom: the only voter to which a leader without a good state can
// hand over answers, and hears nothing of the log. Transfers that come to nothing leave
// room for a comparison, and for writes. Without that room a leader can get lucky, which
// it does not four times.
func TestDivergedLeaderLeavesRoom(t *testing.T) {
	for scene := range uint64(4) {
		t.Run(fmt.Sprint(scene), func(t *testing.T) { cluster(t, scene, 3, divergedLeaderLeavesRoom) })
	}
}

func divergedLeaderLeavesRoom(t *testing.T, c *Cluster, leader *Member) {
	fill(t, leader, 20)
	deaf := c.follower(leader)
	c.Net.SetFilter(func(m *raftpb.Message) Fate {
		return Fate{Lose: m.GetTo() == deaf.ID && m.GetType() == raftpb.MsgApp && len(m.GetEntries()) > 0}
	})
	var wrong []*Member
	for _, m := range c.Members() {
		if m != deaf {
			flip(t, m, "k7")
			wrong = append(wrong, m)
		}
	}
	eventually(t, "the next comparison", func() bool {
		return !slices.ContainsFunc(wrong, func(m *Member) bool { return m.Node().Diverged() == nil })
	})
	time.Sleep(10 * time.Second)
	begin := time.Now()
	for _, m := range wrong {
		m.Unflip("k7")
	}
	for _, m := range wrong {
		for m.Node().Diverged() != nil {
			if time.Sleep(100 * time.Millisecond); time.Since(begin) > 45*time.Second { // 36 at most
				t.Fatalf("member %d after %v: %v", m.ID, time.Since(begin), m.Node().Diverged())
			}
		}
	}
	t.Logf("took %v", time.Since(begin))
	c.Net.SetFilter(nil)
	eventually(t, "the deaf one", func() bool { return deaf.Node().Ready() == nil })
	eventually(t, "a clean comparison", func() bool { return clean(verify(t, deaf), 3) })
}
