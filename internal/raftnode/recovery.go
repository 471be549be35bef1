package raftnode

import (
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// Recovery makes a cluster of one of a member whose cluster has lost its
// quorum for good. Plan it, show it to somebody, then Run it.
//
// What it makes is the member's log with its own end: entries that promote the
// member and remove all others, committed like all before them. So whoever
// reads the log later sees what happened, and nothing but the log decides who
// is a member. The cluster's id is new, which keeps the others out; the
// member's stays, since its log and its state speak of it by that, and in the
// new cluster nobody else ever had it.
type Recovery struct {
	Identity Identity // of the member, in the old cluster
	Members  []Member // of the old cluster, this one included

	SnapshotIndex uint64 // where the state begins; 0: there is no snapshot
	Last          uint64 // the last log index
	LastTerm      uint64
	Commit        uint64 // up to here committed; what follows is kept as if it were
	Torn          *Torn  // an end of the log that cannot be read, and was never acknowledged
	Learner       bool   // the member becomes a voter
	Joint         bool   // a change of several members was half way through, and is completed first

	dir string
}

// PlanRecovery finds out what a recovery would do, and changes nothing. Errors
// wrap ErrDataDir or are ErrRemoved.
func PlanRecovery(dir string) (*Recovery, error) {
	d, err := peek(dir)
	if err != nil {
		return nil, err
	}
	p, _, err := planRecovery(d)
	return p, errors.Join(err, d.Close())
}

// Run makes the directory into, which must be missing or empty, whole or not
// at all, and returns who its member is. The old directory stays as it is.
func (p *Recovery) Run(into string) (Identity, error) {
	if err := checkFresh(into); err != nil {
		return Identity{}, err
	}
	d, err := peek(p.dir)
	if err != nil {
		return Identity{}, err
	}
	again, c, err := planRecovery(d)
	if err == nil && (again.Last != p.Last || again.Identity != p.Identity) {
		err = fmt.Errorf("%w: %s has changed since the plan was made", ErrDataDir, p.dir)
	}
	if err == nil {
		err = makeDir(into, c)
	}
	if err = errors.Join(err, d.Close()); err != nil {
		return Identity{}, err
	}
	return c.identity, nil
}

func planRecovery(d *Disk) (*Recovery, *contents, error) {
	if text := d.removedText(); text != "" {
		return nil, nil, fmt.Errorf("%w: %s", ErrRemoved, text)
	}
	if err := d.read(); err != nil {
		return nil, nil, err
	}
	if !d.HasLog() {
		return nil, nil, fmt.Errorf("%w: %s holds no log", ErrDataDir, d.dir)
	}
	rec, err := d.recover()
	if err != nil {
		return nil, nil, d.unusable(err)
	}
	r, err := d.roster(rec, d.found.last())
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrDataDir, d.dir, err)
	}
	f := d.found
	p := &Recovery{
		Identity: f.identity, Members: r.members.sorted(),
		SnapshotIndex: rec.Snapshot.GetIndex(), Last: f.last(), LastTerm: max(f.lastTerm(), rec.Snapshot.GetTerm()),
		Commit: rec.HardState.GetCommit(), Learner: r.members.Members[f.identity.Member].Learner, Joint: r.joint(),
		dir: d.dir,
	}
	if t := f.torn; t != nil {
		p.Torn = &Torn{File: t.file, Offset: t.offset, Bytes: t.size - t.offset}
	}
	c := &contents{
		identity: Identity{Cluster: randomID(), Member: f.identity.Member, Name: f.identity.Name},
		entries:  rec.Entries[:len(rec.Entries):len(rec.Entries)],
		meta:     rec.Snapshot,
	}
	if rec.Snapshot != nil {
		c.source = d.bodyPath(rec.Snapshot.GetIndex())
		h, err := readHeaderFile(c.source)
		if err != nil {
			return nil, nil, fmt.Errorf("%w: %w", ErrDataDir, err)
		}
		next := *h
		next.Cluster = c.identity.Cluster
		c.header = &next
	}
	e := &epilogue{roster: r, self: f.identity.Member, index: p.Last, term: max(rec.HardState.GetTerm(), p.LastTerm) + 1}
	if err := e.write(); err != nil {
		return nil, nil, fmt.Errorf("%w: %s: %w", ErrDataDir, d.dir, err)
	}
	c.entries = append(c.entries, e.entries...)
	// As if this member had led the term of the last entries.
	c.hardState = &raftpb.HardState{Term: new(e.term), Vote: new(e.self), Commit: new(e.index)}
	return p, c, nil
}

// epilogue writes the end of a log that leaves one member.
type epilogue struct {
	roster      *roster
	self        uint64
	index, term uint64 // of the last entry
	entries     []*raftpb.Entry
}

// write adds one change after the other, as a leader would have. Each is tried
// on the roster: what has no effect there has none in the cluster either.
func (e *epilogue) write() error {
	if e.roster.joint() {
		if _, err := e.add(raftpb.EntryConfChangeV2, &raftpb.ConfChangeV2{}); err != nil {
			return err
		}
	}
	for !e.alone() {
		if _, in := e.roster.members.Members[e.self]; !in {
			return fmt.Errorf("member %d is removed by this log; recover another member", e.self)
		}
		changed, err := e.step()
		if err != nil {
			return err
		}
		if !changed {
			return fmt.Errorf("member %d cannot be made the only one of %v", e.self, e.roster.confState())
		}
	}
	return nil
}

// alone tells whether nobody else is left.
func (e *epilogue) alone() bool {
	cs := e.roster.confState()
	return len(e.roster.members.Members) == 1 && len(cs.GetVoters()) == 1 && cs.GetVoters()[0] == e.self &&
		len(cs.GetVotersOutgoing())+len(cs.GetLearners())+len(cs.GetLearnersNext()) == 0
}

// step promotes the member, or removes another, whichever can be done first.
func (e *epilogue) step() (changed bool, err error) {
	m := e.roster.members
	if m.Members[e.self].Learner {
		if changed, err = e.change(raftpb.ConfChangeAddNode, e.self); changed || err != nil {
			return changed, err
		}
	}
	for _, mb := range m.sorted() {
		if mb.ID == e.self {
			continue
		}
		if changed, err = e.change(raftpb.ConfChangeRemoveNode, mb.ID); changed || err != nil {
			return changed, err
		}
	}
	return false, nil
}

func (e *epilogue) change(typ raftpb.ConfChangeType, id uint64) (changed bool, err error) {
	b, err := json.Marshal(changeContext{Member: Member{ID: id}})
	if err != nil {
		return false, err
	}
	return e.add(raftpb.EntryConfChange, &raftpb.ConfChange{Type: typ.Enum(), NodeId: new(id), Context: b})
}

// add appends an entry if it has an effect.
func (e *epilogue) add(typ raftpb.EntryType, change proto.Message) (changed bool, err error) {
	data, err := proto.Marshal(change)
	if err != nil {
		return false, err
	}
	before, joint := e.roster.members, e.roster.joint()
	ent := &raftpb.Entry{Type: typ.Enum(), Term: new(e.term), Index: new(e.index + 1), Data: data}
	if err := e.roster.apply(ent); err != nil {
		return false, err
	}
	if e.roster.members == before && e.roster.joint() == joint {
		return false, nil
	}
	e.entries = append(e.entries, ent)
	e.index++
	return true, nil
}
