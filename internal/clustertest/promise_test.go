package clustertest

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// TestCrashRightAfterAMessage is about messages that leave before what they
// promise is on the disk: a member that forgets a vote it has given votes twice
// in a term, one that forgets entries it has acknowledged loses what the leader
// counted as committed. Here members die in the very moment in which a message
// has left them, and forget everything that was not synced.
func TestCrashRightAfterAMessage(t *testing.T) {
	for _, typ := range []raftpb.MessageType{
		raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp, raftpb.MsgApp, raftpb.MsgAppResp, raftpb.MsgHeartbeat,
	} {
		for scene := range uint64(1) {
			t.Run(fmt.Sprint(typ, "/", scene), func(t *testing.T) {
				seed := seeded(t, scene)
				var history []porcupine.Operation
				synctest.Test(t, func(t *testing.T) { history = crashAfter(t, seed, typ) })
				if res := porcupine.CheckOperationsTimeout(model, history, time.Minute); !t.Failed() && res != porcupine.Ok {
					t.Errorf("history of %d operations is not linearizable: %v", len(history), res)
				}
			})
		}
	}
}

func crashAfter(t *testing.T, seed uint64, typ raftpb.MessageType) []porcupine.Operation {
	c := New(t, seed, 3, raftnode.Config{SnapshotEntries: 40, CatchUpEntries: 5})
	defer c.Close()
	for _, m := range c.Members() {
		m.Disk.LoseAll()
	}
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 4))
	rare := 20 // of such messages, one kills
	switch typ {
	case raftpb.MsgVote, raftpb.MsgVoteResp, raftpb.MsgPreVoteResp:
		rare = 2
	}
	kills := 0
	few := func() bool {
		mu.Lock()
		defer mu.Unlock()
		return kills < 5
	}
	c.Net.SetFilter(func(m *raftpb.Message) Fate {
		mu.Lock()
		kill := m.GetType() == typ && rng.IntN(rare) == 0
		if kill {
			kills++
		}
		mu.Unlock()
		if kill {
			c.Member(m.GetFrom()).Kill()
		}
		return Fate{}
	})
	c.StartAll()
	w := c.StartClients(5, 4)
	for round := 0; round < 50 || few() && round < 200; round++ {
		time.Sleep(time.Duration(200+c.Rand.IntN(300)) * time.Millisecond)
		if c.Rand.IntN(3) == 0 { // for an election
			for _, m := range c.Members() {
				if n := m.Node(); n != nil && n.Leads() {
					m.Crash()
				}
			}
		}
		c.Revive()
	}
	c.Net.SetFilter(nil)
	c.Revive()
	if _, err := c.WaitLeader(15 * time.Second); err != nil {
		t.Error(err)
	}
	time.Sleep(2 * time.Second)
	history, good, _ := w.Stop()
	settle(t, c)
	for _, v := range c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
	if kills < 5 || good < 50 {
		t.Errorf("%d kills, %d operations answered: the run shows nothing", kills, good)
	}
	return history
}

// Revive starts every member that has ended or was killed.
func (c *Cluster) Revive() {
	for _, m := range c.Members() {
		m.restartIfEnded()
		m.Start()
	}
}

// TestAcknowledgedIsOnDisk is about answers that come before the fsync. In the
// moment of an acknowledgement the power fails: for the one member of a cluster
// of one, and for all members at once.
func TestAcknowledgedIsOnDisk(t *testing.T) {
	for _, size := range []int{1, 3} {
		for scene := range uint64(2) {
			t.Run(fmt.Sprint(size, "/", scene), func(t *testing.T) {
				seed := seeded(t, scene)
				synctest.Test(t, func(t *testing.T) { powerFailsAtAnswers(t, seed, size) })
			})
		}
	}
}

func powerFailsAtAnswers(t *testing.T, seed uint64, size int) {
	c := New(t, seed, size, raftnode.Config{SnapshotEntries: 60, CatchUpEntries: 5, MaxBatchesInFlight: 3})
	defer c.Close()
	for _, m := range c.Members() {
		m.Disk.LoseAll()
		m.Disk.latency = func(r *rand.Rand) time.Duration { return time.Duration(r.IntN(20_000)) * time.Microsecond }
	}
	acked := make(map[string]string)
	for round := range 12 {
		c.Revive()
		leader, err := c.WaitLeader(30 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		for key, value := range acked {
			if got := get(t, leader, key); got != value {
				t.Fatalf("round %d: %s reads %q after the power failure, %q was acknowledged", round, key, got, value)
			}
		}
		var mu sync.Mutex
		var wg sync.WaitGroup
		last := 1 + c.Rand.IntN(30) // the answer at which it fails
		for i := range 6 {
			members := c.Members()
			db := members[i%len(members)].DB()
			wg.Go(func() {
				for n := range 100 {
					key, value := fmt.Sprintf("%d/%d/%d", round, i, n), fmt.Sprint(c.t.Name(), n)
					_, err := db.Put(within(t, 3*time.Second), []byte(key), []byte(value), kvstore.PutOptions{})
					if err != nil {
						return
					}
					mu.Lock()
					acked[key] = value
					last--
					fails := last == 0
					mu.Unlock()
					if fails {
						for _, m := range members {
							m.Kill()
						}
					}
				}
			})
		}
		wg.Wait()
	}
	for _, v := range c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
	if len(acked) < 50 {
		t.Errorf("only %d writes were acknowledged", len(acked))
	}
}
