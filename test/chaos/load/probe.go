package load

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"kvd/test/chaos/history"
)

// Recovery waits for the first good write after began, and returns how long it
// was until then. The clients of the load may all be waiting for an answer at
// this moment, so it sends writes of its own, one every 50 ms; it returns when
// they are all over.
func (l *Load) Recovery(ctx context.Context, began time.Time, limit time.Duration) (time.Duration, error) {
	good := l.tally.GoodWrite()
	var wg sync.WaitGroup
	defer wg.Wait()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-good:
			return time.Since(began), nil
		case <-ctx.Done():
			return 0, context.Cause(ctx)
		case <-deadline.C:
			return 0, fmt.Errorf("no write was answered with success within %v of the healing", limit)
		case <-tick.C:
			id := int(l.clients.Add(1))
			wg.Go(func() {
				c := newClient(l, id, rand.New(rand.NewPCG(l.cfg.Seed, uint64(id))))
				defer c.close()
				o := c.begin(&history.Op{Kind: history.Put, Key: fmt.Sprintf("probe/%d", id), Value: c.value()})
				c.write(o)
				c.end(ctx, o)
			})
		}
	}
}
