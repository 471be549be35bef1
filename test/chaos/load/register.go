package load

import (
	"context"
	"net/http"

	"kvd/test/chaos/history"
)

// register is a client that reads, writes, swaps, creates and deletes one key
// after the other.
type register struct {
	*client
	g *group

	key     string // the latest
	rev     uint64 // of the key, as seen last; 0: it was not there
	store   uint64 // the highest revision of the store that it was told
	doubted string // a key to read next
}

func (c *register) step(ctx context.Context) {
	o := c.next()
	var r *answer
	if isWrite(o.Kind) {
		r = c.write(o)
	} else {
		r = c.get(o)
	}
	if r != nil && o.Outcome == history.OK {
		c.learn(o, r)
	} else {
		// What became of a write shows in a read; nothing else would bring a lie to
		// light.
		c.doubted = o.Key
	}
	c.end(ctx, o)
}

func (c *register) learn(o *history.Op, r *answer) {
	if o.Mode != history.AtRevision {
		c.store = max(c.store, o.Revision)
	}
	switch {
	case isWrite(o.Kind) && o.Hit && o.Kind == history.Put, r.status == http.StatusPreconditionFailed, o.Kind == history.Get && o.Mode == history.Linearizable:
		c.rev = r.etag()
	case o.Kind == history.Delete && o.Hit:
		c.rev = 0
	}
}

// next chooses an operation on the group's present key.
func (c *register) next() *history.Op {
	o := c.begin(&history.Op{Kind: history.Get, Key: c.g.key()})
	if o.Key != c.key {
		c.key, c.rev = o.Key, 0
	}
	if c.doubted == o.Key {
		c.doubted = ""
		return o
	}
	switch n := c.rng.IntN(100); {
	case n < 24:
	case n < 31:
		o.Mode = history.Stale
	case n < 34 && c.store > 0:
		o.Mode, o.AtRevision = history.MinRevision, c.store
	case n < 38 && c.store > 0:
		o.Mode, o.AtRevision = history.AtRevision, c.store-min(c.store-1, c.rng.Uint64N(200))
	case n < 63:
		o.Kind = history.Put
	case n < 85 && c.rev != 0:
		o.Kind, o.If, o.OverRevision = history.Put, history.IfRevision, c.rev
	case n < 88:
		o.Kind, o.If = history.Put, history.Present
	case n < 93:
		o.Kind, o.If = history.Put, history.Absent
	case n < 96 && c.rev != 0:
		o.Kind, o.If, o.OverRevision = history.Delete, history.IfRevision, c.rev
	default:
		o.Kind = history.Delete
	}
	if o.Kind == history.Put {
		o.Value = c.value()
	}
	return o
}
