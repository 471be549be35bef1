package raftnode

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/raft/v3"
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
	// Replaces: takes the place of this voter as soon as it has caught up.
	Replaces uint64 `json:"replaces,omitempty"`
}

// with returns the member after an update.
func (mb Member) with(u MemberUpdate) Member {
	set(&mb.Name, u.Name)
	set(&mb.PeerURL, u.PeerURL)
	set(&mb.ClientURL, u.ClientURL)
	set(&mb.AutoPromote, u.AutoPromote)
	return mb
}

func set[T any](field, to *T) {
	if to != nil {
		*field = *to
	}
}

// membership is state like any other: changed only by applied entries, kept in
// snapshots. Values are immutable; a change makes a new one.
type membership struct {
	Members map[uint64]Member   `json:"members"`
	Removed map[uint64]struct{} `json:"removed,omitempty"` // tombstones: never members again
	// Outgoing are the voters of the configuration that is being left, while
	// the cluster is in a joint one; then a decision needs a majority of them
	// and one of voters().
	Outgoing []uint64 `json:"outgoing,omitempty"`
	// Leaving are the members that go when the joint configuration is left.
	// Until then they vote in its outgoing half, so they are not removed yet.
	Leaving []uint64 `json:"leaving,omitempty"`
}

func (m *membership) clone() *membership {
	return &membership{
		Members: cloneMap(m.Members), Removed: cloneMap(m.Removed),
		Outgoing: m.Outgoing, Leaving: m.Leaving,
	}
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

// isVoter reports whether a member is a voter and stays one.
func (m *membership) isVoter(id uint64) bool {
	mb, ok := m.Members[id]
	return ok && !mb.Learner && !m.leaving(id)
}

// voters are those of the configuration the cluster is in or, while it is in a
// joint one, enters.
func (m *membership) voters() []uint64 {
	var ids []uint64
	for _, mb := range m.sorted() {
		if m.isVoter(mb.ID) {
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
// so it depends on nothing but the membership. Of an update, mb is what the
// member becomes.
func (m *membership) check(typ raftpb.ConfChangeType, mb Member) error {
	if m.joint() {
		return fmt.Errorf("%w: voters %v are being replaced by %v", ErrConfigChangePending, m.Outgoing, m.voters())
	}
	old, exists := m.Members[mb.ID]
	switch typ {
	case raftpb.ConfChangeAddNode, raftpb.ConfChangeAddLearnerNode:
		if mb.ID == raft.None {
			return fmt.Errorf("%w: id 0 stands for no member", ErrBadMember)
		}
		if m.removed(mb.ID) {
			return fmt.Errorf("%w: %d", ErrIDRemoved, mb.ID)
		}
		if exists && (typ == raftpb.ConfChangeAddLearnerNode || !old.Learner) {
			return fmt.Errorf("%w: id %d", ErrMemberExists, mb.ID)
		}
		if exists {
			return m.checkPromotion(old)
		}
		if err := m.checkAddress(mb); err != nil {
			return err
		}
		return m.checkReplaces(mb)
	case raftpb.ConfChangeRemoveNode:
		if !exists {
			return fmt.Errorf("%w: %d", ErrNoSuchMember, mb.ID)
		}
		if voters := m.voters(); len(voters) == 1 && voters[0] == mb.ID {
			return fmt.Errorf("%w: %d is the last voter", ErrWouldLoseQuorum, mb.ID)
		}
		return nil
	case raftpb.ConfChangeUpdateNode:
		if !exists {
			return fmt.Errorf("%w: %d", ErrNoSuchMember, mb.ID)
		}
		return m.checkAddress(mb)
	}
	return fmt.Errorf("%w: change type %v", ErrBadMember, typ)
}

// checkAddress refuses a peer URL that belongs to another member.
func (m *membership) checkAddress(mb Member) error {
	for _, other := range m.sorted() {
		if other.ID != mb.ID && sameURL(other.PeerURL, mb.PeerURL) {
			return fmt.Errorf("%w: member %d has peer URL %s", ErrMemberExists, other.ID, other.PeerURL)
		}
	}
	return nil
}

func sameURL(a, b string) bool { return strings.TrimSuffix(a, "/") == strings.TrimSuffix(b, "/") }

// checkPromotion refuses to make a voter of a learner that will take another's
// place: it would be one voter too many.
func (m *membership) checkPromotion(mb Member) error {
	if _, in := m.Members[mb.Replaces]; in {
		return fmt.Errorf("%w: member %d becomes a voter when it takes the place of member %d", ErrConfigChangePending, mb.ID, mb.Replaces)
	}
	return nil
}

// checkReplaces refuses a newcomer whose place is not there, or promised.
func (m *membership) checkReplaces(mb Member) error {
	if mb.Replaces == 0 {
		return nil
	}
	if err := m.checkVoter(mb.Replaces); err != nil {
		return err
	}
	for _, other := range m.sorted() {
		if other.Replaces == mb.Replaces {
			return fmt.Errorf("%w: member %d is already being replaced by member %d", ErrConfigChangePending, mb.Replaces, other.ID)
		}
	}
	return nil
}

func (m *membership) checkVoter(id uint64) error {
	if _, exists := m.Members[id]; !exists {
		return fmt.Errorf("%w: %d", ErrNoSuchMember, id)
	}
	if !m.isVoter(id) {
		return fmt.Errorf("%w: %d", ErrNotVoter, id)
	}
	return nil
}

// change returns the membership after a change that check has passed.
func (m *membership) change(typ raftpb.ConfChangeType, mb Member) *membership {
	next := m.clone()
	switch typ {
	case raftpb.ConfChangeAddNode:
		if old, ok := next.Members[mb.ID]; ok {
			old.Learner, old.Replaces = false, 0
			mb = old
		}
		next.Members[mb.ID] = mb
	case raftpb.ConfChangeAddLearnerNode:
		mb.Learner = true
		next.Members[mb.ID] = mb
	case raftpb.ConfChangeRemoveNode:
		delete(next.Members, mb.ID)
		next.Removed[mb.ID] = struct{}{}
	case raftpb.ConfChangeUpdateNode:
		next.Members[mb.ID] = mb
	}
	return next
}

// publish returns the membership after a member has told its name and
// addresses, or m itself when that changes nothing. It does not get a peer URL
// that another has: messages for both would go there.
func (m *membership) publish(mb Member) *membership {
	old, ok := m.Members[mb.ID]
	if !ok {
		return m
	}
	now := old
	now.Name, now.PeerURL, now.ClientURL, now.Started = mb.Name, mb.PeerURL, mb.ClientURL, true
	if m.checkAddress(now) != nil {
		now.PeerURL = old.PeerURL
	}
	if now == old {
		return m
	}
	next := m.clone()
	next.Members[mb.ID] = now
	return next
}
