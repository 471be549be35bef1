package clustertest

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

var workers = flag.Int("workers", 0, "run the simulations in so many processes beside each other")

// pieceSeeds is how many seeds a process runs before another takes over.
const pieceSeeds = 20

// shareOut runs the seeds in processes of their own: a bubble of virtual time has
// one processor, and its randomness is the whole process's.
func shareOut(t *testing.T) {
	begun := time.Now()
	var mu sync.Mutex
	next, done, failed := 0, 0, 0
	take := func() (first, n int) {
		mu.Lock()
		defer mu.Unlock()
		first, n = next, min(pieceSeeds, *seeds-next)
		next += n
		return first, n
	}
	var wg sync.WaitGroup
	for range *workers {
		wg.Go(func() {
			for first, n := take(); n > 0; first, n = take() {
				out, err := runPiece(*firstSeed+uint64(first), n)
				mu.Lock()
				done += n
				if err != nil {
					failed += max(1, bytes.Count(out, []byte("replay: ")))
					fmt.Fprintf(os.Stderr, "%s\n", out) // now, not when all are through
					t.Fail()
				}
				took := time.Since(begun)
				fmt.Fprintf(os.Stderr, "simulation: %d of %d seeds, %d failed, %v, %.0f seeds a minute\n",
					done, *seeds, failed, took.Round(time.Second), float64(done)/took.Minutes())
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	t.Logf("seeds %d to %d: %d failed", *firstSeed, *firstSeed+uint64(*seeds)-1, failed)
}

// runPiece runs some seeds in a process of its own.
func runPiece(first uint64, n int) ([]byte, error) {
	cmd := exec.Command(os.Args[0], "-test.run=^TestSimulation$", "-test.timeout=30m", fmt.Sprintf("-seed=%d", first), fmt.Sprintf("-seeds=%d", n))
	cmd.Env = os.Environ()
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil, nil
	}
	return []byte(strings.TrimSpace(string(out)) + "\n" + err.Error()), err
}
