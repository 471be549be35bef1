package clustertest

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"testing/cryptotest"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/internal/kvstore"
)

var (
	seeds     = flag.Int("seeds", 7, "how many simulations to run")
	firstSeed = flag.Uint64("seed", 1, "the first seed; -seeds=1 -seed=N replays one")
	deeds     = flag.Bool("deeds", false, "print what was done to the cluster, also where nothing failed")
)

// TestSimulation runs clusters under faults, one a seed, and checks what
// clients saw, what members hold, and that a healed cluster serves again.
func TestSimulation(t *testing.T) {
	if *workers > 0 {
		shareOut(t)
		return
	}
	for i := range uint64(*seeds) {
		seed := *firstSeed + i
		t.Run(fmt.Sprint(seed), func(t *testing.T) { simulate(t, seed) })
	}
}

func simulate(t *testing.T, seed uint64) {
	cryptotest.SetGlobalRandom(t, seed)
	var s *sim
	defer func() { explain(t, s, seed) }() // a bubble that failed ends the test
	synctest.Test(t, func(t *testing.T) {
		s = newSim(t, seed)
		s.inTime(t)
	})
	// Outside of virtual time: the checker's limit is real.
	if res := porcupine.CheckOperationsTimeout(model, s.history, time.Minute); res != porcupine.Ok {
		t.Errorf("history of %d operations is not linearizable: %v", len(s.history), res)
	}
}

// explain says what was done to the cluster, and how to do it again.
func explain(t *testing.T, s *sim, seed uint64) {
	if t.Failed() || *deeds {
		for _, line := range s.c.trace.words {
			t.Log(line)
		}
	}
	if t.Failed() {
		t.Logf("replay: make sim SEED=%d (go test ./internal/clustertest -run TestSimulation -seeds=1 -seed=%d)", seed, seed)
	}
}

// inTime is the whole of what happens in the bubble.
func (s *sim) inTime(t *testing.T) {
	defer s.c.Close()
	s.c.StartAll()
	// A key that no client uses: its bits may flip.
	if m, err := s.c.WaitLeader(15 * time.Second); err == nil {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		_, _ = m.DB().Put(ctx, []byte("z"), []byte("unchanged"), kvstore.PutOptions{})
		cancel()
	}
	s.run()
	(&nemesis{s, rand.New(rand.NewPCG(s.seed, 4))}).run(s.begun.Add(faultTime))
	s.recovery(t)
	s.claims.judge(s.c.truth, func(what string) { t.Error(what) })
	for _, v := range s.c.Violations() {
		t.Errorf("invariant broken: %s", v)
	}
	if s.good < 40 {
		t.Errorf("only %d operations on registers were answered: the run shows nothing", s.good)
	}
	sent, lost := s.c.Net.Counts()
	digest, events := s.c.trace.digest()
	t.Logf("seed %d: %d founders, %v, %d revisions, %d answered, %d unknown, %d of %d messages lost, back after %v", s.seed, s.size,
		time.Since(s.begun).Round(time.Second), len(s.c.truth.revs), s.good, s.unknown, lost, sent, s.back)
	t.Logf("faults %v; answers %v; trace of %d events %016x", s.faults, s.claims.answers, events, digest)
}
