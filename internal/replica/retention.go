package replica

import (
	"context"
	"time"

	"go.uber.org/zap"

	"kvd/internal/kvstore"
)

// Retention keeps history within its bounds. The leader decides how far it
// goes back and says so in a command, so that all members forget alike.
type Retention struct {
	machine *kvstore.Machine
	db      *kvstore.DB
	leads   func() bool
	keep    kvstore.Retention
	quota   uint64 // what the store may use, history included; 0: no limit
	every   time.Duration
	lg      *zap.Logger
}

// retentionPeriod is the time between two looks at the history.
const retentionPeriod = time.Second

// Run looks and compacts until ctx ends.
func (r *Retention) Run(ctx context.Context) error {
	tick := time.NewTicker(r.every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
			r.compact(ctx)
		}
	}
}

// limits are what is worth keeping now. When the quota is nearly used up, history
// goes before a write is refused for it.
func (r *Retention) limits() kvstore.Retention {
	keep := r.keep
	if r.quota > 0 && r.machine.Used() >= r.quota-r.quota/8 {
		keep.Bytes = 1
	}
	return keep
}

// compact takes step after step while there is one due. The machine keeps them
// short, so that none holds up what others write. A step that fails is tried
// again at the next look: history too long is no reason to stop.
func (r *Retention) compact(ctx context.Context) {
	for last := uint64(0); r.leads(); {
		revision, due := r.machine.CompactionDue(r.limits())
		if !due || revision <= last {
			return
		}
		attempt, cancel := context.WithTimeout(ctx, 5*time.Second)
		_, err := r.db.Compact(attempt, revision, kvstore.WriteOptions{})
		cancel()
		if err != nil {
			r.lg.Warn("history not compacted", zap.Uint64("revision", revision), zap.Error(err))
			return
		}
		r.lg.Debug("history compacted", zap.Uint64("revision", revision))
		last = revision
	}
}
