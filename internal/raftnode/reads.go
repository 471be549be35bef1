package raftnode

import (
	"encoding/binary"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// readRequest is one caller of ReadBarrier.
type readRequest struct {
	gone atomic.Bool   // its caller has left
	done chan struct{} // receives one token when the barrier is passed
}

// readRounds shares rounds of ReadIndex among all who wait. It belongs to the
// loop. At most one round is under way: those who come during it must not
// join, since its index may already be older than their call. Two or four at a
// time were slower: the rounds become smaller and the messages more.
//
// On the leader the rounds of followers join: what each of them asks for is what a
// round here finds out, and a round costs as much for one as for all.
type readRounds struct {
	id       entryID // of the newest attempt: no two attempts ever share a context
	underWay bool
	elapsed  int // ticks since the attempt
	gather   gathering

	open, round        []*readRequest    // those that wait for the next round, and for this one
	openPeers, ofPeers []*raftpb.Message // the same, as followers ask
}

// maxPeerReads bounds what followers ask for between two rounds. Each has one round
// under way; what is more are attempts that have been given up.
const maxPeerReads = 256

// waiting is how many wait for the round that is to come.
func (r *readRounds) waiting() int { return len(r.open) + len(r.openPeers) }

// waits says whether anyone waits for a round that is to come.
func (r *readRounds) waits() bool {
	return r.waiting() > 0
}

// served says whether anyone waits for the round that is under way.
func (r *readRounds) served() bool {
	return r.underWay && len(r.round)+len(r.ofPeers) > 0
}

// ask takes in the round of a follower. The newest can be answered, if any can.
func (r *readRounds) ask(m *raftpb.Message) {
	if len(r.openPeers) == maxPeerReads {
		r.openPeers = slices.Delete(r.openPeers, 0, 1)
	}
	r.openPeers = append(r.openPeers, m)
}

// begin starts a round for all that wait, and returns its context.
func (r *readRounds) begin() []byte {
	r.round = append(r.round, r.open...)
	clear(r.open)
	r.open = r.open[:0]
	r.ofPeers = append(r.ofPeers, r.openPeers...)
	clear(r.openPeers)
	r.openPeers = r.openPeers[:0]
	r.underWay, r.elapsed = true, 0
	r.gather.begin(len(r.round)+len(r.ofPeers), 0, time.Now())
	r.id.Counter++
	ctx := make([]byte, 0, 24)
	ctx = binary.BigEndian.AppendUint64(ctx, r.id.Member)
	ctx = binary.BigEndian.AppendUint64(ctx, r.id.Boot)
	return binary.BigEndian.AppendUint64(ctx, r.id.Counter)
}

// abandon ends a round without an answer. Its readers wait for the next one,
// whose context is new: a late answer to this one matches nothing. Followers ask
// again by themselves.
func (r *readRounds) abandon() {
	r.open = append(r.open, r.round...)
	clear(r.round)
	r.round, r.underWay = r.round[:0], false
	r.openPeers, r.ofPeers = nil, nil
	r.gather = gathering{}
}

// answered returns the readers, here and on followers, of the round that state
// answers, if it is the newest attempt.
func (r *readRounds) answered(state raft.ReadState) ([]*readRequest, []*raftpb.Message) {
	c := state.RequestCtx
	if !r.underWay || len(c) != 24 ||
		binary.BigEndian.Uint64(c) != r.id.Member ||
		binary.BigEndian.Uint64(c[8:]) != r.id.Boot ||
		binary.BigEndian.Uint64(c[16:]) != r.id.Counter {
		return nil, nil
	}
	readers, peers := r.round, r.ofPeers
	r.round, r.ofPeers, r.underWay = nil, nil, false
	r.gather.end(r.waiting(), time.Now())
	return readers, peers
}

// dropGone forgets readers whose callers have left, also those of the round under
// way: a learner goes on asking a leader that is gone for as long as nobody tells
// it of another.
func (r *readRounds) dropGone() {
	r.open = stillThere(r.open)
	r.round = stillThere(r.round)
}

func stillThere(readers []*readRequest) []*readRequest {
	return slices.DeleteFunc(readers, func(q *readRequest) bool { return q.gone.Load() })
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

// dropGone forgets readers whose callers have left: apply may not come on for a
// long time.
func (a *appliedIndex) dropGone() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for i := range a.waiters {
		a.waiters[i].readers = stillThere(a.waiters[i].readers)
	}
	a.waiters = slices.DeleteFunc(a.waiters, func(w indexWaiter) bool { return len(w.readers) == 0 })
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
