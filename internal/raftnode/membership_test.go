package raftnode

import (
	"errors"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

func TestMembershipCheck(t *testing.T) {
	m := &membership{
		Members: map[uint64]Member{
			1: {ID: 1, PeerURL: "http://a:1"},
			2: {ID: 2, PeerURL: "http://b:1"},
			4: {ID: 4, PeerURL: "http://d:1", Learner: true},
			6: {ID: 6, PeerURL: "http://f:1", Learner: true, Replaces: 2},
			7: {ID: 7, PeerURL: "http://g:1", Learner: true, Replaces: 3},
		},
		Removed: map[uint64]struct{}{3: {}},
	}
	joint := m.enterJoint(6, 2)
	single := &membership{Members: map[uint64]Member{1: {ID: 1}, 4: {ID: 4, Learner: true}}}
	const (
		add     = raftpb.ConfChangeAddNode
		learner = raftpb.ConfChangeAddLearnerNode
		remove  = raftpb.ConfChangeRemoveNode
		update  = raftpb.ConfChangeUpdateNode
	)
	tests := []struct {
		name string
		m    *membership
		typ  raftpb.ConfChangeType
		mb   Member
		want error
	}{
		{"new learner", m, learner, Member{ID: 5, PeerURL: "http://e:1"}, nil},
		{"promotion", m, add, Member{ID: 4}, nil},
		{"promotion of a voter", m, add, Member{ID: 2}, ErrMemberExists},
		{"id in use", m, learner, Member{ID: 2, PeerURL: "http://x:1"}, ErrMemberExists},
		{"id used before", m, learner, Member{ID: 3, PeerURL: "http://x:1"}, ErrIDRemoved},
		{"address in use", m, learner, Member{ID: 5, PeerURL: "http://b:1"}, ErrMemberExists},
		{"removal", m, remove, Member{ID: 2}, nil},
		{"removal of nobody", m, remove, Member{ID: 9}, ErrNoSuchMember},
		{"removal of a removed one", m, remove, Member{ID: 3}, ErrNoSuchMember},
		{"removal of the last voter", single, remove, Member{ID: 1}, ErrWouldLoseQuorum},
		{"removal of a learner beside one voter", single, remove, Member{ID: 4}, nil},
		{"the same address with a slash", m, learner, Member{ID: 5, PeerURL: "http://b:1/"}, ErrMemberExists},
		{"promotion of a newcomer whose place is taken", m, add, Member{ID: 6}, ErrConfigChangePending},
		{"promotion of one whose place has been left", m, add, Member{ID: 7}, nil},
		{"a second newcomer for a place", m, learner, Member{ID: 5, PeerURL: "http://e:1", Replaces: 2}, ErrConfigChangePending},
		{"a newcomer for the place of nobody", m, learner, Member{ID: 5, PeerURL: "http://e:1", Replaces: 9}, ErrNoSuchMember},
		{"a newcomer for the place of a learner", m, learner, Member{ID: 5, PeerURL: "http://e:1", Replaces: 4}, ErrNotVoter},
		{"a newcomer for its own place", m, learner, Member{ID: 5, PeerURL: "http://e:1", Replaces: 5}, ErrNoSuchMember},
		{"another address", m, update, Member{ID: 1, PeerURL: "http://a:2"}, nil},
		{"its own address", m, update, Member{ID: 1, PeerURL: "http://a:1"}, nil},
		{"the address of another", m, update, Member{ID: 1, PeerURL: "http://b:1"}, ErrMemberExists},
		{"address of nobody", m, update, Member{ID: 9, PeerURL: "http://x:1"}, ErrNoSuchMember},
		{"address of a removed one", m, update, Member{ID: 3, PeerURL: "http://x:1"}, ErrNoSuchMember},
		{"addition while joint", joint, learner, Member{ID: 5, PeerURL: "http://e:1"}, ErrConfigChangePending},
		{"promotion while joint", joint, add, Member{ID: 4}, ErrConfigChangePending},
		{"removal while joint", joint, remove, Member{ID: 4}, ErrConfigChangePending},
		{"address while joint", joint, update, Member{ID: 1, PeerURL: "http://a:2"}, ErrConfigChangePending},
		{"a type of a later raft", m, 9, Member{ID: 1}, ErrBadMember},
	}
	for _, tt := range tests {
		if got := tt.m.check(tt.typ, tt.mb); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := m.nextID(); got != 8 {
		t.Errorf("next id %d, want 8", got)
	}
	after := m.change(remove, Member{ID: 4}).change(learner, Member{ID: 5, PeerURL: "http://e:1"}).change(add, Member{ID: 5})
	if mb := after.Members[5]; mb.Learner || mb.PeerURL != "http://e:1" {
		t.Errorf("promoted member %+v", mb)
	}
	if !after.removed(4) || after.nextID() != 8 || len(m.Members) != 5 {
		t.Errorf("after changes %+v; before %+v", after, m)
	}
}

func TestConfigErrorsAreJoined(t *testing.T) {
	_, err := New(Config{PeerURL: "nonsense", ElectionTicks: 2, HeartbeatTicks: 1}, testMachine{}, nil)
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"member id", "cluster id", "election ticks", "nonsense"} {
		if !contains(err.Error(), want) {
			t.Errorf("error does not name %q: %v", want, err)
		}
	}
}
