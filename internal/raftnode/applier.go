package raftnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
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
		return a.applyNormal(ctx, e)
	case raftpb.EntryConfChange, raftpb.EntryConfChangeV2:
		return a.applyChange(ctx, e)
	default:
		return fmt.Errorf("entry type %v: %w", e.GetType(), ErrNewerVersion)
	}
}

func (a *applier[R]) applyNormal(ctx context.Context, e *raftpb.Entry) error {
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
	a.n.clock.observe(a.clock, h.id)
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
	case kindCheck:
		a.check(e, h.id)
	case kindVerdict:
		var v verdict
		err := json.Unmarshal(payload, &v)
		if err == nil && (v.Index == 0 || v.Index >= e.GetIndex()) {
			// No later verdict would count after one on a check far ahead.
			err = fmt.Errorf("%w: verdict on a check at index %d", errBadEntry, v.Index)
		}
		if err != nil {
			a.n.lg.Error("entry ignored", zap.Uint64("index", e.GetIndex()), zap.Error(err))
			return nil
		}
		a.n.judge(v)
	case kindReseed:
		var p reseedPoint
		if err := json.Unmarshal(payload, &p); err != nil {
			a.n.lg.Error("entry ignored", zap.Uint64("index", e.GetIndex()), zap.Error(err))
			return nil
		}
		a.reseed(ctx, e, h.id, p)
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
	a.n.verifier.replaced(a.index)
	a.confState = meta.GetConfState()
	a.n.clock.observe(h.Clock, entryID{})
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
