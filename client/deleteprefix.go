package client

import (
	"context"
	"net/http"
)

// DeletePrefixOptions are those of DeletePrefix. nil means none.
type DeletePrefixOptions struct {
	DryRun         bool   // only count what would be deleted
	All            bool   // must be set for the empty prefix, which is every key
	IdempotencyKey string // see PutOptions
}

// DeletePrefixResult is what DeletePrefix has done.
type DeletePrefixResult struct {
	Deleted  uint64 // keys
	Revision uint64 // of the store, after it
	Replayed bool   // an earlier attempt, or call with this IdempotencyKey, had done it
}

// DeletePrefix deletes all keys that begin with prefix, in one revision.
func (c *Client) DeletePrefix(ctx context.Context, prefix string, o *DeletePrefixOptions) (*DeletePrefixResult, error) {
	if o == nil {
		o = &DeletePrefixOptions{}
	}
	q := newCall(repeatable, http.MethodDelete, listPath)
	q.timed = true
	q.param("prefix", prefix)
	if o.DryRun {
		q.param("dry_run", "true")
	} else {
		q.write(c, o.IdempotencyKey)
	}
	if o.All {
		q.param("confirm", "all")
	}
	var j struct {
		Deleted  uint64 `json:"deleted"`
		Revision uint64 `json:"revision"`
	}
	a, err := c.doJSON(ctx, q, &j)
	if err != nil {
		return nil, err
	}
	return &DeletePrefixResult{j.Deleted, j.Revision, a.replayed}, nil
}
