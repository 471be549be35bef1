package client

import (
	"context"
	"net/http"
)

// Compact gives up the history before revision: reads of older revisions, and
// watches from them, are ErrCompacted from then on. What is given up already is
// no error.
func (c *Client) Compact(ctx context.Context, revision uint64) error {
	q := newCall(repeatable, http.MethodPost, "/v1/compact")
	q.timed = true
	if err := q.json(struct {
		Revision uint64 `json:"revision"`
	}{revision}); err != nil {
		return err
	}
	_, err := c.do(ctx, q)
	return err
}
