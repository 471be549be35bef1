package httpapi

import (
	"context"
	"errors"
)

// ErrDiverged is the answer of a member whose state is not the others', or not
// what it was when it was written. It serves no keys until it has a new state.
var ErrDiverged = errors.New("the state of this member has diverged")

// Guard tells whether what this member holds may be shown.
type Guard interface {
	// Serving is nil, or ErrDiverged with the reason. It is asked before every
	// request for keys and must cost no more than an atomic read.
	Serving() error
	// Disk is what is known of the space on disk, at once.
	Disk() Disk
}

// Disk is the space on the disk of a member.
type Disk struct {
	Free    uint64   `json:"free_bytes"`
	Reserve uint64   `json:"reserve_bytes"` // below which no data is added; 0: no limit
	Short   []uint64 `json:"short"`         // members that have less, by id, as far as is known here
}

// An era is a time in which this member serves keys without a break. What goes
// on for long (a watch, a long poll) ends with the era that it began in.
type era struct {
	ctx context.Context
	end context.CancelFunc
}

func newEra(parent context.Context) *era {
	e := new(era)
	e.ctx, e.end = context.WithCancel(parent)
	return e
}

// guarded is nil while this member serves keys. Who finds that it does not ends
// all that goes on for long: no goroutine has to wait for that to happen.
func (h *Handler) guarded() error {
	err := h.cfg.Guard.Serving()
	if err != nil {
		h.EndWatches()
	}
	return err
}

// EndWatches ends all watches and long polls, as Drain does, and lets new ones
// begin. It happens by itself when a request finds that the Guard does not let
// this member serve, at the next event or progress at the latest; who knows
// sooner calls it. It may be called at any time and does not block.
func (h *Handler) EndWatches() { h.era.Load().end() }

// serving returns a context that ends when this member stops to serve keys. The
// order matters: whoever ends the era has been refused by the Guard before, so
// either that is seen here, or the era is this one.
func (h *Handler) serving() (context.Context, error) {
	for {
		e := h.era.Load()
		if err := h.guarded(); err != nil {
			return nil, err
		}
		if e.ctx.Err() == nil || h.stopping.Err() != nil {
			return e.ctx, nil
		}
		if fresh := newEra(h.stopping); !h.era.CompareAndSwap(e, fresh) {
			fresh.end()
		}
	}
}
