package check

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// What the API promises of idempotency keys, and what the store's limits are.
const (
	requestAge  = 600 * time.Second
	requestStep = 1_000 // forgotten for their age by one entry
	requestMost = 1_000_000
	expireMost  = 4096 // keys that one expiry ends, a lease at least one
)

// model is the store as the API describes it. It makes the replay.
type model struct {
	r     *Replay
	clock time.Duration
	now   map[string]*Version // what is there

	leases   map[string]*modelLease
	mortal   map[string]*Version // what has a TTL
	requests map[string]*request
	oldest   []*request // in the order in which they were applied

	seen []string // every key that the log ever names, sorted

	entryIndex uint64
	pending    []*Version // changes of the command that is being applied
}

type modelLease struct {
	ttl, deadline time.Duration
	keys          map[string]bool
}

type request struct {
	key, fingerprint string
	clock            time.Duration
	result           CommandResult
}

func newModel(l *Log) *model {
	m := &model{
		r: newReplay(l), clock: time.Duration(l.Start.LogClock), now: make(map[string]*Version),
		leases: make(map[string]*modelLease), mortal: make(map[string]*Version), requests: make(map[string]*request),
	}
	for _, x := range l.Leases {
		m.leases[x.ID] = &modelLease{ttl: time.Duration(x.TTL), deadline: time.Duration(x.Deadline), keys: make(map[string]bool)}
	}
	for _, x := range l.Requests {
		m.remember(&request{x.IdempotencyKey, x.Fingerprint, time.Duration(x.LogClock), x.Result})
	}
	for key, vs := range m.r.keys {
		if v := vs[len(vs)-1]; v.live() {
			m.attach(v)
			m.now[key] = v
		}
	}
	m.seen = keysOf(l, m.r)
	return m
}

