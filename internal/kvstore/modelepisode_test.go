package kvstore

import (
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	modelCommands = flag.Int("model.commands", 60_000, "how many commands the model test gives the store")
	modelSeed     = flag.Uint64("model.seed", 0, "run only the episode of the model test that has this seed")
)

// newSeeds are the seeds that another run does not have.
const newSeeds = 1 << 63

// episodeCommands is how long an episode is: what fails should be short.
const episodeCommands = 2_000

// TestMachineAgainstModel feeds one random log to three machines and to the model,
// compares every result and every hash, and now and then the whole state. In between,
// machines are replaced by what snapshots restore to, over nothing or over an older
// state. There are many such episodes, each with a seed of its own; half of the
// seeds are the same in each run, and the others new.
func TestMachineAgainstModel(t *testing.T) {
	var tally modelTally
	if *modelSeed != 0 {
		runEpisode(t, *modelSeed, &tally)
		t.Log(&tally)
		return
	}
	var episodes atomic.Uint64
	var commands atomic.Int64
	t.Cleanup(func() { t.Logf("%d episodes, %d commands: %s", episodes.Load(), commands.Load(), &tally) })
	for worker := range runtime.GOMAXPROCS(0) {
		t.Run(fmt.Sprintf("worker=%d", worker), func(t *testing.T) {
			t.Parallel()
			for commands.Load() < int64(*modelCommands) && !t.Failed() {
				n := episodes.Add(1)
				seed := (n + 1) / 2
				if n%2 == 0 {
					seed = rand.Uint64() | newSeeds
				}
				commands.Add(int64(runEpisode(t, seed, &tally)))
			}
		})
	}
}

// runEpisode makes up the log as it goes. What fails is cut down to less and less
// that fails too, so that it can be read.
// It returns how many commands there were.
func runEpisode(t *testing.T, seed uint64, tally *modelTally) (commands int) {
	t.Helper()
	var log []modelEntry
	err := try(t, func(w *modelRun) {
		g := newGenerator(seed, w.mo)
		for e, ok := g.entry(); ok; e, ok = g.entry() {
			log = append(log, e)
			if g.ahead == 0 { // a crowd is much of the same
				commands += len(e.cmds)
			}
			w.do(&e)
		}
		tally.add(w.mo)
	})
	if err == nil {
		return commands
	}
	again := func(log []modelEntry) error {
		return try(t, func(w *modelRun) {
			for i := range log {
				w.do(&log[i])
			}
		})
	}
	least := shrink(log, func(log []modelEntry) bool { return again(log) != nil })
	t.Fatalf("seed %d, command %d: %v\n\nTo run it again:\n\tgo test ./internal/kvstore -run '^TestMachineAgainstModel$' -model.seed=%d\n\n"+
		"The least that fails like that:\n%s%v",
		seed, commands, err, seed, printLog(least), again(least))
	return commands
}

// failure is what a catcher makes of Fatal.
type failure struct{ text string }

// catcher turns a failed check into a panic, so that a run can be tried.
type catcher struct{ testing.TB }

func (c catcher) Fatal(args ...any)            { panic(failure{fmt.Sprint(args...)}) }
func (c catcher) Fatalf(f string, args ...any) { panic(failure{fmt.Sprintf(f, args...)}) }

// try runs an episode, and its end, up to the first failure or panic.
func try(tb testing.TB, run func(w *modelRun)) (err error) {
	defer func() {
		switch p := recover().(type) {
		case nil:
		case failure:
			err = errors.New(p.text)
		default:
			err = fmt.Errorf("panic: %v\n%s", p, debug.Stack())
		}
	}()
	w := newModelRun(catcher{tb})
	run(w)
	w.end(rand.New(rand.NewPCG(1, 1)))
	return nil
}

// modelTally counts what came of the commands of many episodes: a test of little
// that goes wrong says little.
type modelTally struct {
	mu     sync.Mutex
	counts map[string]int // guarded by mu
}

func (t *modelTally) add(m *model) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts == nil {
		t.counts = map[string]int{}
	}
	for what, n := range m.tally {
		t.counts[what] += n
	}
}

func (t *modelTally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(t.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, t.counts[what]))
	}
	return strings.Join(parts, ", ")
}
