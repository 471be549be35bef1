package replica

import (
	"context"
	"time"

	"go.uber.org/zap"

	"kvd/internal/kvstore"
)

// Expiry ends leases and keys with a TTL when their time has come. The leader
// says so in a command, and what is due is judged where that is applied, by its
// entry's clock: a leader that is none any more, or whose command comes late,
// ends nothing early.
type Expiry struct {
	machine *kvstore.Machine
	db      *kvstore.DB
	leads   func() bool
	clock   func() time.Duration // the log's, as this member reckons it
	every   time.Duration
	lg      *zap.Logger
}

// expiryPeriod is the time between two looks at the next deadline, and so how
// late an expiry can be while there is a leader.
const expiryPeriod = 50 * time.Millisecond

// Run looks and expires until ctx ends.
func (e *Expiry) Run(ctx context.Context) error {
	tick := time.NewTicker(e.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			e.expire(ctx)
		}
	}
}

// expire gives command after command while something is due: each ends a
// bounded number. One that fails is tried again at the next look.
func (e *Expiry) expire(ctx context.Context) {
	for e.leads() {
		deadline, ok := e.machine.NextExpiry()
		if !ok || deadline > e.clock() {
			return
		}
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		res, err := e.db.Expire(attempt)
		cancel()
		if err != nil {
			e.lg.Warn("nothing expired", zap.Duration("due", deadline), zap.Error(err))
			return
		}
		e.lg.Debug("expired", zap.Uint64("keys", res.Deleted), zap.Uint64("revision", res.Revision))
		if next, ok := e.machine.NextExpiry(); ok && next == deadline {
			return // not applied here yet, or the entry's clock was behind: look again later
		}
	}
}
