package clustertest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// TestOverload: what is beyond the limits is refused at once, reads and writes on
// every member, while what is within them gets its answer; and raft, whose messages
// wait behind none of it, keeps its leader.
func TestOverload(t *testing.T) {
	seed := seeded(t, 1)
	synctest.Test(t, func(t *testing.T) {
		const limit, callers = 100, 2000
		c := New(t, seed, 3, raftnode.Config{MaxWaiting: limit, MaxWaitingReads: limit, SnapshotEntries: 50, CatchUpEntries: 5})
		defer c.Close()
		for _, m := range c.Members() {
			m.Disk.SetLatency(func(*rand.Rand) time.Duration { return 100 * time.Millisecond })
		}
		c.StartAll()
		leader, err := c.WaitLeader(20 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		put(t, leader, "k", "v")
		before := termOf(t, leader)
		var mu sync.Mutex
		outcomes := make(map[string]int)
		var wg sync.WaitGroup
		for range 10 {
			for _, m := range []*Member{leader, c.follower(leader)} {
				for i := range callers {
					wg.Go(func() {
						ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
						defer cancel()
						what, begin := "write", time.Now()
						var err error
						if i%2 == 0 {
							_, err = m.DB().Put(ctx, fmt.Append(nil, i), []byte("v"), kvstore.PutOptions{})
						} else {
							what = "read"
							_, err = m.DB().Get(ctx, []byte("k"), kvstore.GetOptions{})
						}
						took := time.Since(begin)
						switch {
						case err == nil:
							what += " served"
						case errors.Is(err, raftnode.ErrOverloaded):
							what += " refused"
							// What a follower sends on may be refused by the leader.
							if took > 20*time.Millisecond {
								t.Errorf("%s after %v", what, took)
							}
						default:
							t.Errorf("%s on member %d: %v", what, m.ID, err)
						}
						mu.Lock()
						outcomes[what]++
						mu.Unlock()
					})
				}
			}
			time.Sleep(300 * time.Millisecond)
		}
		wg.Wait()
		t.Logf("%v", outcomes)
		for _, what := range []string{"write served", "write refused", "read served", "read refused"} {
			if outcomes[what] < limit {
				t.Errorf("%s: %d of %d", what, outcomes[what], 20*callers)
			}
		}
		if after := termOf(t, leader); after != before || !leader.Node().Leads() {
			t.Errorf("term %d became %d: the leader was lost", before, after)
		}
		for _, v := range c.Violations() {
			t.Errorf("invariant broken: %s", v)
		}
	})
}
