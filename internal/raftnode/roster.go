package raftnode

import (
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/confchange"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"google.golang.org/protobuf/proto"
)

// roster follows the membership through a log that no member runs: as apply
// and raft would, without state machine and without peers.
type roster struct {
	index   uint64
	members *membership
	changer confchange.Changer
}

// newRoster begins at a snapshot, or before the first entry: h is an empty
// header then. Without a conf the header's is taken.
func newRoster(h *bodyHeader, conf *raftpb.ConfState) (*roster, error) {
	if conf == nil {
		conf = &raftpb.ConfState{}
		if err := proto.Unmarshal(h.ConfState, conf); err != nil {
			return nil, fmt.Errorf("snapshot %d: members of raft: %w", h.Index, err)
		}
	}
	r := &roster{index: h.Index, members: h.Membership}
	r.changer.Tracker = tracker.MakeProgressTracker(1, 0)
	cfg, progress, err := confchange.Restore(r.changer, conf)
	if err != nil {
		return nil, fmt.Errorf("snapshot %d: members of raft: %w", h.Index, err)
	}
	r.changer.Tracker.Config, r.changer.Tracker.Progress = cfg, progress
	return r, nil
}

// confState is raft's own view of the members.
func (r *roster) confState() *raftpb.ConfState { return r.changer.Tracker.ConfState() }

// joint tells whether a change of several members is half way through.
func (r *roster) joint() bool { return r.members.joint() }

// apply takes the next entry.
func (r *roster) apply(e *raftpb.Entry) error {
	r.index = e.GetIndex()
	var err error
	switch e.GetType() {
	case raftpb.EntryNormal:
		err = r.applyNormal(e)
	case raftpb.EntryConfChange, raftpb.EntryConfChangeV2:
		err = r.applyChange(e)
	}
	if err != nil {
		return fmt.Errorf("log index %d: %w", r.index, err)
	}
	return nil
}

func (r *roster) applyNormal(e *raftpb.Entry) error {
	if len(e.GetData()) == 0 {
		return nil // raft's own, at the start of a term
	}
	h, payload, err := decodeEntry(e.GetData())
	if errors.Is(err, ErrNewerVersion) {
		return err
	}
	var mb Member
	if err == nil && h.kind == kindMember && json.Unmarshal(payload, &mb) == nil {
		r.members = r.members.publish(mb)
	}
	return nil
}

// applyChange is judged as apply judges it: what it refuses there changes
// nothing here.
func (r *roster) applyChange(e *raftpb.Entry) error {
	d, err := r.members.decide(e)
	if err != nil || d.cc == nil || d.refusal != nil {
		return err
	}
	return r.reconfigure(d.next, d.cc.AsV2())
}

func (r *roster) reconfigure(next *membership, cc *raftpb.ConfChangeV2) error {
	r.changer.LastIndex = r.index
	cfg, progress, err := r.configure(cc)
	if err != nil {
		return fmt.Errorf("membership change: %w", err)
	}
	r.changer.Tracker.Config, r.changer.Tracker.Progress = cfg, progress
	r.members = next
	return nil
}

func (r *roster) configure(cc *raftpb.ConfChangeV2) (tracker.Config, tracker.ProgressMap, error) {
	if cc.LeaveJoint() {
		return r.changer.LeaveJoint()
	}
	if autoLeave, ok := cc.EnterJoint(); ok {
		return r.changer.EnterJoint(autoLeave, cc.GetChanges()...)
	}
	return r.changer.Simple(cc.GetChanges()...)
}
