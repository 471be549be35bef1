package main

import (
	"context"
	"fmt"
	"time"

	kvd "kvd/client"
)

// comparison is what one look at a cluster has shown.
type comparison struct {
	acks   int
	lost   int
	faults []string
	now    map[*record]state
}

// compare reads all keys through one member and judges each.
func compare(ctx context.Context, h *history, endpoint string, cut time.Time) (*comparison, error) {
	c, err := kvd.New(kvd.Config{Endpoints: []string{endpoint}, Timeout: 20 * time.Second})
	if err != nil {
		return nil, err
	}
	defer c.Close()
	out := &comparison{now: map[*record]state{}}
	shown := map[string]found{}
	for e, err := range c.All(ctx, nil) {
		if err != nil {
			return nil, fmt.Errorf("list through %s: %w", endpoint, err)
		}
		if h.byKey[e.Key] == nil {
			out.fault("there is a key %q that nobody wrote", e.Key)
		}
		shown[e.Key] = found{e.Value, e.ModRevision}
	}
	count, err := c.Count(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("count through %s: %w", endpoint, err)
	}
	last := h.last
	for key, r := range h.byKey {
		v := r.judge(shown[key], cut)
		out.acks += v.compared
		out.lost += v.lost
		out.now[r] = v.now
		if v.fault != "" {
			out.fault("%s", v.fault)
		}
		for _, s := range r.steps {
			if !s.acked.IsZero() && s.acked.Before(cut) {
				last = max(last, s.want.revision)
			}
		}
	}
	if count.Count != uint64(len(shown)) {
		out.fault("%d keys are counted and %d listed", count.Count, len(shown))
	}
	if count.Revision < last {
		out.fault("the store is at revision %d, acknowledged was %d", count.Revision, last)
	}
	return out, nil
}

func (c *comparison) fault(format string, args ...any) {
	const most = 10
	if len(c.faults) < most {
		c.faults = append(c.faults, fmt.Sprintf(format, args...))
	}
}

// settle takes what was found for what is there from now on.
func (h *history) settle(c *comparison) {
	for r, now := range c.now {
		r.settle(now)
		h.last = max(h.last, now.revision)
	}
}
