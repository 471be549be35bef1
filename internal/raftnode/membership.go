package raftnode

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"go.etcd.io/raft/v3/raftpb"
)

// Member is one member of the cluster, as the log tells it.
type Member struct {
	ID        uint64 `json:"id"`
	Name      string `json:"name,omitempty"`
	PeerURL   string `json:"peer_url"`
	ClientURL string `json:"client_url,omitempty"`
	// Learner: receives the log and does not vote.
	Learner bool `json:"learner,omitempty"`
	// AutoPromote: becomes a voter as soon as it has caught up.
	AutoPromote bool `json:"auto_promote,omitempty"`
	// Started: has run and published itself, so it has a data directory.
	Started bool `json:"started,omitempty"`
}

// membership is state like any other: changed only by applied entries, kept in
// snapshots. Values are immutable; a change makes a new one.
type membership struct {
	Members map[uint64]Member   `json:"members"`
	Removed map[uint64]struct{} `json:"removed,omitempty"`
}

func (m *membership) clone() *membership {
	return &membership{Members: cloneMap(m.Members), Removed: cloneMap(m.Removed)}
}

func cloneMap[K comparable, V any](m map[K]V) map[K]V {
	if m == nil {
		return make(map[K]V)
	}
	return maps.Clone(m)
}

func (m *membership) sorted() []Member {
	return slices.SortedFunc(maps.Values(m.Members), func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
}

func (m *membership) removed(id uint64) bool {
	_, ok := m.Removed[id]
	return ok
}

func (m *membership) voters() []uint64 {
	var ids []uint64
	for _, mb := range m.sorted() {
		if !mb.Learner {
			ids = append(ids, mb.ID)
		}
	}
	return ids
}

// nextID is above every id that was ever used.
func (m *membership) nextID() uint64 {
	var top uint64
	for id := range m.Members {
		top = max(top, id)
	}
	for id := range m.Removed {
		top = max(top, id)
	}
	return top + 1
}

// check says why a change is refused. It is judged before a proposal, for a
// quick answer, and again where the change is applied, where alone it counts;
// so it depends on nothing but the membership.
func (m *membership) check(typ raftpb.ConfChangeType, mb Member) error {
	old, exists := m.Members[mb.ID]
	switch typ {
	case raftpb.ConfChangeAddNode, raftpb.ConfChangeAddLearnerNode:
		if m.removed(mb.ID) {
			return fmt.Errorf("%w: %d", ErrIDRemoved, mb.ID)
		}
		if exists {
			if typ == raftpb.ConfChangeAddNode && old.Learner {
				return nil // a promotion
			}
			return fmt.Errorf("%w: id %d", ErrMemberExists, mb.ID)
		}
		for _, other := range m.sorted() {
			if other.PeerURL == mb.PeerURL {
				return fmt.Errorf("%w: member %d has peer URL %s", ErrMemberExists, other.ID, mb.PeerURL)
			}
		}
		return nil
	case raftpb.ConfChangeRemoveNode:
		if !exists {
			return fmt.Errorf("%w: %d", ErrNoSuchMember, mb.ID)
		}
		if voters := m.voters(); len(voters) == 1 && voters[0] == mb.ID {
			return fmt.Errorf("%w: %d is the last voter", ErrWouldLoseQuorum, mb.ID)
		}
		return nil
	}
	return fmt.Errorf("%w: change type %v", ErrBadMember, typ)
}

// change returns the membership after a change that check has passed.
func (m *membership) change(typ raftpb.ConfChangeType, mb Member) *membership {
	next := m.clone()
	switch typ {
	case raftpb.ConfChangeAddNode:
		if old, ok := next.Members[mb.ID]; ok {
			old.Learner = false
			mb = old
		}
		next.Members[mb.ID] = mb
	case raftpb.ConfChangeAddLearnerNode:
		mb.Learner = true
		next.Members[mb.ID] = mb
	case raftpb.ConfChangeRemoveNode:
		delete(next.Members, mb.ID)
		next.Removed[mb.ID] = struct{}{}
	}
	return next
}

// publish returns the membership after a member has told its name and
// addresses, or m itself when that changes nothing.
func (m *membership) publish(mb Member) *membership {
	old, ok := m.Members[mb.ID]
	if !ok {
		return m
	}
	now := old
	now.Name, now.PeerURL, now.ClientURL, now.Started = mb.Name, mb.PeerURL, mb.ClientURL, true
	if now == old {
		return m
	}
	next := m.clone()
	next.Members[mb.ID] = now
	return next
}