// keysOf are all keys that a log writes, sorted.
func keysOf(l *Log, r *Replay) []string {
	set := make(map[string]bool)
	for key := range r.keys {
		set[key] = true
	}
	for _, e := range l.Entries {
		for _, c := range e.Commands {
			if c.Kind == "put" {
				set[c.Key] = true
			}
			if c.Txn == nil {
				continue
			}
			for _, steps := range [][]TxnStep{c.Txn.Then, c.Txn.Else} {
				for _, s := range steps {
					if s.Op == "put" {
						set[s.Key] = true
					}
				}
			}
		}
	}
	keys := make([]string, 0, len(set))
	for key := range set {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

func (m *model) entry(e *Entry) {
	clock := time.Duration(e.LogClock)
	if clock < m.clock {
		m.failf("the log's clock goes back from %v to %v at index %d", m.clock, clock, e.Index)
	}
	m.clock = max(m.clock, clock)
	m.r.Clocks = append(m.r.Clocks, m.clock)
	if e.Kind != "commands" {
		return
	}
	m.entryIndex = e.Index
	m.forget()
	for _, c := range e.Commands {
		m.r.Result.Judged++
		m.command(c)
	}
}

func (m *model) failf(format string, args ...any) { m.r.Result.failf(nil, format, args...) }

// command applies one and compares the result with kvd's.
func (m *model) command(c *Command) {
	want, judged := m.apply(c)
	if judged {
		m.compare(c, want)
	}
	if !c.Result.Replayed && c.Result.Revision == m.r.Last+1 {
		// Nobody knows what it changed. It is noted as a revision all the same, or
		// all that follows would be another one than kvd's.
		m.r.add(&Rev{Revision: c.Result.Revision, Index: m.entryIndex, Clock: m.clock, Command: c})
	}
}

// apply applies a command. judged false: the model cannot tell the result.
func (m *model) apply(c *Command) (want CommandResult, judged bool) {
	a := &Applied{Command: c, Index: m.entryIndex, Clock: m.clock, Before: m.r.Last}
	m.r.Commands = append(m.r.Commands, a)
	m.pending = nil
	want, judged = m.request(c)
	if len(m.pending) > 0 {
		a.Changed = &Rev{Revision: m.r.Last + 1, Index: m.entryIndex, Clock: m.clock, Command: c, Changes: m.pending}
		m.r.add(a.Changed)
	}
	if want.Replayed {
		return want, judged
	}
	want.Revision = m.r.Last
	if c.IdempotencyKey != "" && want.Code != "idempotency mismatch" && want.Code != "too large" && c.Kind != "malformed" {
		m.remember(&request{c.IdempotencyKey, c.Fingerprint, m.clock, want})
	}
	return want, judged
}

func (m *model) compare(c *Command, want CommandResult) {
	got := c.Result
	same := got.Code == want.Code && got.Revision == want.Revision && got.Deleted == want.Deleted && got.Replayed == want.Replayed &&
		(want.Succeeded == nil) == (got.Succeeded == nil) && (want.Succeeded == nil || *want.Succeeded == *got.Succeeded)
	if c.Kind == "put" {
		same = same && got.ModRevision == want.ModRevision
	}
	if c.Kind == "grant" { // kvd draws its name, and a replay tells the same
		same = same && got.Lease == want.Lease
	}
	if !same {
		m.failf("log index %d: %s came to %s, and should have come to %s", m.entryIndex, c, got, want)
	}
}

// request applies a command unless its idempotency key is known.
func (m *model) request(c *Command) (want CommandResult, judged bool) {
	if old := m.requests[c.IdempotencyKey]; old != nil && c.IdempotencyKey != "" {
		if old.fingerprint != c.Fingerprint {
			return CommandResult{Code: "idempotency mismatch"}, true
		}
		want = old.result
		want.Replayed = true
		return want, true
	}
	switch c.Kind {
	case "put", "delete":
		return m.write(c), true
	case "delete_range":
		n := m.deleteSpan(c.Key, c.End, "delete")
		return CommandResult{Code: found(n), Deleted: n}, true
	case "compact":
		if c.UpTo > m.r.Last {
			return CommandResult{Code: "future revision"}, true
		}
		m.r.Compacted = max(m.r.Compacted, c.UpTo)
		return CommandResult{Code: "compacted"}, true
	case "grant":
		return m.grant(c)
	case "keepalive":
		l := m.lease(c.Lease)
		if l == nil {
			return CommandResult{Code: "lease not found"}, true
		}
		l.deadline = after(m.clock, l.ttl)
		return CommandResult{Code: "lease kept", Lease: c.Lease}, true
	case "revoke":
		l := m.lease(c.Lease)
		if l == nil {
			return CommandResult{Code: "lease not found"}, true
		}
		n := m.endLease(c.Lease, "delete")
		return CommandResult{Code: "lease revoked", Deleted: n}, true
	case "expire":
		return CommandResult{Code: "expired", Deleted: m.expire()}, true
	case "txn":
		return m.txn(c)
	case "malformed":
		return CommandResult{Code: "bad command"}, true
	}
	m.failf("log index %d: a command of the unknown kind %q", m.entryIndex, c.Kind)
	return CommandResult{}, false
}

func (m *model) remember(x *request) {
	m.requests[x.key] = x
	m.oldest = append(m.oldest, x)
	for len(m.oldest) > requestMost {
		m.dropOldest()
	}
}

func (m *model) forget() {
	for range requestStep {
		if len(m.oldest) == 0 || m.clock-m.oldest[0].clock < requestAge {
			return
		}
		m.dropOldest()
	}
}

func (m *model) dropOldest() {
	delete(m.requests, m.oldest[0].key)
	m.oldest = m.oldest[1:]
}

func (m *model) finish() *Replay {
	for _, v := range m.mortal {
		m.ended(v, v.Deadline, nil)
	}
	for _, l := range m.leases {
		for key := range l.keys {
			m.ended(m.now[key], l.deadline, nil)
		}
	}
	m.r.sortKeys()
	return m.r
}

// String is a command in few words.
func (c *Command) String() string {
	var b strings.Builder
	b.WriteString(c.Kind)
	if c.Key != "" {
		fmt.Fprintf(&b, " %q", c.Key)
	}
	if c.Value != "" {
		fmt.Fprintf(&b, " = %q", c.Value)
	}
	if c.If != "" {
		fmt.Fprintf(&b, " if %s %d", c.If, c.IfRevision)
	}
	if c.Lease != "" {
		fmt.Fprintf(&b, " lease %s", c.Lease)
	}
	if c.IdempotencyKey != "" {
		fmt.Fprintf(&b, " idempotency key %s", c.IdempotencyKey)
	}
	return b.String()
}

func (r CommandResult) String() string {
	s := fmt.Sprintf("%q at revision %d", r.Code, r.Revision)
	if r.Deleted > 0 {
		s += fmt.Sprintf(", %d deleted", r.Deleted)
	}
	if r.Succeeded != nil {
		s += fmt.Sprintf(", succeeded %t", *r.Succeeded)
	}
	if r.Replayed {
		s += ", replayed"
	}
	return s
}
