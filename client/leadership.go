package client

import (
	"context"
	"net/http"
)

const leaderPath = "/v1/leader"

// Leader is the member that leads.
type Leader struct {
	ID        uint64 `json:"id"`
	Term      uint64 `json:"term"`
	ClientURL string `json:"client_url"` // "": not known
}

// Leader returns the leader as a member knows it, without a quorum: it may be
// old. ErrNoLeader: none was known in time.
func (c *Client) Leader(ctx context.Context) (*Leader, error) {
	return c.leader(ctx, newCall(reading, http.MethodGet, leaderPath))
}

// TransferLeadership makes a voter the leader, and returns when it leads; 0
// leaves the choice to the leader. To a member that is named it is sent as often
// as it takes; otherwise only when the one before surely did nothing, since each
// would hand leadership on once more.
func (c *Client) TransferLeadership(ctx context.Context, to uint64) (*Leader, error) {
	q := newCall(once, http.MethodPost, leaderPath)
	q.timed = true
	var body struct {
		To uint64 `json:"to,omitempty"`
	}
	if body.To = to; to != 0 {
		q.kind = repeatable
	}
	if err := q.json(body); err != nil {
		return nil, err
	}
	return c.leader(ctx, q)
}

func (c *Client) leader(ctx context.Context, q *call) (*Leader, error) {
	var l Leader
	if _, err := c.doJSON(ctx, q, &l); err != nil {
		return nil, err
	}
	return &l, nil
}
