package raftnode

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// changeContext travels in ConfChange.Context.
type changeContext struct {
	ID     entryID `json:"id"`
	Member Member  `json:"member"`
}

// changeRequest asks the leader for a membership change.
type changeRequest struct {
	Type   raftpb.ConfChangeType `json:"type"`
	Member Member                `json:"member"`
	Force  bool                  `json:"force,omitempty"`
}

// changeReply is the leader's answer. Errors cross by name, since only
// sentinels can be told apart on the other side.
type changeReply struct {
	Member Member `json:"member"`
	Error  string `json:"error,omitempty"`
	Text   string `json:"text,omitempty"`
}

var changeErrors = map[string]error{
	"bad_member":            ErrBadMember,
	"exists":                ErrMemberExists,
	"id_removed":            ErrIDRemoved,
	"not_found":             ErrNoSuchMember,
	"would_lose_quorum":     ErrWouldLoseQuorum,
	"config_change_pending": ErrConfigChangePending,
	"not_leader":            errNotLeader,
	"no_leader":             ErrNoLeader,
	"stopped":               ErrStopped,
}

func newChangeReply(mb Member, err error) changeReply {
	if err == nil {
		return changeReply{Member: mb}
	}
	for name, sentinel := range changeErrors {
		if errors.Is(err, sentinel) {
			return changeReply{Error: name, Text: err.Error()}
		}
	}
	return changeReply{Error: "unknown", Text: err.Error()}
}

func (r changeReply) err() error {
	if r.Error == "" {
		return nil
	}
	if sentinel, ok := changeErrors[r.Error]; ok {
		return &remoteError{sentinel, r.Text}
	}
	return fmt.Errorf("%w: %s", ErrOutcomeUnknown, r.Text)
}

// remoteError is a sentinel with the words of another member.
type remoteError struct {
	sentinel error
	text     string
}

func (e *remoteError) Error() string { return e.text }
func (e *remoteError) Unwrap() error { return e.sentinel }

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
	cc, c := &raftpb.ConfChange{}, changeContext{}
	if proto.Unmarshal(e.GetData(), cc) != nil || json.Unmarshal(cc.GetContext(), &c) != nil {
		return entryID{}, false
	}
	return c.ID, c.ID != entryID{}
}

// AddMember adds a member as a learner, with an unused id if mb has none, and
// returns it once the change is applied. Errors: ErrBadMember,
// ErrMemberExists, ErrIDRemoved, ErrConfigChangePending, and those of Propose.
func (n *Node[R]) AddMember(ctx context.Context, mb Member) (Member, error) {
	if err := checkURL(mb.PeerURL); err != nil {
		return Member{}, err
	}
	if mb.ID >= raft.LocalApplyThread {
		return Member{}, fmt.Errorf("%w: id %d is reserved", ErrBadMember, mb.ID)
	}
	mb.Learner, mb.Started = true, false
	return n.changeMembership(ctx, changeRequest{Type: raftpb.ConfChangeAddLearnerNode, Member: mb})
}

// RemoveMember removes a member for good. Without force it is refused when
// fewer than a majority of the voters left have answered of late. Errors:
// ErrNoSuchMember, ErrWouldLoseQuorum, ErrConfigChangePending, and those of
// Propose.
func (n *Node[R]) RemoveMember(ctx context.Context, id uint64, force bool) error {
	_, err := n.changeMembership(ctx, changeRequest{Type: raftpb.ConfChangeRemoveNode, Member: Member{ID: id}, Force: force})
	return err
}

