package client

import (
	"context"
	"net/http"
)

// Request is what became of a write with an idempotency key.
type Request struct {
	State    string // "applied"
	Revision uint64
	Status   int // that the write was answered with, or would have been
}

// Request tells what became of the write with an idempotency key. ErrNotFound:
// none was applied, as far as the cluster remembers; one that is still on its
// way may be.
func (c *Client) Request(ctx context.Context, idempotencyKey string) (*Request, error) {
	const path = "/v1/requests/"
	q := newCall(reading, http.MethodGet, path+idempotencyKey)
	q.route = path + "{key}"
	q.raw = path + escapeSegment(idempotencyKey)
	q.timed = true
	var j struct {
		State    string `json:"state"`
		Revision uint64 `json:"revision"`
		Status   int    `json:"status"`
	}
	if _, err := c.doJSON(ctx, q, &j); err != nil {
		return nil, err
	}
	return &Request{j.State, j.Revision, j.Status}, nil
}
