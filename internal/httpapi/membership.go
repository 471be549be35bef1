package httpapi

import (
	"context"
	"errors"
)

// ErrLearnerNotReady is the answer to a promotion by hand of a learner that is
// not within reach of the leader; its text tells how far behind it is.
var ErrLearnerNotReady = errors.New("learner is not ready")

// Membership changes members beyond adding and removing them, and judges changes
// without making them. Its errors are those of a Cluster, and ErrLearnerNotReady.
type Membership interface {
	// PlanChange tells what a change would do, and changes nothing. It blocks
	// until the leader has judged. That the change would be refused is no error.
	PlanChange(ctx context.Context, c Change) (Plan, error)
	// PromoteMember makes a learner a voter and blocks until that was applied.
	// One that is a voter already is returned as it is.
	PromoteMember(ctx context.Context, id uint64) (Member, error)
	// UpdateMember changes what u names and blocks until that was applied.
	UpdateMember(ctx context.Context, id uint64, u MemberUpdate) (Member, error)
	// ReplaceMember adds a learner and, when it has caught up, puts it in the
	// place of the member to be removed. It blocks until that was applied. False:
	// ctx ended after the learner was added, and the rest goes on by itself; the
	// same call again goes on waiting. add's AutoPromote is not looked at.
	ReplaceMember(ctx context.Context, remove uint64, add NewMember) (Member, bool, error)
}

// ChangeKind says which fields of a Change count.
type ChangeKind uint8

// Kinds of changes.
const (
	ChangeAdd     ChangeKind = iota + 1 // Member
	ChangeRemove                        // ID, Force
	ChangePromote                       // ID
	ChangeUpdate                        // ID, Update
	ChangeReplace                       // ID is removed, Member added
)

// Change is a change of the membership that is only thought of.
type Change struct {
	Kind   ChangeKind
	ID     uint64
	Member NewMember
	Update MemberUpdate
	Force  bool
}

// MemberUpdate is what to change of a member; nil leaves it as it is.
type MemberUpdate struct {
	Name        *string `json:"name"`
	PeerURL     *string `json:"peer_url"`
	ClientURL   *string `json:"client_url"`
	AutoPromote *bool   `json:"auto_promote"`
}

// Plan is what a change would do. Tolerated is how many of the voters that
// answer may fail with the quorum kept.
type Plan struct {
	VotersBefore, VotersAfter       []uint64 // by id
	QuorumBefore, QuorumAfter       int
	ToleratedBefore, ToleratedAfter int
	Refusal                         error // one of this package's; nil: it would be made
}
