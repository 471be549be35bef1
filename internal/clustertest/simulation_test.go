package clustertest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

var (
	seeds     = flag.Int("seeds", 40, "how many simulations to run")
	firstSeed = flag.Uint64("seed", 1, "the first seed; -seeds=1 -seed=N replays one")
)

// TestSimulation runs clusters under faults, one a seed, and checks what
// clients saw, what members hold, and that a healed cluster serves again.
func TestSimulation(t *testing.T) {
	for i := range uint64(*seeds) {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			cryptotest.SetGlobalRandom(t, seed)
			var history []porcupine.Operation
			synctest.Test(t, func(t *testing.T) { history = simulate(t, seed) })
			if t.Failed() {
				t.Logf("replay: go test ./internal/clustertest -run TestSimulation -seeds=1 -seed=%d", seed)
				return
			}
			// Outside of virtual time: the checker's limit is real.
			if res := porcupine.CheckOperationsTimeout(model, history, time.Minute); res != porcupine.Ok {
				t.Errorf("history of %d operations is not linearizable: %v; replay with -seeds=1 -seed=%d", len(history), res, seed)
			}
		})
	}
}

func simulate(t *testing.T, seed uint64) []porcupine.Operation {
	rng := rand.New(rand.NewPCG(seed, 3))
	size := []int{3, 3, 3, 5, 1}[rng.IntN(5)]
	c := New(t, seed, size, raftnode.Config{
		SnapshotEntries:    uint64(20 + rng.IntN(200)),
		CatchUpEntries:     uint64(1 + rng.IntN(20)),
		MaxBatchesInFlight: 1 + rng.IntN(4),
		VerifyEvery:        time.Duration(1+rng.IntN(4000)) * time.Millisecond,
	})
	defer c.Close()
	c.StartAll()
	// A key that no client uses: its bits may flip.
	if m, err := c.WaitLeader(15 * time.Second); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, _ = m.DB().Put(ctx, []byte("z"), []byte("unchanged"), kvstore.PutOptions{})
		cancel()
	}
	w := c.StartClients(5, 4)
	n := &nemesis{c: c, rng: rng, faults: make(map[string]int)}
	for end := time.Now().Add(25 * time.Second); time.Now().Before(end); {
		time.Sleep(time.Duration(rng.IntN(800)) * time.Millisecond)
		n.act()
	}

	// Heal: everybody is there and hears everybody.
	c.Net.Heal()
	for _, m := range c.Members() {
		m.Disk.Heal()
		m.restartIfEnded()
		m.Start()
	}
	if _, err := c.WaitLeader(15 * time.Second); err != nil {
		t.Errorf("after healing: %v", err)
	}
	time.Sleep(3 * time.Second)
	history, good, unknown := w.Stop()
	settle(t, c)
	for _, v := range c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
	if good < 50 {
		t.Errorf("only %d operations were answered: the run shows nothing", good)
	}
	sent, lost := c.Net.Counts()
	t.Logf("%d members, %d answered, %d unknown, %d of %d messages lost, faults %v",
		size, good, unknown, lost, sent, n.faults)
	return history
}

// repair waits until no member holds a flipped bit any more. Where all of them differ,
// or the only one, nobody has a state to give: one is started again.
func repair(t *testing.T, ctx context.Context, c *Cluster) {
	for _, m := range c.Members() {
		for m.Node() != nil && (m.Altered() || m.Node().Diverged() != nil) {
			if time.Sleep(100 * time.Millisecond); ctx.Err() != nil {
				t.Errorf("member %d was not given a good state: %v", m.ID, m.Node().Diverged())
				return
			}
			if !slices.ContainsFunc(c.Members(), func(m *Member) bool { return m.Node() == nil || m.Node().Diverged() == nil }) {
				m.Crash()
				m.Start()
				time.Sleep(5 * time.Second)
			}
		}
	}
}

// settle waits until all members hold the same state.
func settle(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	repair(t, ctx, c)
	var want uint64
	for i, m := range c.Members() {
		if m.DB() == nil {
			t.Errorf("member %d does not run", m.ID)
			continue
		}
		// A linearizable read brings the member to the end of the log.
		if _, err := m.DB().Get(ctx, []byte("k0"), kvstore.GetOptions{}); err != nil {
			t.Errorf("read on healed member %d: %v", m.ID, err)
			continue
		}
		_, hash := m.machine.Hash()
		if i == 0 {
			want = hash
		} else if hash != want {
			t.Errorf("member %d holds another state than member 1", m.ID)
		}
	}
	// And they say so themselves, of what is really in memory. Verify may join a check
	// from before all this: then another is made. Another, too, without a member whose
	// disk stalled for longer than the leader waits, which is as short as 1 ms here.
	st, err := c.Member(1).Node().Status(ctx)
	if err != nil {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		v, err := c.Member(1).Node().Verify(ctx)
		if err == nil && len(v.Hashes) == len(c.Members()) && len(v.Diverged) == 0 {
			break
		}
		if err != nil || v.Index > st.Commit && len(v.Diverged) > 0 {
			t.Errorf("verification %+v, %v", v, err)
			break
		}
	}
	for _, m := range c.Members() {
		if err := m.Node().Diverged(); err != nil {
			t.Errorf("member %d: %v", m.ID, err)
		}
	}
}

// nemesis does harm, one thing at a time, and undoes some of it.
type nemesis struct {
	c      *Cluster
	rng    *rand.Rand
	faults map[string]int
}

func (n *nemesis) act() {
	members := n.c.Members()
	m := members[n.rng.IntN(len(members))]
	var ids []uint64
	for _, x := range members {
		ids = append(ids, x.ID)
	}
	other := ids[n.rng.IntN(len(ids))]
	switch n.rng.IntN(13) {
	case 0:
		n.did("crash")
		m.Crash()
	case 1:
		n.did("crash all")
		for _, x := range members {
			x.Crash()
		}
		for _, x := range members {
			x.Start()
		}
	case 2:
		n.did("stop")
		m.Stop()
	case 3, 4, 5:
		n.did("restart")
		for _, x := range members {
			x.restartIfEnded()
			x.Start()
		}
	case 6:
		n.did("isolate")
		n.c.Net.Isolate(m.ID, ids...)
	case 7:
		n.did("cut one way")
		n.c.Net.SetLink(m.ID, other, Link{Cut: true})
	case 8:
		n.did("bad links")
		n.c.Net.SetDefault(Link{
			Drop: n.rng.Float64() * 0.3, Duplicate: n.rng.Float64() * 0.2,
			MaxDelay: time.Duration(1+n.rng.IntN(200)) * time.Millisecond,
		})
	case 9:
		n.did("disk fault")
		m.Disk.FailAfter(1 + n.rng.IntN(20))
	case 10:
		if m.Node() != nil && m.Flip("z") {
			n.did("flip a bit")
		}
	default:
		n.did("heal")
		n.c.Net.Heal()
	}
}

func (n *nemesis) did(what string) { n.faults[what]++ }

// restartIfEnded clears away a life that a fault has ended.
func (m *Member) restartIfEnded() {
	if _, ended := m.Ended(); ended {
		m.Crash()
	}
}
