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
		},
		Removed: map[uint64]struct{}{3: {}},
	}
	single := &membership{Members: map[uint64]Member{1: {ID: 1}, 4: {ID: 4, Learner: true}}}
	const (
		add     = raftpb.ConfChangeAddNode
		learner = raftpb.ConfChangeAddLearnerNode
		remove  = raftpb.ConfChangeRemoveNode
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
		{"update through raft", m, raftpb.ConfChangeUpdateNode, Member{ID: 1}, ErrBadMember},
	}
	for _, tt := range tests {
		if got := tt.m.check(tt.typ, tt.mb); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
	if got := m.nextID(); got != 5 {
		t.Errorf("next id %d, want 5", got)
	}
	after := m.change(remove, Member{ID: 4}).change(learner, Member{ID: 5, PeerURL: "http://e:1"}).change(add, Member{ID: 5})
	if mb := after.Members[5]; mb.Learner || mb.PeerURL != "http://e:1" {
		t.Errorf("promoted member %+v", mb)
	}
	if !after.removed(4) || after.nextID() != 6 || len(m.Members) != 3 {
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
