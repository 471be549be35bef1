package clustertest

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"
	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/raftnode"
)

var killSeeds = flag.Int("kill.seeds", 4, "how many runs of TestKilledAtAnyMoment; 4 have all sizes of clusters")

// TestKilledAtAnyMoment kills members in the middle of what they do, at random
// moments of their disks' work and as messages leave them, one, two or all at
// once, while snapshots are taken, sent, lost and installed all the time. It is
// for the orders of steps that no other test thought of.
func TestKilledAtAnyMoment(t *testing.T) {
	for scene := range uint64(*killSeeds) {
		t.Run(fmt.Sprint(scene), func(t *testing.T) {
			seed := seeded(t, scene)
			var history []porcupine.Operation
			synctest.Test(t, func(t *testing.T) { history = killAtAnyMoment(t, seed) })
			if res := porcupine.CheckOperationsTimeout(model, history, time.Minute); !t.Failed() && res != porcupine.Ok {
				t.Errorf("history of %d operations is not linearizable: %v", len(history), res)
			}
		})
	}
}

func killAtAnyMoment(t *testing.T, seed uint64) []porcupine.Operation {
	c := New(t, seed, []int{3, 3, 5, 1}[seed%4], raftnode.Config{SnapshotEntries: 15, CatchUpEntries: 3, MaxBatchesInFlight: 2})
	defer c.Close()
	var mu sync.Mutex
	rng := rand.New(rand.NewPCG(seed, 6))
	calm := false
	kills := make(map[string]int)
	strikes := func(in int, what string) bool {
		mu.Lock()
		defer mu.Unlock()
		if calm || rng.IntN(in) > 0 {
			return false
		}
		kills[what]++
		return true
	}
	for _, m := range c.Members() {
		if seed%2 == 0 {
			m.Disk.LoseAll()
		}
		m.Disk.OnOp(func(op Op) error {
			in := 30
			if op.Name == "save" {
				in = 400
			}
			if !strikes(in, op.Name) {
				return nil
			}
			m.Kill()
			for _, other := range c.Members() { // now and then the power fails for all
				if other != m && strikes(4, "as well") {
					other.Kill()
				}
			}
			return ErrCrashed
		})
	}
	c.Net.SetDefault(Link{MaxDelay: 5 * time.Millisecond, Drop: 0.02, Duplicate: 0.02})
	c.Net.SetFilter(func(m *raftpb.Message) Fate {
		switch {
		case m.GetType() == raftpb.MsgSnap:
			return Fate{Lose: strikes(3, "lost snapshot")}
		case strikes(1500, "message"):
			c.Member(m.GetFrom()).Kill()
		}
		return Fate{}
	})
	c.StartAll()
	w := c.StartClients(6, 4)
	for range 100 {
		time.Sleep(time.Duration(c.Rand.IntN(400)) * time.Millisecond)
		c.Revive()
		switch c.Rand.IntN(8) { // who is away for a while needs a snapshot
		case 0, 1:
			c.Net.Isolate(1+c.Rand.Uint64N(uint64(len(c.Members()))), 1, 2, 3, 4, 5)
		case 2, 3, 4:
			c.Net.Heal()
		}
	}
	mu.Lock()
	calm = true
	mu.Unlock()
	c.Net.SetFilter(nil)
	c.Net.Heal()
	c.Revive()
	if _, err := c.WaitLeader(15 * time.Second); err != nil {
		t.Error(err)
	}
	time.Sleep(3 * time.Second)
	history, good, unknown := w.Stop()
	settle(t, c)
	for _, v := range c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
	t.Logf("%d operations answered, %d unknown, kills at %v", good, unknown, kills)
	all := 0
	for _, n := range kills {
		all += n
	}
	if good < 50 || all < 5 {
		t.Error("the run shows nothing")
	}
	return history
}
