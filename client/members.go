package client

import (
	"context"
	"net/http"
	"time"
)

const membersPath = "/v1/members"

// Role is what a member is in the cluster.
type Role string

// Roles of members.
const (
	RoleLeader  Role = "leader"
	RoleVoter   Role = "voter"
	RoleLearner Role = "learner"
)

// Member is a member of the cluster.
type Member struct {
	ID          uint64
	Name        string
	PeerURL     string
	ClientURL   string
	Role        Role
	AutoPromote bool   // a learner that will be a voter when it has caught up
	Replaces    uint64 // a learner that will take this member's place when it has caught up; 0: nobody's
	Started     bool   // it has run

	// Replication is nil where the member that answered does not know.
	Replication *Replication
}

// Replication is how far a member has come, as the leader sees it.
type Replication struct {
	Match       uint64 // highest index known to be in its log
	Lag         uint64 // entries it lacks
	LastContact time.Duration
	Healthy     bool
}

type memberJSON struct {
	ID          uint64   `json:"id"`
	Name        string   `json:"name"`
	PeerURL     string   `json:"peer_url"`
	ClientURL   string   `json:"client_url"`
	Role        Role     `json:"role"`
	AutoPromote bool     `json:"auto_promote"`
	Replaces    uint64   `json:"replaces"`
	Started     bool     `json:"started"`
	Match       uint64   `json:"match"`
	Lag         uint64   `json:"lag"`
	LastContact duration `json:"last_contact"`
	Healthy     *bool    `json:"healthy"`
}

func (j *memberJSON) member() Member {
	m := Member{j.ID, j.Name, j.PeerURL, j.ClientURL, j.Role, j.AutoPromote, j.Replaces, j.Started, nil}
	if j.Healthy != nil {
		m.Replication = &Replication{j.Match, j.Lag, time.Duration(j.LastContact), *j.Healthy}
	}
	return m
}

// Members returns all members by id.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	q := newCall(reading, http.MethodGet, membersPath)
	q.timed = true
	var all []memberJSON
	if _, err := c.doJSON(ctx, q, &all); err != nil {
		return nil, err
	}
	members := make([]Member, len(all))
	for i := range all {
		members[i] = all[i].member()
	}
	return members, nil
}

// NewMember is a member to be added. It enters as a learner.
type NewMember struct {
	ID        uint64 // 0: to be chosen
	Name      string // may be empty: the member tells it when it starts
	PeerURL   string
	ClientURL string // may be empty: the member tells it when it starts

	// StayLearner keeps it from being made a voter when it has caught up.
	StayLearner bool
}

// AddMember adds a member, and returns when that was applied. It is sent again
// only when it surely was not applied: an error with OutcomeUnknown wants a look
// at Members.
func (c *Client) AddMember(ctx context.Context, m NewMember) (*Member, error) {
	q, err := addition(m)
	if err != nil {
		return nil, err
	}
	return c.changedMember(ctx, q)
}

// RemoveMember removes a member, and returns when that was applied. force leaves
// out the check that the others make a quorum. It is sent again as AddMember is.
func (c *Client) RemoveMember(ctx context.Context, id uint64, force bool) error {
	_, err := c.do(ctx, removal(id, force))
	return err
}
