package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"
)

const (
	opTimeout  = 2 * time.Second // what clients ask for with ?timeout=
	opPatience = opTimeout + 1500*time.Millisecond
	keyLife    = 4 * time.Second // then the group takes a new key
	opsPerKey  = 1200
)

// group is a few clients that fight over one key at a time.
type group struct {
	id int

	mu    sync.Mutex
	n     int // the present key
	ops   int // asked for on it
	until time.Duration
}

// key is the key for the next operation at the time now.
func (g *group) key(now time.Duration) string {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.ops == opsPerKey || now > g.until {
		g.n, g.ops, g.until = g.n+1, 0, now+keyLife
	}
	g.ops++
	return fmt.Sprintf("g%d-%d", g.id, g.n)
}

// client sends one operation after the other and records what became of each.
// It stays with a member while that answers.
type client struct {
	t    testing.TB
	id   int
	to   []*member // the first is asked
	g    *group
	h    *history
	http *http.Client
	rng  *rand.Rand

	writes  int
	lastKey string // what the client saw last: the value and revision that a swap builds on
	lastRev uint64
	lastVal string
	doubted string // a key to read next
}

// run works until done is closed.
func (c *client) run(done <-chan struct{}) {
	defer c.http.CloseIdleConnections()
	for {
		select {
		case <-done:
			return
		default:
		}
		o := c.next()
		c.do(o)
		c.h.add(o)
		if o.outcome == ok {
			continue
		}
		// The next member may do better, though not at once. What became of
		// the write shows in a read; nothing else would bring a lie to light.
		c.to = append(c.to[1:], c.to[0])
		c.doubted = o.key
		if !pause(done, 20*time.Millisecond) {
			return
		}
	}
}

// next chooses an operation on the group's present key.
func (c *client) next() *op {
	o := &op{client: c.id, key: c.g.key(c.h.now())}
	if c.doubted == o.key {
		c.doubted = ""
		o.kind = opGet
		return o
	}
	if o.key != c.lastKey {
		c.lastKey, c.lastRev, c.lastVal = o.key, 0, ""
	}
	switch n := c.rng.IntN(100); {
	case n < 35:
		o.kind = opGet
	case n < 60:
		o.kind = opPut
	case n < 85 && c.lastRev != 0:
		o.kind, o.overRev, o.overValue = opSwap, c.lastRev, c.lastVal
	case n < 92:
		o.kind = opCreate
	default:
		o.kind = opDelete
	}
	if o.kind != opGet && o.kind != opDelete {
		c.writes++
		o.value = fmt.Sprintf("%d.%d", c.id, c.writes)
	}
	return o
}

// do carries out o and fills in what is known of it.
func (c *client) do(o *op) {
	method, body, header := http.MethodPut, []byte(o.value), []string(nil)
	switch o.kind {
	case opGet:
		method, body = http.MethodGet, nil
	case opDelete:
		method, body = http.MethodDelete, nil
	case opCreate:
		header = []string{"If-None-Match", "*"}
	case opSwap:
		header = []string{"If-Match", strconv.Quote(strconv.FormatUint(o.overRev, 10))}
	}
	ctx, cancel := context.WithTimeout(context.Background(), opPatience)
	defer cancel()
	url := c.to[0].clientURL + "/v1/kv/" + o.key + "?timeout=" + opTimeout.String()
	o.call = c.h.now()
	r, err := sendWith(ctx, c.http, method, url, body, header...)
	o.ret = c.h.now()
	switch {
	case err != nil && notSent(err):
		o.outcome = notApplied
	case err != nil:
		o.outcome = unknown
	default:
		c.note(o, r)
	}
}

// note reads the answer of o.
func (c *client) note(o *op, r *response) {
	o.outcome, o.rev = ok, r.revision()
	switch {
	case o.kind == opGet && r.status == http.StatusOK:
		o.hit, o.got = true, string(r.body)
		c.lastRev, c.lastVal = o.rev, o.got
	case o.kind == opGet && r.status == http.StatusNotFound:
		o.rev = 0
	case o.kind == opDelete && r.status == http.StatusNoContent:
		o.hit = r.header.Get("Kvd-Deleted") == "1"
		o.rev, _ = strconv.ParseUint(r.header.Get("Kvd-Revision"), 10, 64)
	case o.kind != opGet && o.kind != opDelete && (r.status == http.StatusCreated || r.status == http.StatusNoContent):
		o.hit = true
		c.lastRev, c.lastVal = o.rev, o.value
	case (o.kind == opCreate || o.kind == opSwap) && r.status == http.StatusPreconditionFailed:
		if p := r.problem(); p.Outcome != string("not_applied") {
			c.t.Errorf("a failed condition says outcome %q: %s", p.Outcome, r.body)
		}
	default:
		c.refused(o, r)
	}
}

// refused sorts the errors of a cluster in trouble; any other is a failure.
func (c *client) refused(o *op, r *response) {
	p := r.problem()
	switch {
	case r.status == http.StatusServiceUnavailable && (p.Code == "no_leader" || p.Code == "stopping"),
		r.status == http.StatusTooManyRequests && p.Code == "overloaded",
		r.status == http.StatusGatewayTimeout && p.Code == "outcome_unknown",
		r.status == http.StatusGatewayTimeout && o.kind == opGet:
	default:
		c.t.Errorf("unexpected answer %d %s to %s %s", r.status, r.body, o.kind, o.key)
	}
	o.outcome = unknown
	if p.Outcome == "not_applied" {
		o.outcome = notApplied
	} else if o.kind != opGet && p.Outcome != "unknown" {
		c.t.Errorf("a refused write says outcome %q: %d %s", p.Outcome, r.status, r.body)
	}
}
