package load

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"kvd/test/chaos/history"
)

// lister is a client that writes a few keys below one prefix, and lists them.
type lister struct {
	*client
	g *group

	store uint64 // the highest revision that it was told
}

// keysPerPrefix is how many keys are below a prefix.
const keysPerPrefix = 12

func (c *lister) step(ctx context.Context) {
	prefix := c.g.key() + "/"
	if c.rng.IntN(2) == 0 {
		o := c.begin(&history.Op{Kind: history.Put, Key: fmt.Sprintf("%s%02d", prefix, c.rng.IntN(keysPerPrefix)), Value: c.value()})
		if c.rng.IntN(4) == 0 {
			o.Kind, o.Value = history.Delete, ""
		}
		c.write(o)
		c.told(o)
		c.end(ctx, o)
		return
	}
	o := c.begin(&history.Op{Kind: history.List, Prefix: prefix, Reverse: c.rng.IntN(4) == 0})
	switch c.rng.IntN(4) {
	case 0:
		o.Mode = history.Stale
	case 1:
		if c.store > 0 {
			o.Mode, o.AtRevision = history.AtRevision, c.store-min(c.store-1, c.rng.Uint64N(500))
		}
	}
	if c.rng.IntN(4) == 0 {
		o.Limit = 1 + c.rng.IntN(keysPerPrefix)
	}
	c.list(o)
	c.told(o)
	c.end(ctx, o)
}

func (c *lister) told(o *history.Op) {
	if o.Outcome == history.OK && o.Mode != history.AtRevision {
		c.store = max(c.store, o.Revision)
	}
}

// look lists what is below a prefix, on whatever member it is, linearizable or stale.
func (c *client) look(ctx context.Context, prefix string) {
	o := c.begin(&history.Op{Kind: history.List, Prefix: prefix})
	if c.rng.IntN(2) == 0 {
		o.Mode = history.Stale
	}
	c.list(o)
	c.end(ctx, o)
}

// list reads a page, or all of them if the operation has no limit. They show one
// moment.
func (c *client) list(o *history.Op) {
	cursor := ""
	var seen []history.Item
	first := uint64(0)
	for {
		query := readQuery(o)
		query.Set("prefix", o.Prefix)
		if o.Reverse {
			query.Set("reverse", "true")
		}
		limit := o.Limit
		if limit == 0 {
			limit = 5
		}
		query.Set("limit", strconv.Itoa(limit))
		if cursor != "" {
			query.Set("cursor", cursor)
			query.Del("revision") // the cursor has it
		}
		q := request{method: http.MethodGet, path: "/v1/kv", query: query}
		r := c.try(o, q)
		if r == nil || r.status != http.StatusOK {
			return
		}
		var j struct {
			Revision uint64     `json:"revision"`
			Items    []itemJSON `json:"items"`
			Next     string     `json:"next"`
		}
		if !c.decode(q, r, &j) {
			return
		}
		if first == 0 {
			first = j.Revision
		}
		if j.Revision != first {
			c.surprise(q, r, "a page of revision %d follows one of %d", j.Revision, first)
		}
		seen = append(seen, items(j.Items)...)
		if cursor = j.Next; cursor == "" || o.Limit > 0 {
			o.Seen, o.Revision, o.More, o.Hit, o.Tries = seen, first, j.Next != "", len(seen) > 0, 1
			return
		}
	}
}
