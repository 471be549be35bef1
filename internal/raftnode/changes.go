package raftnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// ChangeKind says what a Change does.
type ChangeKind string

// The kinds of Change.
const (
	ChangeAdd     ChangeKind = "add"     // Member joins, as a learner
	ChangeRemove  ChangeKind = "remove"  // ID leaves for good; Force: whoever answers
	ChangePromote ChangeKind = "promote" // ID, a learner, becomes a voter
	ChangeUpdate  ChangeKind = "update"  // of ID, what Update has
	ChangeReplace ChangeKind = "replace" // Member joins as a learner, and takes the place of ID when it has caught up
)

// Change is a change of the membership.
type Change struct {
	Kind   ChangeKind   `json:"kind"`
	ID     uint64       `json:"id,omitempty"`
	Member Member       `json:"member,omitzero"`
	Update MemberUpdate `json:"update,omitzero"`
	Force  bool         `json:"force,omitempty"`
}

// MemberUpdate is what changes of a member; nil: stays.
type MemberUpdate struct {
	Name        *string `json:"name,omitempty"`
	PeerURL     *string `json:"peer_url,omitempty"`
	ClientURL   *string `json:"client_url,omitempty"`
	AutoPromote *bool   `json:"auto_promote,omitempty"`
}

// validate refuses what no membership would make sense of. It also makes
// nothing of what a newcomer cannot know.
func (c *Change) validate() error {
	switch c.Kind {
	case ChangeAdd, ChangeReplace:
		c.Member.Learner, c.Member.Started, c.Member.Replaces = true, false, 0
		if c.Kind == ChangeReplace {
			c.Member.Replaces = c.ID
		}
		if c.Member.ID >= raft.LocalApplyThread {
			return fmt.Errorf("%w: id %d is reserved", ErrBadMember, c.Member.ID)
		}
		return checkURL(c.Member.PeerURL)
	case ChangeUpdate:
		if u := c.Update.PeerURL; u != nil {
			if err := checkURL(*u); err != nil {
				return err
			}
		}
		if u := c.Update.ClientURL; u != nil && *u != "" {
			return checkURL(*u)
		}
		return nil
	case ChangeRemove, ChangePromote:
		return nil
	}
	return fmt.Errorf("%w: change %q", ErrBadMember, c.Kind)
}

// changeContext travels in the context of a ConfChange, and of a ConfChangeV2.
type changeContext struct {
	ID     entryID      `json:"id"`
	Member Member       `json:"member,omitzero"` // of an addition
	Update MemberUpdate `json:"update,omitzero"` // of an update
}

func decodeChangeContext(b []byte) (c changeContext, err error) {
	if err := json.Unmarshal(b, &c); err != nil {
		return changeContext{}, fmt.Errorf("%w: context of a membership change: %w", errBadEntry, err)
	}
	return c, nil
}

// foundingPeers are the entries a cluster begins with: the same on every
// founder, to the byte.
func foundingPeers(founders []Founder) []raft.Peer {
	var peers []raft.Peer
	for _, f := range sortedFounders(founders) {
		b, err := json.Marshal(changeContext{Member: Member{ID: f.ID, PeerURL: f.PeerURL}})
		if err != nil {
			panic(fmt.Sprintf("marshal founder: %v", err))
		}
		peers = append(peers, raft.Peer{ID: f.ID, Context: b})
	}
	return peers
}

// changeID tells whose membership change an entry is.
func changeID(e *raftpb.Entry) (entryID, bool) {
	var b []byte
	if e.GetType() == raftpb.EntryConfChangeV2 {
		cc := &raftpb.ConfChangeV2{}
		if proto.Unmarshal(e.GetData(), cc) != nil {
			return entryID{}, false
		}
		b = cc.GetContext()
	} else {
		cc := &raftpb.ConfChange{}
		if proto.Unmarshal(e.GetData(), cc) != nil {
			return entryID{}, false
		}
		b = cc.GetContext()
	}
	c, err := decodeChangeContext(b)
	return c.ID, err == nil && c.ID != entryID{}
}

// AddMember adds a member as a learner, with an unused id if mb has none, and
// returns it once the change is applied. Errors: ErrBadMember,
// ErrMemberExists, ErrIDRemoved, ErrConfigChangePending, and those of Propose.
func (n *Node[R]) AddMember(ctx context.Context, mb Member) (Member, error) {
	return n.changeMembership(ctx, Change{Kind: ChangeAdd, Member: mb})
}

// RemoveMember removes a member for good. Without force it is refused when
// fewer than a majority of the voters left have answered of late. A leader
// that is to go hands leadership over first. Errors: ErrNoSuchMember,
// ErrWouldLoseQuorum, ErrConfigChangePending, and those of Propose.
func (n *Node[R]) RemoveMember(ctx context.Context, id uint64, force bool) error {
	_, err := n.changeMembership(ctx, Change{Kind: ChangeRemove, ID: id, Force: force})
	return err
}

