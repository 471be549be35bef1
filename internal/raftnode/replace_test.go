package raftnode

import (
	"errors"
	"slices"
	"testing"
)

// TestMembershipSwap: the one that is replaced is a member, and not removed,
// until the joint configuration has been left.
func TestMembershipSwap(t *testing.T) {
	m := &membership{Members: map[uint64]Member{
		1: {ID: 1}, 2: {ID: 2}, 3: {ID: 3}, 4: {ID: 4, Learner: true, Replaces: 2}, 5: {ID: 5, Learner: true},
	}}
	for _, tt := range []struct {
		name    string
		m       *membership
		in, out uint64
		want    error
	}{
		{"learner for voter", m, 4, 2, nil},
		{"nobody for voter", m, 9, 2, ErrNoSuchMember},
		{"learner for nobody", m, 4, 9, ErrNoSuchMember},
		{"voter for voter", m, 1, 2, ErrMemberExists},
		{"learner for learner", m, 4, 5, ErrNotVoter},
		{"again", m.enterJoint(4, 2), 5, 3, ErrConfigChangePending},
	} {
		if got := tt.m.checkSwap(tt.in, tt.out); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	joint := m.enterJoint(4, 2)
	if v := joint.voters(); !slices.Equal(v, []uint64{1, 3, 4}) || !slices.Equal(joint.Outgoing, []uint64{1, 2, 3}) {
		t.Errorf("joint: voters %v, outgoing %v", v, joint.Outgoing)
	}
	if _, in := joint.Members[2]; !in || joint.removed(2) || joint.isVoter(2) {
		t.Error("joint: member 2 is removed already, or a voter that stays")
	}
	left := joint.leaveJoint()
	if _, in := left.Members[2]; in || !left.removed(2) || left.joint() || len(left.Leaving) != 0 {
		t.Errorf("after the joint configuration: %+v", left)
	}
	if mb := left.Members[4]; mb.Learner || mb.Replaces != 0 {
		t.Errorf("the newcomer after it: %+v", mb)
	}
	if m.joint() || m.Members[4].Replaces != 2 || !m.Members[4].Learner {
		t.Error("the membership before was changed")
	}
}

// TestPublishedAddress: a member that tells an address of its own moves there,
// one that tells another's does not.
func TestPublishedAddress(t *testing.T) {
	m := &membership{Members: map[uint64]Member{1: {ID: 1, PeerURL: "http://a:1"}, 2: {ID: 2, PeerURL: "http://b:1"}}}
	for url, want := range map[string]string{"http://c:1": "http://c:1", "http://b:1": "http://b:1", "http://a:1/": "http://b:1"} {
		got := m.publish(Member{ID: 2, Name: "n2", PeerURL: url}).Members[2]
		if got.PeerURL != want || got.Name != "n2" || !got.Started {
			t.Errorf("told %s: %+v, want it at %s", url, got, want)
		}
	}
}
