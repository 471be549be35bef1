package clustertest

import (
	"bytes"
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// TestSlowPeer writes many times what a member behind a slow line can take. The
// leader's memory stays where it is: what is on its way is bounded by raft, what
// waits for the line by the transport, and the log by the snapshots, also while the
// member is being sent one. The other two go on as if it were not there.
func TestSlowPeer(t *testing.T) {
	seed := seeded(t, 1)
	synctest.Test(t, func(t *testing.T) {
		const rate, queue, writers, keys, size = 64 << 10, 4 << 20, 16, 208, 4 << 10
		c := New(t, seed, 3, raftnode.Config{SnapshotBytes: 1 << 20, CatchUpBytes: 256 << 10})
		defer c.Close()
		c.StartAll()
		leader, err := c.WaitLeader(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		slow := c.follower(leader)
		put(t, leader, "k", "v")
		c.Net.SetLink(leader.ID, slow.ID, Link{MaxDelay: time.Millisecond, BytesPerSecond: rate, QueueBytes: queue})

		ctx, cancel := context.WithCancel(context.Background())
		defer cancel()
		var mu sync.Mutex
		var written, worst time.Duration
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				value := bytes.Repeat([]byte{byte(w)}, size)
				for i := 0; ctx.Err() == nil; i++ {
					begin := time.Now()
					ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second) // within would keep each to the end of the test
					_, err := leader.DB().Put(ctx, fmt.Append(nil, (w*keys/writers+i)%keys), value, kvstore.PutOptions{})
					cancel()
					if err != nil {
						t.Errorf("put: %v", err)
						return
					}
					mu.Lock()
					written += size // as bytes
					worst = max(worst, time.Since(begin))
					mu.Unlock()
				}
			})
		}
		heap := func() int {
			// The history is no part of this.
			if _, err := leader.DB().Compact(within(t, 10*time.Second), leader.machine.Revision(), kvstore.WriteOptions{}); err != nil {
				t.Errorf("compact: %v", err)
			}
			runtime.GC()
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return int(m.HeapAlloc)
		}
		before := termOf(t, leader)
		var heaps []int
		for range 16 {
			time.Sleep(200 * time.Millisecond)
			heaps = append(heaps, heap())
		}
		cancel()
		wg.Wait()
		st, err := leader.Node().Status(within(t, time.Second))
		if err != nil {
			t.Fatal(err)
		}
		early, late := median(heaps[:8]), median(heaps[8:])
		onLine := c.Net.Worst(leader.ID, slow.ID)
		t.Logf("%d MiB written over a line for %d KiB; heap of all members %d MiB in the first half and %d MiB in the second; %d KiB waited for the line; slowest put %v; %+v",
			written>>20, 3*rate>>10, early>>20, late>>20, onLine>>10, worst, st.Progress[slow.ID])
		if int(written) < 100*3*rate {
			t.Errorf("only %d MiB were written: that shows nothing", written>>20)
		}
		if onLine > queue+2<<20 {
			t.Errorf("%d KiB waited for the line", onLine>>10)
		}
		if late > early+15<<20 { // at most 9 MiB, and 21 to 29 without the bound on the log
			t.Errorf("the heap grows: %v", heaps)
		}
		if st.Term != before || worst > time.Second {
			t.Errorf("term %d became %d, the slowest put took %v", before, st.Term, worst)
		}

		c.Net.Heal()
		eventually(t, "the slow member catches up", func() bool {
			_, err := slow.DB().Get(within(t, time.Second), []byte("k"), kvstore.GetOptions{})
			return err == nil
		})
		for _, v := range c.Violations() {
			t.Errorf("invariant broken: %s", v)
		}
	})
}

func median(all []int) int {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[len(sorted)/2]
}