// changeMembership has the leader make a change, whoever that is, and tries
// again while there is none, or while it is busy with another change for less
// than an election timeout.
func (n *Node[R]) changeMembership(ctx context.Context, req changeRequest) (Member, error) {
	patience := time.Now().Add(time.Duration(n.cfg.ElectionTicks) * n.cfg.Tick)
	refusal := ErrNoLeader
	for ctx.Err() == nil {
		mb, err := n.changeOnce(ctx, req)
		switch {
		case errors.Is(err, errNotLeader):
			refusal = ErrNoLeader
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

func (n *Node[R]) changeOnce(ctx context.Context, req changeRequest) (Member, error) {
	leader := n.view.Load().leader
	switch {
	case n.isSelf(leader):
		return n.changeAsLeader(ctx, req)
	case leader == raft.None:
		return Member{}, errNotLeader
	}
	b, err := json.Marshal(req)
	if err != nil {
		return Member{}, err
	}
	reply, sent, err := n.peers.tr.Forward(ctx, leader, append([]byte{forwardChange}, b...))
	switch {
	case !sent:
		return Member{}, errNotLeader // it may not be any more
	case err != nil:
		return Member{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	var r changeReply
	if err := json.Unmarshal(reply, &r); err != nil {
		return Member{}, fmt.Errorf("%w: %w", ErrOutcomeUnknown, err)
	}
	return r.Member, r.err()
}

// changeAsLeader proposes a change and waits until it is applied here.
func (n *Node[R]) changeAsLeader(ctx context.Context, req changeRequest) (Member, error) {
	type proposed struct {
		mb   Member
		done chan error
	}
	p, err := ask(ctx, n, func(l *loop[R]) (proposed, error) {
		mb, done, err := l.change(req)
		return proposed{mb, done}, err
	})
	if cause := context.Cause(ctx); cause != nil && errors.Is(err, cause) {
		return Member{}, ErrOutcomeUnknown // the loop may still come to it
	}
	if err != nil {
		return Member{}, err
	}
	select {
	case err := <-p.done:
		return p.mb, err
	case <-ctx.Done():
		return Member{}, ErrOutcomeUnknown
	}
}

// change proposes a membership change, if the cluster can bear it.
func (l *loop[R]) change(req changeRequest) (Member, chan error, error) {
	if !l.leading() {
		return Member{}, nil, errNotLeader
	}
	m, mb := l.n.members.Load(), req.Member
	if mb.ID == 0 {
		mb.ID = m.nextID()
	}
	if err := m.check(req.Type, mb); err != nil {
		return Member{}, nil, err
	}
	if req.Type == raftpb.ConfChangeRemoveNode && !req.Force {
		if err := l.checkQuorumWithout(m, mb.ID); err != nil {
			return Member{}, nil, err
		}
	}
	id := l.nextID()
	b, err := json.Marshal(changeContext{ID: id, Member: mb})
	if err != nil {
		return Member{}, nil, err
	}
	f := &inFlight[R]{id: id, done: make(chan error, 1)}
	l.n.inFlight.add(f)
	err = l.rn.ProposeConfChange(&raftpb.ConfChange{Type: req.Type.Enum(), NodeId: new(mb.ID), Context: b})
	if err != nil {
		l.n.inFlight.take(id)
		return Member{}, nil, errNotLeader // a transfer of leadership is under way
	}
	// raft turns a change it refuses into an empty entry, without a word. One
	// that it accepted is in the log now.
	l.handleReady()
	if f.index == 0 {
		l.n.inFlight.take(id)
		return Member{}, nil, ErrConfigChangePending
	}
	return mb, f.done, nil
}

// checkQuorumWithout refuses the removal of a voter that would leave fewer
// answering voters than a majority.
func (l *loop[R]) checkQuorumWithout(m *membership, id uint64) error {
	if m.Members[id].Learner {
		return nil
	}
	var left []uint64
	for _, v := range m.voters() {
		if v != id {
			left = append(left, v)
		}
	}
	if n := l.answering(left, time.Now()); n <= len(left)/2 {
		return fmt.Errorf("%w: of the %d voters left without member %d only %d answer", ErrWouldLoseQuorum, len(left), id, n)
	}
	return nil
}

// promoteLearners makes voters of learners that have reached, since the last
// look, what was committed then: they keep up with the log.
func (l *loop[R]) promoteLearners() {
	m := l.n.members.Load()
	now := time.Now()
	l.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		mb, ok := m.Members[id]
		if typ != raft.ProgressTypeLearner || !ok || !mb.AutoPromote {
			return
		}
		target, seen := l.caughtUp[id]
		if seen && pr.Match < target {
			return
		}
		l.caughtUp[id] = l.n.commit.Load()
		if !seen || pr.State != tracker.StateReplicate || l.answering([]uint64{id}, now) == 0 {
			return
		}
		l.n.do(func(l *loop[R]) {
			mb := Member{ID: id}
			if _, _, err := l.change(changeRequest{Type: raftpb.ConfChangeAddNode, Member: mb}); err == nil {
				l.n.lg.Info("learner has caught up and becomes a voter", zap.Uint64("member", id))
			}
		})
	})
}
