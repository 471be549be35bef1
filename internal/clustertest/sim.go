package clustertest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// sim is one run of the simulation: a cluster, clients of its API, one operator who
// changes the cluster, and a nemesis. All of it follows from the seed, as far as
// the runtime lets it.
type sim struct {
	c      *Cluster
	seed   uint64
	size   int // founders
	begun  time.Time
	claims *claims
	over   func() bool // clients are to end
	end    func()
	wg     sync.WaitGroup // clients

	operating sync.WaitGroup

	mu      sync.Mutex
	history []porcupine.Operation // of registers
	good    int
	unknown int
	back    time.Duration // from healing to the first write
	helped  time.Time     // when a member was last started that has nobody to help it
	moved   time.Time     // when one was last put where the others look for it
	faults  map[string]int
}

// faultTime is how long things go wrong in a run; then all is made good, and there
// is time to recover.
const faultTime = 45 * time.Second

// newSim makes a cluster whose size and settings follow from the seed.
func newSim(t testing.TB, seed uint64) *sim {
	rng := rand.New(rand.NewPCG(seed, 3))
	size := []int{3, 3, 3, 5, 1}[rng.IntN(5)]
	c := New(t, seed, size, raftnode.Config{
		SnapshotEntries:    uint64(20 + rng.IntN(200)),
		CatchUpEntries:     uint64(1 + rng.IntN(20)),
		MaxBatchesInFlight: 1 + rng.IntN(4),
		VerifyEvery:        time.Duration(500+rng.IntN(4000)) * time.Millisecond,
	})
	c.API = httpapi.Config{ProgressEvery: time.Duration(500+rng.IntN(5000)) * time.Millisecond}
	c.History = kvstore.Retention{Revisions: uint64(50 + rng.IntN(500))}
	c.truth, c.trace = &truth{}, newTrace()
	c.Net.trace = c.trace
	c.Net.Addresses()
	stop := make(chan struct{})
	return &sim{
		c: c, seed: seed, size: size, begun: time.Now(), claims: newClaims(), faults: make(map[string]int),
		over: func() bool {
			select {
			case <-stop:
				return true
			default:
				return false
			}
		},
		end: func() { close(stop) },
	}
}

// client returns another client; its random choices follow from its id.
func (s *sim) client(id uint64, lossy bool) *client {
	return &client{c: s.c, id: id, rng: rand.New(rand.NewPCG(s.seed, 1000+id)), lossy: lossy}
}

// run starts everybody who uses the cluster.
func (s *sim) run() {
	id := uint64(0)
	start := func(f func(*client)) {
		id++
		a := s.client(id, true)
		s.wg.Go(func() { f(a) })
	}
	for range 5 {
		start(func(a *client) { s.registers(a, 4) })
	}
	for range 2 {
		start(s.bank)
	}
	start(s.leaser)
	start(s.leaser)
	start(s.listings)
	start(s.stale)
	start(s.polls)
	start(func(a *client) { s.watches(a, "r/") })
	start(func(a *client) { s.watches(a, "") })
	start(func(a *client) { s.watches(a, "l/") })
	o := &operator{sim: s, a: s.client(100, true), next: uint64(s.size)}
	s.operating.Go(func() { o.run(s.begun.Add(faultTime)) })
}

// did counts a fault or a change, and takes note of it.
func (s *sim) did(what string, format string, args ...any) {
	s.mu.Lock()
	s.faults[what]++
	s.mu.Unlock()
	s.c.trace.deed(what+" "+format, args...)
}

// revive starts a member that does not run, unless it was removed: then there is
// no way back.
func (s *sim) revive(m *Member) {
	if err, ended := m.Ended(); ended {
		if errors.Is(err, raftnode.ErrRemoved) {
			m.gone.Store(true)
		}
		m.Crash()
	}
	if !m.gone.Load() {
		m.Start()
	}
}

// leader is a member that believes it leads, or nil.
func (s *sim) leader() *Member {
	for _, m := range s.c.Members() {
		if node := m.Node(); node != nil && node.Leads() {
			return m
		}
	}
	return nil
}
