package raftnode

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

const (
	// reseedRetry is how long a member waits for the leader's state before it
	// asks again.
	reseedRetry = 5 * time.Second
	// reseedTimeout bounds how long entries wait for the state to come.
	reseedTimeout = 5 * time.Minute
	// seedPatience is how long the giver may take to come to the entry.
	seedPatience = 10 * time.Second
)

// reseedRequest asks the leader for its state.
type reseedRequest struct {
	Boot uint64 `json:"boot"` // the life that asks: a later one knows nothing of it
}

// reseedPoint is an entry: after it one member takes over another's state.
type reseedPoint struct {
	Member uint64 `json:"member"`
	Boot   uint64 `json:"boot"`
	From   uint64 `json:"from"`
}

// reseedAsLeader lets a member have the state of this one.
func (n *Node[R]) reseedAsLeader(ctx context.Context, member uint64, r reseedRequest) error {
	switch _, known := n.members.Load().Members[member]; {
	case !n.Leads():
		return errNotLeader
	case !known:
		return fmt.Errorf("%w: %d", ErrNoSuchMember, member)
	case n.seeds.writing():
		return errors.New("another member is being given a state")
	}
	if err := n.Diverged(); err != nil {
		return err
	}
	_, err := n.proposeOwn(ctx, kindReseed, reseedPoint{Member: member, Boot: r.Boot, From: n.cfg.Member})
	return err
}

// reseed is where a member whose state differs takes over the leader's: both are
// at the same entry, so that nothing is left out and nothing applied twice.
func (a *applier[R]) reseed(ctx context.Context, e *raftpb.Entry, id entryID, p reseedPoint) {
	n := a.n
	if f := n.inFlight.take(id); f != nil {
		f.done <- nil
	}
	switch {
	case n.isSelf(p.From) && id.Boot == n.boot:
		if n.Diverged() == nil {
			a.giveState(e)
		}
	case n.isSelf(p.Member) && p.Boot == n.boot:
		if n.Diverged() == nil {
			return // it was asked for twice
		}
		begin := time.Now()
		if err := a.takeState(ctx, e, p.From); err != nil {
			n.lg.Warn("the leader's state was not taken over", zap.Uint64("leader", p.From), zap.Error(err))
			return
		}
		n.lg.Info("the leader's state was taken over", zap.Uint64("leader", p.From),
			zap.Uint64("index", a.index), zap.Duration("took", time.Since(begin)))
	}
}

// giveState freezes the state as it is after e, for another member to fetch.
func (a *applier[R]) giveState(e *raftpb.Entry) {
	n := a.n
	confState, err := proto.Marshal(a.confState)
	if err != nil {
		panic(fmt.Sprintf("marshal ConfState: %v", err))
	}
	h := &bodyHeader{
		Cluster: n.cfg.Cluster, Index: e.GetIndex(), Term: e.GetTerm(), Clock: a.clock,
		ConfState: confState, Membership: a.members,
	}
	state, err := n.sm.Snapshot()
	done := n.seeds.begin(h.Index)
	write := func(ctx context.Context) {
		defer done()
		if err == nil {
			err = n.writeSnapshot(ctx, h, state)
		}
		if err == nil || ctx.Err() != nil {
			return
		}
		n.lg.Warn("state for another member not written", zap.Uint64("index", h.Index), zap.Error(err))
		if !noRoom(err) && !errors.Is(err, ErrDiverged) {
			n.do(func(l *loop[R]) { l.diskFailed(h.Index, err) })
		}
	}
	if !n.inbox.put(func(in *inputs[R]) {
		in.calls = append(in.calls, func(l *loop[R]) {
			if l == nil {
				done() // nobody is left to write, and whoever waits must not
				return
			}
			l.wg.Go(func() { write(l.ctx) })
		})
	}) {
		done()
	}
}

// takeState replaces this member's state by that of another after e, on disk
// too: neither the own snapshots nor the log before e can be trusted to lead to
// the right state. The log itself, term and vote were never in doubt.
func (a *applier[R]) takeState(ctx context.Context, e *raftpb.Entry, from uint64) error {
	n, begin := a.n, time.Now()
	n.verifier.taking.Store(true)
	defer n.verifier.taking.Store(false)
	ctx, cancel := context.WithTimeout(ctx, reseedTimeout)
	defer cancel()
	for {
		attempt := time.Now()
		err := n.fetchBody(ctx, from, e.GetIndex())
		if err == nil {
			break
		}
		// One that fails at once will not heal; one that waited in vain may have
		// waited for a large state to be written.
		quick := time.Since(attempt) < n.electionTimeout()
		gone := n.view.Load().leader != from && time.Since(begin) > n.electionTimeout()
		if ctx.Err() != nil || gone || quick && time.Since(begin) > seedPatience {
			return err
		}
		select {
		case <-time.After(n.cfg.Tick):
		case <-ctx.Done():
		}
	}
	h, err := n.restore(e.GetIndex())
	if err != nil {
		return err
	}
	a.adopt(h)
	n.verifier.replaced(a.index)
	n.members.Store(h.Membership)
	n.peers.update(h.Membership)
	meta := &raftpb.SnapshotMetadata{
		Index: new(a.index), Term: new(e.GetTerm()), ConfState: proto.Clone(a.confState).(*raftpb.ConfState),
	}
	n.do(func(l *loop[R]) {
		l.recordSnapshot(&snapshotRecord{meta: meta, took: time.Since(begin), seeded: true})
	})
	return nil
}

// fetchBody stores the body of another member's snapshot.
func (n *Node[R]) fetchBody(ctx context.Context, from, index uint64) error {
	body, err := n.peers.tr.FetchSnapshot(ctx, from, index)
	if err != nil {
		return fmt.Errorf("fetch snapshot %d from member %d: %w", index, from, err)
	}
	defer body.Close()
	if err := n.storeBody(index, body); err != nil {
		return fmt.Errorf("from member %d: %w", from, err)
	}
	return nil
}

// seeds knows of the body that is being written for another member.
type seeds struct {
	mu    sync.Mutex
	index uint64
	done  chan struct{} // nil: none was ever written
}

// begin notes that a body is being written until the returned function is called.
func (s *seeds) begin(index uint64) (done func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := make(chan struct{})
	s.index, s.done = index, c
	return func() { close(c) }
}

func (s *seeds) writing() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.done == nil {
		return false
	}
	select {
	case <-s.done:
		return false
	default:
		return true
	}
}

// await returns when the body at index is not being written any more.
func (s *seeds) await(index uint64) {
	s.mu.Lock()
	at, done := s.index, s.done
	s.mu.Unlock()
	if done != nil && at == index {
		<-done
	}
}
