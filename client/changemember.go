package client

import (
	"context"
	"net/http"
	"strconv"
)

// PromoteMember makes a learner a voter, and returns when that was applied. One
// that is a voter already stays as it is. ErrLearnerNotReady: it has not caught
// up. It is sent again as AddMember is.
func (c *Client) PromoteMember(ctx context.Context, id uint64) (*Member, error) {
	return c.changedMember(ctx, promotion(id))
}

// MemberUpdate is what to change of a member; nil leaves it as it is.
type MemberUpdate struct {
	Name        *string `json:"name,omitempty"`
	PeerURL     *string `json:"peer_url,omitempty"`
	ClientURL   *string `json:"client_url,omitempty"`
	AutoPromote *bool   `json:"auto_promote,omitempty"` // of a learner
}

// UpdateMember changes what u names of a member, and returns when that was
// applied. It is sent again as AddMember is.
func (c *Client) UpdateMember(ctx context.Context, id uint64, u MemberUpdate) (*Member, error) {
	q, err := update(id, u)
	if err != nil {
		return nil, err
	}
	return c.changedMember(ctx, q)
}

// ReplaceMember puts a new member in the place of another: it adds it as a
// learner, and swaps the two in one change when it has caught up. True: that was
// done. False: the newcomer is there, and the swap happens by itself; the same
// call again goes on waiting for it. add's StayLearner is not looked at. It is
// sent again as AddMember is.
func (c *Client) ReplaceMember(ctx context.Context, remove uint64, add NewMember) (m *Member, done bool, err error) {
	q, err := replacement(remove, add)
	if err != nil {
		return nil, false, err
	}
	var j memberJSON
	a, err := c.doJSON(ctx, q, &j)
	if err != nil {
		return nil, false, err
	}
	return new(j.member()), a.status == http.StatusOK, nil
}

func (c *Client) changedMember(ctx context.Context, q *call) (*Member, error) {
	var j memberJSON
	if _, err := c.doJSON(ctx, q, &j); err != nil {
		return nil, err
	}
	return new(j.member()), nil
}

// memberCall prepares a change of one member.
func memberCall(method string, id uint64, end string) *call {
	q := newCall(once, method, membersPath+"/"+strconv.FormatUint(id, 10)+end)
	q.route = membersPath + "/{id}" + end
	q.timed = true
	return q
}

func promotion(id uint64) *call { return memberCall(http.MethodPost, id, "/promote") }

func update(id uint64, u MemberUpdate) (*call, error) {
	q := memberCall(http.MethodPatch, id, "")
	return q, q.json(u)
}

func removal(id uint64, force bool) *call {
	q := memberCall(http.MethodDelete, id, "")
	if force {
		q.param("force", "true")
	}
	return q
}

// newMemberJSON is a member to be added, as it is sent.
type newMemberJSON struct {
	ID          uint64 `json:"id,omitempty"`
	Name        string `json:"name,omitempty"`
	PeerURL     string `json:"peer_url"`
	ClientURL   string `json:"client_url,omitempty"`
	AutoPromote *bool  `json:"auto_promote,omitempty"`
}

func addition(m NewMember) (*call, error) {
	q := newCall(once, http.MethodPost, membersPath)
	q.timed = true
	body := newMemberJSON{m.ID, m.Name, m.PeerURL, m.ClientURL, nil}
	if m.StayLearner {
		body.AutoPromote = new(false)
	}
	return q, q.json(body)
}

func replacement(remove uint64, add NewMember) (*call, error) {
	q := newCall(once, http.MethodPost, membersPath+"/replace")
	q.timed = true
	return q, q.json(struct {
		Remove uint64        `json:"remove"`
		Add    newMemberJSON `json:"add"`
	}{remove, newMemberJSON{add.ID, add.Name, add.PeerURL, add.ClientURL, nil}})
}
