package raftnode

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"

	"go.etcd.io/raft/v3"
)

// readRequest is one caller of ReadBarrier.
type readRequest struct {
	gone atomic.Bool   // its caller has left
	done chan struct{} // receives one token when the barrier is passed
}

// readRounds shares rounds of ReadIndex among all who wait. It belongs to the
// loop. Those who come while a round is under way must not join it: its index
// may already be older than their call. They begin the next one at once while
// fewer than Config.MaxReadRounds are under way, and wait otherwise, so that
// rounds stay few and full.
type readRounds struct {
	id      entryID // of the newest round: no two ever share a context
	open    []*readRequest
	rounds  []readRound // under way, oldest first
	elapsed int         // ticks since one began with none before it, or was answered
}

type readRound struct {
	counter uint64
	readers []*readRequest
}

// begin starts a round for all that wait, and returns its context.
func (r *readRounds) begin() []byte {
	r.id.Counter++
	if len(r.rounds) == 0 {
		r.elapsed = 0
	}
	r.rounds = append(r.rounds, readRound{r.id.Counter, r.open})
	r.open = nil
	ctx := make([]byte, 0, 24)
	ctx = binary.BigEndian.AppendUint64(ctx, r.id.Member)
	ctx = binary.BigEndian.AppendUint64(ctx, r.id.Boot)
	return binary.BigEndian.AppendUint64(ctx, r.id.Counter)
}

// abandon gives up all rounds without an answer. Their readers wait for the
// next one, whose context is new: a late answer matches nothing.
func (r *readRounds) abandon() {
	for _, round := range r.rounds {
		r.open = append(r.open, round.readers...)
	}
	r.rounds = nil
}

// answered returns the readers that state answers: those of its round and of
// all that began before it, whose own answers may have been lost.
func (r *readRounds) answered(state raft.ReadState) (readers []*readRequest) {
	c := state.RequestCtx
	if len(c) != 24 || binary.BigEndian.Uint64(c) != r.id.Member || binary.BigEndian.Uint64(c[8:]) != r.id.Boot {
		return nil
	}
	counter := binary.BigEndian.Uint64(c[16:])
	if !slices.ContainsFunc(r.rounds, func(round readRound) bool { return round.counter == counter }) {
		return nil
	}
	for len(r.rounds) > 0 && r.rounds[0].counter <= counter {
		readers = append(readers, r.rounds[0].readers...)
		r.rounds = r.rounds[1:]
	}
	r.elapsed = 0
	return readers
}

// dropGone forgets readers whose callers have left.
func (r *readRounds) dropGone() {
	kept := r.open[:0]
	for _, q := range r.open {
		if !q.gone.Load() {
			kept = append(kept, q)
		}
	}
	clear(r.open[len(kept):])
	r.open = kept
}

// appliedIndex is the index apply has reached, and those who wait for it.
type appliedIndex struct {
	index atomic.Uint64

	mu      sync.Mutex
	waiters []indexWaiter
}

type indexWaiter struct {
	index   uint64
	readers []*readRequest
}

// await wakes readers once index is applied, at once if it is already.
func (a *appliedIndex) await(index uint64, readers []*readRequest) {
	a.mu.Lock()
	if a.index.Load() < index {
		a.waiters = append(a.waiters, indexWaiter{index, readers})
		a.mu.Unlock()
		return
	}
	a.mu.Unlock()
	wakeAll(readers)
}

func (a *appliedIndex) advance(index uint64) {
	a.mu.Lock()
	a.index.Store(index)
	var ready []indexWaiter
	kept := a.waiters[:0]
	for _, w := range a.waiters {
		if w.index <= index {
			ready = append(ready, w)
		} else {
			kept = append(kept, w)
		}
	}
	clear(a.waiters[len(kept):])
	a.waiters = kept
	a.mu.Unlock()
	for _, w := range ready {
		wakeAll(w.readers)
	}
}

func wakeAll(readers []*readRequest) {
	for _, q := range readers {
		q.done <- struct{}{}
	}
}
