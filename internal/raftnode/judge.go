package raftnode

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// ruling is what the leader makes of a Change.
type ruling struct {
	typ     raftpb.ConfChangeType
	member  Member       // as it is after the change; of a removal, as it was
	update  MemberUpdate // of an update
	out     uint64       // whose place the member takes; 0: nobody's
	after   *membership  // what it all comes to in the end
	settled bool         // it is so already
}

// confChange is what is proposed to raft.
func (v *ruling) confChange(id entryID) (raftpb.ConfChangeI, error) {
	c := changeContext{ID: id, Update: v.update}
	if v.typ == raftpb.ConfChangeAddLearnerNode {
		c.Member = v.member
	}
	b, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	if v.out == 0 {
		return &raftpb.ConfChange{Type: v.typ.Enum(), NodeId: new(v.member.ID), Context: b}, nil
	}
	return swap(v.member.ID, v.out, b), nil
}

// ruling judges a change by the membership alone. Whatever the error, after is
// a membership.
func (m *membership) ruling(c Change) (v ruling, err error) {
	v.after = m
	if err := c.validate(); err != nil {
		return v, err
	}
	old, exists := m.Members[c.ID]
	switch c.Kind {
	case ChangeAdd, ChangeReplace:
		v.typ, v.member = raftpb.ConfChangeAddLearnerNode, c.Member
		if mb, ok := m.replacement(c); ok {
			v.member, v.settled = mb, true
			return v, nil
		}
		if v.member.ID == 0 {
			v.member.ID = m.nextID()
		}
	case ChangeRemove:
		v.typ, v.member = raftpb.ConfChangeRemoveNode, Member{ID: c.ID}
	case ChangePromote:
		v.typ, v.member = raftpb.ConfChangeAddNode, old
		if m.isVoter(c.ID) {
			v.settled = true
			return v, nil
		}
		if !exists {
			return v, fmt.Errorf("%w: %d", ErrNoSuchMember, c.ID)
		}
	case ChangeUpdate:
		v.typ, v.member, v.update = raftpb.ConfChangeUpdateNode, old.with(c.Update), c.Update
		v.member.ID = c.ID
		if exists && v.member == old {
			v.settled = true
			return v, nil
		}
	}
	if err := m.check(v.typ, v.member); err != nil {
		return v, err
	}
	v.after = m.change(v.typ, v.member)
	if c.Kind == ChangeReplace {
		v.after = v.after.enterJoint(v.member.ID, c.ID).leaveJoint()
	} else if c.Kind != ChangeRemove {
		v.member = v.after.Members[v.member.ID]
	} else {
		v.member = old
	}
	return v, nil
}

// swapRuling judges that a newcomer takes the place it is meant for.
func (m *membership) swapRuling(mb Member) (ruling, error) {
	if err := m.checkSwap(mb.ID, mb.Replaces); err != nil {
		return ruling{}, err
	}
	after := m.enterJoint(mb.ID, mb.Replaces).leaveJoint()
	return ruling{typ: raftpb.ConfChangeAddNode, member: after.Members[mb.ID], out: mb.Replaces, after: after}, nil
}

// judge says what a change comes to, and why it is refused. It proposes nothing.
func (l *loop[R]) judge(c Change) (ruling, error) {
	m, now := l.n.members.Load(), time.Now()
	v, err := m.ruling(c)
	if err != nil || v.settled {
		return v, err
	}
	if l.beginning() {
		return v, errUnsettled
	}
	if l.changePending() {
		return v, ErrConfigChangePending
	}
	switch c.Kind {
	case ChangePromote:
		return v, l.checkReach(c.ID, now)
	case ChangeRemove:
		if c.Force {
			return v, nil
		}
		return v, l.checkQuorum(m, v.after, 0, now)
	case ChangeReplace:
		return v, l.checkQuorum(m, v.after, v.member.ID, now)
	}
	return v, nil
}

// changePending reports that raft would refuse a change: one that may be in
// the log is not applied yet, or the configuration is a joint one.
func (l *loop[R]) changePending() bool {
	return l.joint || l.beginning() || l.rn.BasicStatus().Applied < l.changeIndex
}

// beginning reports that the log this leader began with is not applied yet: it
// may end in a change that an earlier leader proposed.
func (l *loop[R]) beginning() bool {
	return l.termFirst == 0 || l.rn.BasicStatus().Applied < l.termFirst
}

// checkQuorum refuses a change of the voters that could not be decided, or
// after which nothing could be, going by who has answered of late. A newcomer
// counts as one that answers: it becomes a voter only when it does.
func (l *loop[R]) checkQuorum(before, after *membership, newcomer uint64, now time.Time) error {
	are, left := before.voters(), after.voters()
	if slices.Equal(are, left) {
		return nil
	}
	if l.settling(are, now) {
		return errUnsettled
	}
	if n := l.answering(are, now); n < majority(are) {
		return fmt.Errorf("%w: only %d of the %d voters answer, so nothing can be decided until more of them run again",
			ErrWouldLoseQuorum, n, len(are))
	}
	if n := l.answeringWith(left, newcomer, now); n < majority(left) {
		return fmt.Errorf("%w: of the %d voters left (%v) only %d answer; start those that do not, or remove them first",
			ErrWouldLoseQuorum, len(left), left, n)
	}
	return nil
}

func majority(ids []uint64) int { return len(ids)/2 + 1 }

// answering counts those that were heard within an election timeout.
func (l *loop[R]) answering(ids []uint64, now time.Time) int {
	return l.answeringWith(ids, 0, now)
}

// answeringWith counts one of them without asking.
func (l *loop[R]) answeringWith(ids []uint64, surely uint64, now time.Time) int {
	limit, count := l.n.electionTimeout(), 0
	for _, id := range ids {
		if t, ok := l.contact[id]; id == surely || l.n.isSelf(id) || ok && now.Sub(t) < limit {
			count++
		}
	}
	return count
}

// settling reports that this member leads for so short a time that it cannot
// know yet whether some of these answer.
func (l *loop[R]) settling(ids []uint64, now time.Time) bool {
	return now.Sub(l.ledSince) < l.n.electionTimeout() && l.answering(ids, now) < len(ids)
}

// quorumContact reports whether a majority answers: of both halves while the
// configuration is a joint one.
func (l *loop[R]) quorumContact(now time.Time) bool {
	m := l.n.members.Load()
	voters := m.voters()
	return l.answering(voters, now) >= majority(voters) &&
		(!m.joint() || l.answering(m.Outgoing, now) >= majority(m.Outgoing))
}

// tolerated is how many more of these voters may fail.
func tolerated(ids []uint64, answering int) int { return max(0, answering-majority(ids)) }
