package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
)

// Status is a member's view of itself and the cluster. It is told without a
// quorum, so it may be old.
type Status struct {
	ID        uint64 `json:"id"`
	Name      string `json:"name"`
	ClusterID string `json:"cluster_id"`
	Version   string `json:"version"` // of the binary
	Draining  bool   `json:"draining"`

	Term          uint64   `json:"term"`
	Leader        uint64   `json:"leader"` // 0: none known
	Role          string   `json:"role"`   // leader, follower, candidate or learner
	Commit        uint64   `json:"commit"`
	Applied       uint64   `json:"applied"`
	FirstIndex    uint64   `json:"first_index"`
	LastIndex     uint64   `json:"last_index"`
	SnapshotIndex uint64   `json:"snapshot_index"`
	Voters        []uint64 `json:"voters"`
	Learners      []uint64 `json:"learners"`
	CanLose       *int     `json:"can_lose"` // voters that may fail still; nil: only the leader knows

	Revision          uint64 `json:"revision"`
	CompactedRevision uint64 `json:"compacted_revision"` // the oldest that can be read; 0: all of them
	Keys              int    `json:"keys"`
	Bytes             uint64 `json:"bytes"`
	HistoryBytes      uint64 `json:"history_bytes"`

	Disk     Disk   `json:"disk"`
	Diverged string `json:"diverged"` // why the member serves no keys: its state is not the others'; "": it does

	// Raw is the whole answer: newer members may tell more.
	Raw json.RawMessage `json:"-"`
}

// Disk is the space on the disk of a member.
type Disk struct {
	Free    uint64   `json:"free_bytes"`
	Reserve uint64   `json:"reserve_bytes"` // with less free on any member, no data is added; 0: no limit
	Short   []uint64 `json:"short"`         // members that have less, as far as is known there
}

// Status asks the member at endpoint, one of Config.Endpoints, once. "" asks
// whichever answers.
func (c *Client) Status(ctx context.Context, endpoint string) (*Status, error) {
	q, err := c.callAt("/v1/status", endpoint)
	if err != nil {
		return nil, err
	}
	var s Status
	a, err := c.doJSON(ctx, q, &s)
	if err != nil {
		return nil, err
	}
	s.Raw = a.body
	return &s, nil
}

// Live asks the member at endpoint once whether its process answers.
func (c *Client) Live(ctx context.Context, endpoint string) error {
	return c.check(ctx, "/livez", endpoint)
}

// Ready asks the member at endpoint once whether it is ready to be sent
// requests. ErrNotReady: it says it is not.
func (c *Client) Ready(ctx context.Context, endpoint string) error {
	return c.check(ctx, "/readyz", endpoint)
}

func (c *Client) check(ctx context.Context, path, endpoint string) error {
	q, err := c.callAt(path, endpoint)
	if err != nil {
		return err
	}
	if q.only == "" {
		return fmt.Errorf("client: GET %s: no endpoint given", path)
	}
	_, err = c.do(ctx, q)
	return err
}

// callAt prepares a GET to one member; "": to any.
func (c *Client) callAt(path, endpoint string) (*call, error) {
	q := newCall(reading, http.MethodGet, path)
	if endpoint == "" {
		return q, nil
	}
	if _, ok := c.endpointIndex(endpoint); !ok {
		return nil, fmt.Errorf("client: %q is none of the endpoints", endpoint)
	}
	q.only = endpoint
	return q, nil
}
