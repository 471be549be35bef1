package httpapi

import (
	"context"
	"sync/atomic"
	"time"
)

// deadlineStep is how much longer than promised a request may take.
const deadlineStep = 100 * time.Millisecond

// deadlines hands out contexts that end some time from now, most often the same. Requests that
// come within one step share one, so that the request of every day pays a load
// and a comparison instead of a timer, a goroutine's worth of bookkeeping and
// five allocations (BenchmarkDeadline). A context is never used again for
// later requests, so who holds on to one sees nothing but its end.
type deadlines struct{ current atomic.Pointer[window] }

// window is one shared context and the time until which it is handed out.
type window struct {
	ctx     context.Context
	cancel  context.CancelFunc // for one that nobody has seen; the others end by themselves
	timeout time.Duration
	until   time.Time
}

// context returns a context that ends timeout from now, or up to a step later; nil,
// while another timeout is being shared.
func (d *deadlines) context(timeout time.Duration) context.Context {
	now := time.Now()
	w := d.current.Load()
	if w == nil || !now.Before(w.until) {
		fresh := &window{timeout: timeout, until: now.Add(deadlineStep)}
		fresh.ctx, fresh.cancel = context.WithDeadline(context.Background(), fresh.until.Add(timeout))
		if d.current.CompareAndSwap(w, fresh) {
			return fresh.ctx
		}
		// Another request was faster, a moment ago: its window is as good.
		fresh.cancel()
		w = d.current.Load()
	}
	if w.timeout != timeout {
		return nil
	}
	return w.ctx
}
