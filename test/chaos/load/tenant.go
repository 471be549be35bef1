package load

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"kvd/test/chaos/history"
)

// tenant is a client that takes leases, hangs keys on them, keeps them alive for
// a while, and gives them back or lets them run out.
type tenant struct {
	*client
	prefix string
	n      int
}

func (c *tenant) step(ctx context.Context) {
	c.n++
	if c.rng.IntN(4) == 0 { // a key with a life of its own
		o := c.begin(&history.Op{Kind: history.Put, Key: fmt.Sprintf("%s/%d/own", c.prefix, c.n), Value: c.value(),
			TTL: time.Duration(1+c.rng.IntN(4)) * time.Second})
		c.write(o)
		c.end(ctx, o)
		c.wait(ctx, 200*time.Millisecond)
		c.look(ctx, c.prefix+"/")
		return
	}
	lease := c.grant(ctx, time.Duration(2+c.rng.IntN(4))*time.Second)
	if lease == "" {
		return
	}
	for i := range 1 + c.rng.IntN(3) {
		o := c.begin(&history.Op{Kind: history.Put, Key: fmt.Sprintf("%s/%d/%d", c.prefix, c.n, i), Value: c.value(), Lease: lease})
		c.write(o)
		c.end(ctx, o)
	}
	for range c.rng.IntN(4) {
		c.wait(ctx, time.Duration(200+c.rng.IntN(1000))*time.Millisecond)
		if ctx.Err() != nil || !c.lease(ctx, history.KeepAlive, lease) {
			return
		}
		c.look(ctx, fmt.Sprintf("%s/%d/", c.prefix, c.n))
	}
	if c.rng.IntN(2) == 0 {
		c.lease(ctx, history.Revoke, lease)
	}
}

func (c *tenant) wait(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// grant takes a lease, and returns its id or nothing.
func (c *tenant) grant(ctx context.Context, ttl time.Duration) string {
	o := c.begin(&history.Op{Kind: history.Grant, TTL: ttl})
	o.IdempotencyKey = fmt.Sprintf("grant-%d", o.ID)
	body, err := json.Marshal(map[string]string{"ttl": ttl.String()})
	if err != nil {
		panic(err) // a map of strings
	}
	q := request{method: http.MethodPost, path: "/v1/leases", body: body, header: []string{"Idempotency-Key", o.IdempotencyKey}}
	c.repeat(ctx, o, func() {
		r := c.try(o, q)
		var j struct {
			ID string `json:"id"`
		}
		if r != nil && r.status == http.StatusCreated && c.decode(q, r, &j) {
			o.Hit, o.Lease = true, j.ID
		}
	})
	c.end(ctx, o)
	return o.Lease
}

// lease keeps a lease alive or gives it back. It returns false unless it was there.
func (c *tenant) lease(ctx context.Context, kind history.Kind, id string) bool {
	o := c.begin(&history.Op{Kind: kind, Lease: id})
	q := request{method: http.MethodPost, path: "/v1/leases/" + id + "/keepalive"}
	if kind == history.Revoke {
		q.method, q.path = http.MethodDelete, strings.TrimSuffix(q.path, "/keepalive")
	}
	r := c.try(o, q)
	if r != nil && r.status < 300 {
		o.Hit = true
		if kind == history.Revoke {
			fmt.Sscan(r.header.Get("Kvd-Deleted"), &o.Deleted)
		}
	}
	c.end(ctx, o)
	return r != nil && o.Hit
}
