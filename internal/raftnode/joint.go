package raftnode

import (
	"fmt"
	"slices"
)

// joint reports whether the cluster is between two configurations.
func (m *membership) joint() bool { return len(m.Outgoing) > 0 }

// leaving reports whether a member goes when the joint configuration is left.
func (m *membership) leaving(id uint64) bool { return slices.Contains(m.Leaving, id) }

// checkSwap says why a learner cannot take the place of a voter; like check, it
// depends on nothing but the membership.
func (m *membership) checkSwap(in, out uint64) error {
	mb, exists := m.Members[in]
	switch {
	case m.joint():
		return fmt.Errorf("%w: voters %v are being replaced by %v", ErrConfigChangePending, m.Outgoing, m.voters())
	case !exists:
		return fmt.Errorf("%w: %d", ErrNoSuchMember, in)
	case !mb.Learner:
		return fmt.Errorf("%w: %d is a voter", ErrMemberExists, in)
	}
	return m.checkVoter(out)
}

// enterJoint returns the membership in the joint configuration in which a
// learner takes the place of a voter, after checkSwap has passed it.
func (m *membership) enterJoint(in, out uint64) *membership {
	next := m.clone()
	next.Outgoing, next.Leaving = m.voters(), []uint64{out}
	mb := next.Members[in]
	mb.Learner = false
	next.Members[in] = mb
	return next
}

// leaveJoint returns the membership after the joint configuration.
func (m *membership) leaveJoint() *membership {
	next := m.clone()
	for _, id := range m.Leaving {
		delete(next.Members, id)
		next.Removed[id] = struct{}{}
	}
	for id, mb := range next.Members {
		if mb.Replaces != 0 && m.leaving(mb.Replaces) {
			mb.Replaces = 0
			next.Members[id] = mb
		}
	}
	next.Outgoing, next.Leaving = nil, nil
	return next
}
