package load

import (
	"context"
	"fmt"
	"net/http"
	"strconv"

	"kvd/test/chaos/history"
)

// counter is a client that adds one to a number, and repeats each attempt, with
// its idempotency key and on any member, until it knows what came of it.
type counter struct {
	*client
	g *group
}

// triesPerIncrement ends the patience of a counter: a minute or so without a leader.
const triesPerIncrement = 40

func (c *counter) step(ctx context.Context) {
	key := c.g.key()
	read := c.begin(&history.Op{Kind: history.Get, Key: key})
	r := c.get(read)
	c.end(ctx, read)
	if r == nil || read.Outcome != history.OK {
		return
	}
	o := &history.Op{Kind: history.Increment, Key: key, Value: "1", If: history.Absent}
	if r.status == http.StatusOK {
		n, err := strconv.Atoi(read.Seen[0].Value)
		if err != nil {
			c.l.tally.surprise("%s holds %q, which is no number", key, read.Seen[0].Value)
			return
		}
		o.Value, o.If, o.OverRevision = strconv.Itoa(n+1), history.IfRevision, read.Seen[0].ModRevision
	}
	c.begin(o)
	o.IdempotencyKey = fmt.Sprintf("inc-%d", o.ID)
	c.repeat(ctx, o, func() { c.write(o) })
	c.end(ctx, o)
}

// repeat makes attempts of an operation with an idempotency key until it is
// known what came of it. That an attempt failed for certain says nothing of the
// ones before it.
func (c *client) repeat(ctx context.Context, o *history.Op, attempt func()) {
	doubt := false
	for {
		attempt()
		if o.Outcome == history.OK {
			// A second time, now and then: nothing must happen.
			if c.rng.IntN(50) == 0 && o.Tries == 1 {
				c.again(o, attempt)
			}
			return
		}
		doubt = doubt || o.Outcome == history.Unknown
		if o.Tries >= triesPerIncrement || ctx.Err() != nil {
			break
		}
		c.rest(ctx)
	}
	if doubt {
		o.Outcome = history.Unknown
	}
}

// again repeats what was answered, on any member. The answer must be the same,
// and say so; if there is none, the first one stands.
func (c *client) again(o *history.Op, attempt func()) {
	first := *o
	c.move()
	attempt()
	if o.Outcome == history.OK && (!o.Replayed || o.Status != first.Status || o.Hit != first.Hit || o.Lease != first.Lease || o.Revision < first.Revision) {
		c.l.tally.surprise("%s %s with the idempotency key %s: first %d at %d, again %d at %d, replayed %v",
			o.Kind, o.Key, o.IdempotencyKey, first.Status, first.Revision, o.Status, o.Revision, o.Replayed)
	}
	tries := o.Tries
	*o = first
	o.Tries = tries
}