// PromoteMember makes a voter of a learner that keeps up with the log, and
// returns it; one that is a voter already is returned at once. Errors:
// ErrNoSuchMember, ErrLearnerNotReady with how far it is behind,
// ErrConfigChangePending, and those of Propose.
func (n *Node[R]) PromoteMember(ctx context.Context, id uint64) (Member, error) {
	return n.changeMembership(ctx, Change{Kind: ChangePromote, ID: id})
}

// UpdateMember changes what the cluster knows of a member; its peers follow to
// a new peer URL at once. Errors: ErrBadMember, ErrNoSuchMember,
// ErrMemberExists when the peer URL is another's, ErrConfigChangePending, and
// those of Propose.
func (n *Node[R]) UpdateMember(ctx context.Context, id uint64, u MemberUpdate) (Member, error) {
	return n.changeMembership(ctx, Change{Kind: ChangeUpdate, ID: id, Update: u})
}

// changeMembership has the leader make a change, whoever that is. It tries
// again while that surely has had no effect: while there is no leader, or one
// too new to judge, or while it is busy with another change for less than an
// election timeout.
func (n *Node[R]) changeMembership(ctx context.Context, c Change) (Member, error) {
	if err := c.validate(); err != nil {
		return Member{}, err
	}
	patience := time.Now().Add(n.electionTimeout())
	refusal := ErrNoLeader
	for ctx.Err() == nil {
		mb, err := n.changeOnce(ctx, c)
		switch {
		case errors.Is(err, errNotLeader), errors.Is(err, errUnsettled):
			refusal = ErrNoLeader
		case errors.Is(err, errWithdrawn): // ctx has ended
		case errors.Is(err, ErrConfigChangePending) && time.Now().Before(patience):
			refusal = err
		default:
			return mb, err
		}
		select {
		case <-time.After(n.cfg.Tick):
		case <-ctx.Done():
		}
	}
	return Member{}, refusal
}

func (n *Node[R]) changeOnce(ctx context.Context, c Change) (Member, error) {
	leader := n.view.Load().leader
	if n.isSelf(leader) {
		return n.changeAsLeader(ctx, c)
	}
	var r changeReply
	switch sent, err := n.askPeer(ctx, leader, forwardChange, c, &r); {
	case !sent:
		return Member{}, errNotLeader // it may not be any more
	case err != nil:
		return Member{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return r.Member, r.err()
}

// changeAsLeader proposes a change and waits until it is applied here.
func (n *Node[R]) changeAsLeader(ctx context.Context, c Change) (Member, error) {
	type proposed struct {
		mb   Member
		done chan error
		err  error
	}
	answer := make(chan proposed, 1)
	var begun atomic.Bool // by the loop, or given up before that
	ok := n.inbox.put(func(in *inputs[R]) {
		in.calls = append(in.calls, func(l *loop[R]) {
			if !begun.CompareAndSwap(false, true) {
				return
			}
			if l == nil {
				answer <- proposed{err: ErrStopped}
				return
			}
			mb, done, err := l.change(c)
			answer <- proposed{mb, done, err}
		})
	})
	if !ok {
		return Member{}, ErrStopped
	}
	var p proposed
	select {
	case p = <-answer:
	case <-ctx.Done():
		if begun.CompareAndSwap(false, true) {
			return Member{}, errWithdrawn
		}
		p = <-answer // the loop is at it
	}
	if p.err != nil {
		return Member{}, p.err
	}
	select {
	case err := <-p.done:
		if errors.Is(err, ErrNoLeader) {
			err = errNotLeader // another leader's entry has taken its place: surely not applied
		}
		return p.mb, err
	case <-ctx.Done():
		return Member{}, ErrOutcomeUnknown
	}
}

// change proposes a membership change, if the cluster can bear it.
func (l *loop[R]) change(c Change) (Member, chan error, error) {
	if !l.leading() {
		return Member{}, nil, errNotLeader
	}
	v, err := l.judge(c)
	if err != nil {
		return Member{}, nil, err
	}
	if c.Kind == ChangeRemove && l.n.isSelf(c.ID) {
		// The next leader does it: this one would step down with the change,
		// and leave the others without a leader and perhaps without the news.
		l.transfer()
		return Member{}, nil, errNotLeader
	}
	done, err := l.proposeChange(v)
	return v.member, done, err
}

// proposeChange proposes what judge has found good. done receives what becomes
// of it.
func (l *loop[R]) proposeChange(v ruling) (done chan error, err error) {
	done = make(chan error, 1)
	if v.settled {
		done <- nil
		return done, nil
	}
	id := l.nextID()
	cc, err := v.confChange(id)
	if err != nil {
		return nil, err
	}
	f := &inFlight[R]{id: id, done: done}
	l.n.inFlight.add(f)
	if err := l.rn.ProposeConfChange(cc); err != nil {
		l.n.inFlight.take(id)
		return nil, errNotLeader // a transfer of leadership is under way
	}
	// raft turns a change it refuses into an empty entry, without a word. One
	// that it accepted is in the log now.
	l.handleReady()
	if f.index == 0 {
		l.n.inFlight.take(id)
		return nil, ErrConfigChangePending
	}
	return done, nil
}
