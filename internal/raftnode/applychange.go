package raftnode

import (
	"context"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// decision is what a membership change in the log comes to: on every member
// alike, since it depends on the membership alone.
type decision struct {
	id      entryID
	next    *membership        // after it
	cc      raftpb.ConfChangeI // for raft; nil: raft must not hear of it
	refusal error              // why it is rejected; errBadEntry: nobody can read it
}

// decide judges an entry that is a membership change. What cannot be read is
// rejected like what is forbidden: it stands in every member's log, and one that
// ended there would end there at every start.
// Errors: ErrNewerVersion.
func (m *membership) decide(e *raftpb.Entry) (d decision, err error) {
	d.next = m
	if e.GetType() != raftpb.EntryConfChangeV2 {
		m.decideV1(e, &d)
	} else if err := m.decideV2(e, &d); err != nil {
		return d, fmt.Errorf("membership change: %w", err)
	}
	return d, nil
}

func (m *membership) decideV1(e *raftpb.Entry, d *decision) {
	cc, mb := &raftpb.ConfChange{}, Member{}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		cc, d.refusal = &raftpb.ConfChange{}, fmt.Errorf("%w: %w", errBadEntry, err)
	} else if c, err := decodeChangeContext(cc.GetContext()); err != nil {
		d.refusal = err
	} else {
		mb = c.Member
		if cc.GetType() == raftpb.ConfChangeUpdateNode {
			mb = m.Members[cc.GetNodeId()].with(c.Update)
		}
		mb.ID = cc.GetNodeId()
		d.id, d.refusal = c.ID, m.check(cc.GetType(), mb)
	}
	switch {
	case d.refusal == nil:
		d.next, d.cc = m.change(cc.GetType(), mb), cc
	case !m.joint(): // raft panics over any change in a joint configuration but its end
		cc.NodeId = new(raft.None) // raft must see it, and change nothing
		d.cc = cc
	}
}

// decideV2 judges the beginning of a joint configuration, or its end. raft
// panics over either at the wrong time, so it does not hear of one that is
// rejected.
func (m *membership) decideV2(e *raftpb.Entry, d *decision) error {
	cc := &raftpb.ConfChangeV2{}
	if err := proto.Unmarshal(e.GetData(), cc); err != nil {
		d.refusal = fmt.Errorf("%w: %w", errBadEntry, err)
		return nil
	}
	if cc.LeaveJoint() {
		if m.joint() {
			d.next, d.cc = m.leaveJoint(), cc
		}
		return nil
	}
	in, out, ok := swapped(cc)
	if !ok {
		return fmt.Errorf("of %d members: %w", len(cc.GetChanges()), ErrNewerVersion)
	}
	c, err := decodeChangeContext(cc.GetContext())
	if err != nil {
		d.refusal = err
		return nil
	}
	d.id, d.refusal = c.ID, m.checkSwap(in, out)
	if d.refusal == nil {
		d.next, d.cc = m.enterJoint(in, out), cc
	}
	return nil
}

// applyChange applies a membership change, or rejects it, and tells whoever
// waits for it here.
func (a *applier[R]) applyChange(ctx context.Context, e *raftpb.Entry) error {
	d, err := a.members.decide(e)
	if err != nil {
		return err
	}
	if errors.Is(d.refusal, errBadEntry) {
		a.n.lg.Error("entry ignored", zap.Uint64("index", e.GetIndex()), zap.Error(d.refusal))
	}
	if d.cc != nil {
		if err := a.reconfigure(ctx, d.next, d.cc); err != nil {
			return err
		}
	}
	if f := a.n.inFlight.take(d.id); f != nil {
		f.done <- d.refusal
	}
	return nil
}

// reconfigure takes over a new membership, and has raft do the same.
func (a *applier[R]) reconfigure(ctx context.Context, next *membership, cc raftpb.ConfChangeI) error {
	self := a.n.cfg.Member
	gone, changed := next.removed(self) && !a.members.removed(self), next != a.members
	// The transport must know a new member before raft sends to it.
	a.setMembers(next)
	cs, err := ask(ctx, a.n, func(l *loop[R]) (*raftpb.ConfState, error) { return l.applyConfChange(cc, gone), nil })
	if err != nil {
		return err
	}
	a.confState = cs
	if changed {
		a.n.lg.Info("membership changed", zap.String("change", raftpb.ConfChangesToString(cc.AsV2().GetChanges())),
			zap.Uint64s("voters", cs.GetVoters()), zap.Uint64s("outgoing", cs.GetVotersOutgoing()), zap.Uint64s("learners", cs.GetLearners()))
	}
	return nil
}
