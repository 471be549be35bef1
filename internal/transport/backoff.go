package transport

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"
)

// backoff doubles a pause from min to max. The zero n is the shortest.
type backoff struct {
	min, max time.Duration
	n        int
}

// next returns the pause to make now, jittered so that members which lost the
// same peer do not come back in step.
func (b *backoff) next() time.Duration {
	d := min(b.min<<min(b.n, 16), b.max)
	b.n++
	return jitter(d)
}

func (b *backoff) reset() { b.n = 0 }

// jitter returns between a half and the whole of d.
func jitter(d time.Duration) time.Duration {
	return d/2 + rand.N(d/2+1)
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// throttle keeps warnings that others can provoke from filling the log.
type throttle struct {
	mu   sync.Mutex
	last map[string]time.Time
}

// maxThrottled bounds the memory of a throttle, whose keys others may choose.
const maxThrottled = 1024

// allow says whether the last time it was true for key is at least every ago.
func (t *throttle) allow(key string, every time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := time.Now()
	if last, ok := t.last[key]; ok && now.Sub(last) < every {
		return false
	}
	if t.last == nil || len(t.last) >= maxThrottled {
		t.last = make(map[string]time.Time)
	}
	t.last[key] = now
	return true
}
