package raftnode

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// A member is replaced in these steps, none of which needs whoever asked for it:
//
//  1. The newcomer is added as a learner that replaces the other (Member.Replaces).
//  2. When it has caught up, the leader proposes one change that makes it a voter
//     and removes the other. Applied, it puts the cluster into a joint
//     configuration: decisions need a majority of the voters before and after.
//  3. The leader leaves the joint configuration. Only now is the other one
//     removed, and told so: until then its vote may have been needed.
//
// raft proposes step 3 by itself, and gives up when leadership is being
// transferred just then; leaveJoint does it again. A leader that is itself on
// its way out does not leave the joint configuration: the news of it could be
// lost with it, and the others would wait for its vote for ever. It hands
// leadership over first.

// jointAlarm is after how long in a joint configuration somebody should look.
const jointAlarm = 10 * time.Second

// ReplaceMember lets a new member take the place of a voter. It returns the
// newcomer once the other is removed; done is false when ctx ended before that,
// while the newcomer was catching up, and it all goes on by itself. The same
// call again waits for the same newcomer. Errors: ErrNoSuchMember, ErrNotVoter,
// ErrWouldLoseQuorum, ErrConfigChangePending when another newcomer is to
// replace it, and those of AddMember.
func (n *Node[R]) ReplaceMember(ctx context.Context, remove uint64, add Member) (m Member, done bool, err error) {
	m, err = n.changeMembership(ctx, Change{Kind: ChangeReplace, ID: remove, Member: add})
	if err != nil {
		return Member{}, false, err
	}
	for {
		now := n.members.Load()
		if mb, ok := now.Members[m.ID]; ok {
			m = mb
		}
		_, stays := now.Members[remove]
		switch {
		case now.removed(m.ID):
			return Member{}, false, fmt.Errorf("%w: %d, it was removed before it could take the place of member %d", ErrNoSuchMember, m.ID, remove)
		case now.isVoter(m.ID) && !stays:
			return m, true, nil
		case !n.inbox.put(func(*inputs[R]) {}):
			return m, false, nil // this member stops; the others do the rest
		}
		select {
		case <-time.After(n.cfg.Tick):
		case <-ctx.Done():
			return m, false, nil
		}
	}
}

// replacement finds the newcomer that an earlier request of the same kind has
// added, also when it has taken its place since.
func (m *membership) replacement(c Change) (Member, bool) {
	if c.Kind != ChangeReplace {
		return Member{}, false
	}
	for _, mb := range m.sorted() {
		same := sameURL(mb.PeerURL, c.Member.PeerURL) && (c.Member.ID == 0 || c.Member.ID == mb.ID)
		if same && (mb.Replaces == c.ID || m.removed(c.ID) && m.isVoter(mb.ID)) {
			return mb, true
		}
	}
	return Member{}, false
}

// swap is the change that lets a learner take the place of a voter.
func swap(in, out uint64, context []byte) *raftpb.ConfChangeV2 {
	return &raftpb.ConfChangeV2{
		Transition: raftpb.ConfChangeTransitionAuto.Enum(), // two changes: joint, and raft leaves it
		Changes: []*raftpb.ConfChangeSingle{
			{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: &in},
			{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: &out},
		},
		Context: context,
	}
}

// swapped reads what swap has made; false: this version makes no such change.
func swapped(cc *raftpb.ConfChangeV2) (in, out uint64, ok bool) {
	ch := cc.GetChanges()
	if cc.GetTransition() != raftpb.ConfChangeTransitionAuto || len(ch) != 2 ||
		ch[0].GetType() != raftpb.ConfChangeAddNode || ch[1].GetType() != raftpb.ConfChangeRemoveNode {
		return 0, 0, false
	}
	return ch[0].GetNodeId(), ch[1].GetNodeId(), true
}

// leaveJoint sees to it that a joint configuration ends.
func (l *loop[R]) leaveJoint(now time.Time) {
	if !l.joint || !l.leading() {
		return
	}
	if since := now.Sub(l.jointSince); since >= jointAlarm {
		l.jointSince = now
		l.n.lg.Warn("the cluster is still between two configurations: more voters must run for it to get on",
			zap.Duration("for", since), zap.Uint64s("outgoing", l.n.members.Load().Outgoing), zap.Uint64s("voters", l.n.members.Load().voters()))
	}
	if l.n.members.Load().leaving(l.n.cfg.Member) {
		l.transferAway()
		return
	}
	// raft has proposed it when the joint configuration was applied here, or
	// the first entry of this leader.
	if now.Sub(l.leaveTried) < l.n.electionTimeout() || l.rn.BasicStatus().LeadTransferee != raft.None {
		return
	}
	l.leaveTried = now
	if err := l.rn.ProposeConfChange(&raftpb.ConfChangeV2{}); err != nil {
		l.n.lg.Debug("joint configuration not left yet", zap.Error(err))
	}
}
