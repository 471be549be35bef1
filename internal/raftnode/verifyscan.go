package raftnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// How much of a processor a scan takes: it works for about workTime, then rests
// for restFactor times as long as it did.
const (
	workTime   = time.Millisecond
	restFactor = 4
)

// scan is one hashing of this member's state as it was after an entry.
type scan struct {
	index   uint64
	stop    context.CancelCauseFunc
	ctx     context.Context
	done    bool
	took    time.Duration // once it is done
	hash    uint64
	err     error
	verdict *verdict // came before the scan was done
	older   bool     // than the last finding that the state is wrong: says nothing against it
}

// errReplaced ends the scan of a state that is here no more.
var errReplaced = errors.New("the state was replaced")

// hashReport is what a member tells the leader.
type hashReport struct {
	Index uint64 `json:"index"`
	Hash  uint64 `json:"hash"`
	Error string `json:"error,omitempty"` // instead of a hash: its memory is damaged
}

// report is what is told of a scan that is done. verifier.mu is held.
func (s *scan) report() hashReport {
	if s.err != nil {
		return hashReport{Index: s.index, Error: s.err.Error()}
	}
	return hashReport{Index: s.index, Hash: s.hash}
}

// check freezes the state for a scan, unless the last one still runs: then this
// member leaves the check out.
func (a *applier[R]) check(e *raftpb.Entry, id entryID) {
	n := a.n
	index, s := n.verifier.begin(e.GetIndex(), n.verdictPatience())
	if f := n.inFlight.take(id); f != nil {
		f.index = index
		f.done <- nil
	}
	if s == nil {
		return
	}
	digest := n.sm.Digest()
	n.do(func(l *loop[R]) {
		l.wg.Go(func() {
			stop := context.AfterFunc(l.ctx, func() { s.stop(ErrStopped) })
			defer stop()
			n.scanned(s, digest)
		})
	})
}

// begin notes a check. It returns the index of the round that the check belongs
// to, and a scan if one should be made.
func (v *verifier) begin(index uint64, patience time.Duration) (uint64, *scan) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	v.checked = now
	if v.round.index != 0 && now.Sub(v.round.began) < patience {
		return v.round.index, nil
	}
	v.round = round{index: index, began: now}
	if v.scan != nil && !v.scan.done {
		return index, nil
	}
	s := &scan{index: index}
	s.ctx, s.stop = context.WithCancelCause(context.Background())
	v.scan = s
	return index, s
}

// scanned scans, and draws the conclusions.
func (n *Node[R]) scanned(s *scan, digest func(func() error) (uint64, error)) {
	began := time.Now()
	p := pacer{since: began}
	hash, err := digest(func() error { return p.pause(s.ctx) })
	v := &n.verifier
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.scan != s || s.ctx.Err() != nil {
		return // of a state that is here no more, or the member is ending
	}
	s.stop(nil)
	s.done, s.took, s.hash, s.err = true, time.Since(began), hash, err
	v.signal()
	if err != nil {
		n.divergeLocked(fmt.Errorf("at log index %d: %w", s.index, err))
	} else if s.verdict != nil {
		n.compareLocked(s.verdict)
	}
}

// damaged notes that the state as it was at index was found damaged, unless
// another has come in its place since.
func (n *Node[R]) damaged(index uint64, err error) {
	n.verifier.mu.Lock()
	defer n.verifier.mu.Unlock()
	if index >= n.verifier.replacedAt {
		n.divergeLocked(err)
	}
}

// replaced forgets all that was known of a state in whose place another came.
func (v *verifier) replaced(index uint64) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.scan != nil {
		v.scan.stop(errReplaced)
		v.scan = nil
	}
	v.replacedAt = index
	v.diverged.Store(nil)
}

// pacer makes work rest now and then.
type pacer struct{ since time.Time }

func (p *pacer) pause(ctx context.Context) error {
	if worked := time.Since(p.since); worked >= workTime {
		rest := time.NewTimer(restFactor * worked)
		select {
		case <-rest.C:
		case <-ctx.Done():
			rest.Stop()
		}
		p.since = time.Now()
	}
	return context.Cause(ctx)
}
