package raftnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"encoding/json"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// applyJob is a message of raft for the apply thread, or the snapshot that
// replaces the state, or neither: a reason to see whether a snapshot is wanted.
type applyJob struct {
	msg     *raftpb.Message
	restore *raftpb.SnapshotMetadata
}

// applier is the apply goroutine: the write side of the state machine, of the
// membership and of the applied index.
type applier[R any] struct {
	n *Node[R]

	index     uint64
	clock     time.Duration // the log's, as of index
	term      uint64        // of the entry at index
	confState *raftpb.ConfState
	members   *membership

	sinceEntries, sinceBytes uint64 // applied since the last snapshot
	cmds                     [][]byte
}

func newApplier[R any](n *Node[R]) *applier[R] {
	a := &applier[R]{n: n, confState: &raftpb.ConfState{}}
	a.adopt(n.header)
	if meta := n.recovered.Snapshot; meta != nil {
		a.confState = meta.GetConfState()
	}
	return a
}

// adopt takes over what the header of a restored snapshot says.
func (a *applier[R]) adopt(h *bodyHeader) {
	a.index, a.term, a.clock, a.members = h.Index, h.Term, h.Clock, h.Membership
	a.sinceEntries, a.sinceBytes = 0, 0
}

func (a *applier[R]) run(ctx context.Context) error {
	var jobs []applyJob
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-a.n.applyq.wake:
		}
		jobs = a.n.applyq.take(jobs)
		for _, j := range jobs {
			err := a.do(ctx, j)
			if ctx.Err() != nil {
				return nil
			}
			if err != nil {
				return err
			}
		}
	}
}

func (a *applier[R]) do(ctx context.Context, j applyJob) error {
	if j.restore != nil {
		return a.restore(j.restore)
	}
	if j.msg == nil {
		a.maybeSnapshot(ctx)
		return nil
	}
	for _, e := range j.msg.GetEntries() {
		if e.GetIndex() <= a.index {
			continue // before the snapshot that was restored
		}
		if err := a.apply(ctx, e); err != nil {
			return fmt.Errorf("apply entry %d: %w", e.GetIndex(), err)
		}
		a.index, a.term = e.GetIndex(), e.GetTerm()
		a.sinceEntries++
		a.sinceBytes += uint64(len(e.GetData()))
		// What was proposed for an index that is applied now, and was not
		// found in it, has lost its place in the log for good.
		for _, f := range a.n.inFlight.takeUpTo(a.index) {
			f.fail(ErrNoLeader)
		}
	}
	a.n.applied.advance(a.index)
	a.n.inbox.put(func(in *inputs[R]) { in.local = append(in.local, j.msg.GetResponses()...) })
	a.maybeSnapshot(ctx)
	return nil
}

func (a *applier[R]) apply(ctx context.Context, e *raftpb.Entry) error {
	switch e.GetType() {
	case raftpb.EntryNormal:
		if len(e.GetData()) == 0 {
			return nil // raft's own, at the start of a term
		}
		return a.applyNormal(e)
	case raftpb.EntryConfChange:
		return a.applyChange(ctx, e)
	default:
		// Joint changes are never proposed by this version.
		return fmt.Errorf("entry type %v: %w", e.GetType(), ErrNewerVersion)
	}
}

func (a *applier[R]) applyNormal(e *raftpb.Entry) error {
	h, payload, err := decodeEntry(e.GetData())
	if err == nil && h.kind == kindCommands {
		a.cmds, err = decodeCommands(a.cmds[:0], payload)
	}
	if errors.Is(err, ErrNewerVersion) {
		return err
	}
	if err != nil {
		// The same bytes are refused alike by every member: no state differs.
		a.n.lg.Error("entry ignored", zap.Uint64("index", e.GetIndex()), zap.Error(err))
		return nil
	}
	a.clock = max(a.clock, h.clock)
	a.n.clock.observe(a.clock)
	switch h.kind {
	case kindCommands:
		results, err := a.n.sm.Apply(e.GetIndex(), a.clock, a.cmds)
		if err != nil {
			return err
		}
		a.answer(h.id, results)
	case kindMember:
		var mb Member
		if err := json.Unmarshal(payload, &mb); err != nil {
			a.n.lg.Error("entry ignored", zap.Uint64("index", e.GetIndex()), zap.Error(err))
			return nil
		}
		a.setMembers(a.members.publish(mb))
	default:
		return fmt.Errorf("entry kind %d: %w", h.kind, ErrNewerVersion)
	}
	return nil
}

// answer hands the results of an entry to those who wait here for them.
func (a *applier[R]) answer(id entryID, results []R) {
	if id.Member != a.n.cfg.Member || id.Boot != a.n.boot {
		return
	}
	f := a.n.inFlight.take(id)
	if f == nil {
		return
	}
	if len(results) != len(f.props) {
		panic(fmt.Sprintf("state machine returned %d results for %d commands", len(results), len(f.props)))
	}
	for i, p := range f.props {
		p.finish(results[i], nil)
	}
}

// applyChange applies a membership change, or rejects it: on every member
// alike, since that depends on the membership alone.
func (a *applier[R]) applyChange(ctx context.Context, e *raftpb.Entry) error {
	cc := &raftpb.ConfChange{}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		return fmt.Errorf("membership change: %w", err)
	}
	var c changeContext
	if err := json.Unmarshal(cc.GetContext(), &c); err != nil {
		return fmt.Errorf("membership change: %w", err)
	}
	c.Member.ID = cc.GetNodeId()
	refusal := a.members.check(cc.GetType(), c.Member)
	next := a.members
	if refusal == nil {
		next = a.members.change(cc.GetType(), c.Member)
	} else {
		cc.NodeId = new(raft.None) // raft must see it, and change nothing
	}
	// The transport must know a new member before raft sends to it.
	a.setMembers(next)
	cs, err := ask(ctx, a.n, func(l *loop[R]) (*raftpb.ConfState, error) {
		cs := l.applyConfChange(cc)
		if refusal == nil && cc.GetType() == raftpb.ConfChangeRemoveNode && l.n.isSelf(cc.GetNodeId()) {
			// A moment is left to tell the others what is in the queues.
			l.removedIn = int(lingerTime/l.n.cfg.Tick) + 1
		}
		return cs, nil
	})
	if err != nil {
		return err
	}
	a.confState = cs
	if refusal == nil {
		a.n.lg.Info("membership changed", zap.Stringer("change", cc.GetType()), zap.Uint64("member", cc.GetNodeId()),
			zap.Uint64s("voters", cs.GetVoters()), zap.Uint64s("learners", cs.GetLearners()))
	}
	if f := a.n.inFlight.take(c.ID); f != nil {
		f.done <- refusal
	}
	return nil
}

func (a *applier[R]) setMembers(m *membership) {
	if m == a.members {
		return
	}
	a.members = m
	a.n.members.Store(m)
	a.n.peers.update(m)
}

// restore replaces the state by a snapshot from a peer.
func (a *applier[R]) restore(meta *raftpb.SnapshotMetadata) error {
	h, err := a.n.restore(meta.GetIndex())
	if err != nil {
		return err
	}
	a.adopt(h)
	a.confState = meta.GetConfState()
	a.n.clock.observe(h.Clock)
	a.n.members.Store(h.Membership)
	a.n.peers.update(h.Membership)
	// Entries that were proposed here and lie below the snapshot may be in it.
	for _, f := range a.n.inFlight.takeUpTo(a.index) {
		f.fail(ErrOutcomeUnknown)
	}
	a.n.applied.advance(a.index)
	a.n.lg.Info("state replaced by snapshot", zap.Uint64("index", a.index))
	return nil
}
