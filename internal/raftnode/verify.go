package raftnode

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.uber.org/zap"
)

// Verification is what a comparison of the members' states has shown.
type Verification struct {
	Index  uint64            // of the log entry after which the states were compared
	At     time.Time         // when this member heard of it
	Hashes map[uint64]uint64 // of the members' states, by id
	// Missing members had not told their hash in time. Diverged ones hold another
	// state than the majority of the voters that told, or, where there is none, than
	// the leader; or, where that has none, than most voters; or found damage in their
	// memory, and then have no hash. Unless most of the voters have told what they
	// found, and one of them has a hash, nobody is said to hold another state.
	Missing, Diverged []uint64
}

// verifier is what a member knows of its own state and, in case it leads, of the
// others'.
//
// Every so often the leader proposes a check. Each member that comes to it in the
// log freezes its state there, hashes all of it on a goroutine of its own, and
// reports to the leader. When all have, or have had time enough, the leader
// proposes a verdict, so that all members hear the same and a member whose
// leader is gone asks the next one. A report goes out until its verdict has come.
type verifier struct {
	diverged atomic.Pointer[error]
	taking   atomic.Bool   // the leader's state is being taken over
	wake     chan struct{} // holds a token while there may be something to do

	mu         sync.Mutex
	checked    time.Time // when the last check was applied, or proposed here
	replacedAt uint64    // index at which another member's state came in the place of this one
	scan       *scan     // the newest, running or done; nil: none since then
	round      round     // the newest check
	reports    map[uint64]map[uint64]hashReport
	last       *Verification
	told       chan struct{} // closed at the next verdict

	// owned by guard
	reported struct{ index, to, term uint64 } // last report that the leader has taken
	lead     struct {                         // the last time that this member led
		term  uint64
		since time.Time // by guard's reckoning
	}
	again    time.Time // when a verdict may be proposed again
	reseedAt time.Time // when this member may ask for another's state again
}

// round is a check that has no verdict yet. Another check in that time is part of
// it: a member has only one scan at a time.
type round struct {
	index uint64 // 0: none
	began time.Time
}

// reportsOf bounds for how many checks reports are kept.
const reportsOf = 4

func (v *verifier) init(now time.Time) {
	v.wake = make(chan struct{}, 1)
	v.told = make(chan struct{})
	v.checked = now
	v.reports = make(map[uint64]map[uint64]hashReport)
}

func (v *verifier) signal() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

// LastVerification is the newest that this member has heard of in this life;
// false: none yet.
func (n *Node[R]) LastVerification() (Verification, bool) {
	n.verifier.mu.Lock()
	defer n.verifier.mu.Unlock()
	if n.verifier.last == nil {
		return Verification{}, false
	}
	return *n.verifier.last, true
}

// Diverged says why this member must not serve: its state is not that of the
// others. Nil: as far as it knows it is. The error wraps ErrDiverged. It does not
// block, and goes by itself once the member has the leader's state.
func (n *Node[R]) Diverged() error {
	if err := n.verifier.diverged.Load(); err != nil {
		return *err
	}
	return nil
}

// Verify has all members compare their states, and returns what came of it. One
// that is under way is joined. Errors: ErrNoLeader when ctx ends first,
// ErrStopped.
func (n *Node[R]) Verify(ctx context.Context) (Verification, error) {
	for ctx.Err() == nil {
		index, err := n.checkNow(ctx)
		if errors.Is(err, ErrStopped) {
			return Verification{}, err
		}
		if err == nil {
			// The leader may be lost, and its check with it.
			attempt, cancel := context.WithTimeout(ctx, n.verdictPatience()+n.electionTimeout())
			v, ok := n.verifier.await(attempt, index)
			cancel()
			if ok {
				return v, nil
			}
			continue
		}
		select {
		case <-time.After(n.cfg.Tick):
		case <-ctx.Done():
		}
	}
	return Verification{}, ErrNoLeader
}

// await waits for the verdict on a check, or a later one.
func (v *verifier) await(ctx context.Context, index uint64) (Verification, bool) {
	for {
		v.mu.Lock()
		last, told := v.last, v.told
		v.mu.Unlock()
		if last != nil && last.Index >= index {
			return *last, true
		}
		select {
		case <-told:
		case <-ctx.Done():
			return Verification{}, false
		}
	}
}

// checkNow has the leader, whoever it is, make a check, and returns its index.
func (n *Node[R]) checkNow(ctx context.Context) (uint64, error) {
	leader, err := ask(ctx, n, func(l *loop[R]) (uint64, error) { return l.view.leader, nil })
	switch {
	case err != nil:
		return 0, err
	case n.isSelf(leader):
		return n.checkAsLeader(ctx)
	case leader == raft.None:
		return 0, errNotLeader
	}
	reply, _, err := n.peers.tr.Forward(ctx, leader, []byte{forwardVerify})
	if err != nil {
		return 0, fmt.Errorf("ask member %d for a check: %w", leader, err)
	}
	if len(reply) != 8 {
		return 0, fmt.Errorf("%w: answer of %d bytes to a check", errBadRequest, len(reply))
	}
	return binary.BigEndian.Uint64(reply), nil
}

// divergeLocked notes that the state of this member is not to be trusted.
func (n *Node[R]) divergeLocked(err error) {
	if s := n.verifier.scan; s != nil {
		s.older = true
	}
	err = fmt.Errorf("%w: %w", ErrDiverged, err)
	if n.verifier.diverged.CompareAndSwap(nil, &err) {
		n.lg.Error("state has diverged: this member must not serve until it has the leader's", zap.Error(err))
		n.verifier.signal()
		n.health.hurry()
	}
}

// verdictPatience is how long the leader waits for reports at least.
func (n *Node[R]) verdictPatience() time.Duration {
	if n.cfg.VerifyEvery < 0 {
		return 20 * time.Second
	}
	return n.cfg.VerifyEvery * 2 / 3
}
