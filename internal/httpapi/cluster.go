package httpapi

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Errors of membership changes. All of them mean: surely nothing was changed.
// Beside these, a Cluster returns kvstore's sentinels, with the same meaning as
// a kvstore.Log gives them.
var (
	ErrMemberExists        = errors.New("member exists")
	ErrIDRemoved           = errors.New("member id was removed and is never used again")
	ErrNoSuchMember        = errors.New("no such member")
	ErrWouldLoseQuorum     = errors.New("change would lose the quorum")
	ErrConfigChangePending = errors.New("another membership change is pending")
	ErrBadMember           = errors.New("bad member")
)

// Cluster is what the API knows about the cluster and this member of it.
type Cluster interface {
	// Members returns all members by id. It blocks until it can answer
	// linearizably, or ctx is done.
	Members(ctx context.Context) ([]Member, error)
	// AddMember adds a learner and blocks until that was applied. An id of 0
	// asks for one to be chosen.
	AddMember(ctx context.Context, m NewMember) (Member, error)
	// RemoveMember removes a member and blocks until that was applied. force
	// skips the check of the quorum.
	RemoveMember(ctx context.Context, id uint64, force bool) error
	// Status tells this member's own view, at once.
	Status() Status
	// Staleness is the time since this member last heard from a leader: 0 on a
	// leader that has its quorum, false when it never has. It does not block.
	Staleness() (time.Duration, bool)
	// LogClock is the log's clock now: never behind what this member has applied,
	// and on the leader what the next entry would carry. It does not block.
	LogClock() time.Duration
	// Ready is nil when this member may be sent requests, unless its Guard says
	// otherwise. It does not block.
	Ready() error
}

// Member is one member of the cluster as GET /v1/members shows it.
type Member struct {
	ID          uint64 `json:"id"`
	Name        string `json:"name"`
	PeerURL     string `json:"peer_url"`
	ClientURL   string `json:"client_url"`
	Role        Role   `json:"role"`
	AutoPromote bool   `json:"auto_promote,omitempty"`
	Replaces    uint64 `json:"replaces,omitempty"` // the member whose place it takes when it has caught up
	Started     bool   `json:"started"`            // has run, so it has a data directory: nobody else may take its id

	// Replication is known to the leader alone; nil elsewhere.
	*Replication
}

// Replication is how far a member has come, seen from the leader.
type Replication struct {
	Match       uint64   `json:"match"` // highest index known to be in its log
	Lag         uint64   `json:"lag"`   // entries it lacks
	LastContact Duration `json:"last_contact"`
	Healthy     bool     `json:"healthy"`
}

// Role is what a member is in the cluster.
type Role string

// Roles of members.
const (
	RoleLeader  Role = "leader"
	RoleVoter   Role = "voter"
	RoleLearner Role = "learner"
)

// NewMember is a member to be added. It enters as a learner.
type NewMember struct {
	ID          uint64 // 0: to be chosen
	Name        string // may be empty: the member tells it when it starts
	PeerURL     string
	ClientURL   string // may be empty: the member tells it when it starts
	AutoPromote bool   // make it a voter when it has caught up
}

// Status is this member's view of itself and of the cluster. It is read without
// a quorum, so it may be old.
type Status struct {
	ID            uint64     `json:"id"`
	Name          string     `json:"name"`
	ClusterID     ClusterID  `json:"cluster_id"`
	Term          uint64     `json:"term"`
	Leader        uint64     `json:"leader"` // 0: none known
	Role          string     `json:"role"`   // leader, follower, candidate or learner
	Commit        uint64     `json:"commit"`
	Applied       uint64     `json:"applied"`
	FirstIndex    uint64     `json:"first_index"`
	LastIndex     uint64     `json:"last_index"`
	SnapshotIndex uint64     `json:"snapshot_index"`
	Clock         Duration   `json:"clock"` // of the log
	Voters        []uint64   `json:"voters"`
	Learners      []uint64   `json:"learners"`
	Progress      []Progress `json:"progress"` // by id; of the leader only, else empty
}

// Progress is raft's account of one other member.
type Progress struct {
	ID           uint64   `json:"id"`
	Match        uint64   `json:"match"`
	Next         uint64   `json:"next"`
	State        string   `json:"state"` // probe, replicate or snapshot
	RecentActive bool     `json:"recent_active"`
	Learner      bool     `json:"learner"`
	LastContact  Duration `json:"last_contact"`
}

// ClusterID is shown as 16 hexadecimal digits: JSON numbers end at 2^53 in too
// many readers.
type ClusterID uint64

// MarshalText gives the 16 digits.
func (id ClusterID) MarshalText() ([]byte, error) { return fmt.Appendf(nil, "%016x", uint64(id)), nil }

// Duration is shown as Go writes it: "12ms".
type Duration time.Duration

// MarshalText gives the form of time.Duration.String.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }
