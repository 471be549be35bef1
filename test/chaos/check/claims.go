package check

import (
	"fmt"
	"maps"
	"slices"

	"kvd/test/chaos/history"
)

// claims say which operation is which command of the log.
type claims struct {
	result Result
	// byRevision is who made a revision: an operation that was answered so, or one
	// of unknown outcome that asked for just that.
	byRevision map[uint64]*history.Op
	revision   map[*history.Op]uint64
	lease      map[string]*history.Op // who was granted it

	asked map[string][]*group // by signature
	// For revisions of which the command is not known: by key and value of what is
	// put, by key of what is deleted, by lease of what is revoked.
	puts, deletes, revokes map[string][]*group
	prefixes               []*group // what deletes by prefix
}

// group is operations that stand for one request: those of one idempotency key, or
// a single one.
type group struct {
	ops  []*history.Op
	used bool
}

func (g *group) ids() (ids []int64) {
	for _, o := range g.ops {
		ids = append(ids, o.ID)
	}
	return ids
}

// has reports whether one of the operations has an outcome.
func (g *group) has(want history.Outcome) bool {
	return slices.ContainsFunc(g.ops, func(o *history.Op) bool { return o.Outcome == want })
}

// Writes checks that every acknowledged write is in the log, at the revision that
// was answered and once, and that the log has nothing that nobody asked for, or
// that surely did not happen.
func Writes(run *Run) Result { return run.claim().result }

func (run *Run) claim() *claims {
	if run.claims == nil {
		run.claims = newClaims(run)
	}
	return run.claims
}

func newClaims(run *Run) *claims {
	c := &claims{
		result:     Result{Check: "writes"},
		byRevision: make(map[uint64]*history.Op), revision: make(map[*history.Op]uint64), lease: make(map[string]*history.Op),
		asked: make(map[string][]*group), puts: make(map[string][]*group), deletes: make(map[string][]*group), revokes: make(map[string][]*group),
	}
	answered := c.answers(run)
	keyed := make(map[string]*group)
	for _, o := range run.History.Ops {
		if !writes(o) {
			continue
		}
		c.result.Judged++
		s := signOp(o)
		if g := keyed[s]; g != nil && o.IdempotencyKey != "" {
			g.ops = append(g.ops, o)
			continue
		}
		g := &group{ops: []*history.Op{o}}
		c.asked[s] = append(c.asked[s], g)
		c.index(g)
		if o.IdempotencyKey != "" {
			keyed[s] = g
		}
	}
	for _, rev := range run.Replay.Revs {
		c.explain(run, rev, answered[rev.Revision])
	}
	c.grants(run)
	c.renewals(run)
	c.lost(run)
	return c
}

// answers are the operations that say that they made a revision, by that.
func (c *claims) answers(run *Run) map[uint64][]*history.Op {
	answered := make(map[uint64][]*history.Op)
	for _, o := range run.History.Ops {
		if writes(o) && changed(o) && o.Revision > 0 {
			answered[o.Revision] = append(answered[o.Revision], o)
		}
	}
	for revision, ops := range answered {
		for _, o := range ops[1:] {
			if o.IdempotencyKey == "" || o.IdempotencyKey != ops[0].IdempotencyKey {
				c.result.fail(Violation{What: fmt.Sprintf("two writes were answered with revision %d", revision),
					Ops: []int64{ops[0].ID, o.ID}, Revision: revision})
			}
		}
	}
	return answered
}

// grants finds who was granted a lease, and that no lease is there that nobody asked
// for, or of which somebody was told that it surely is not.
func (c *claims) grants(run *Run) {
	granted := make(map[string]*Command)
	for _, a := range run.Replay.Commands {
		if a.Kind != "grant" || a.Result.Code != "lease granted" || a.Result.Replayed {
			continue
		}
		granted[a.Result.Lease] = a.Command
		groups := c.asked[signCommand(a.Command)]
		switch {
		case len(groups) == 0:
			c.result.failf(nil, "nobody asked for lease %s: log index %d: %s", a.Result.Lease, a.Index, a.Command)
		case !slices.ContainsFunc(groups, func(g *group) bool { return g.has(history.OK) || g.has(history.Unknown) }):
			c.result.failf(groups[0].ids(), "%s surely did not happen, and granted lease %s at log index %d", describe(groups[0].ops[0]), a.Result.Lease, a.Index)
		}
	}
	for _, o := range run.History.Ops {
		if o.Kind != history.Grant || o.Outcome != history.OK || o.Lease == "" {
			continue
		}
		if old := c.lease[o.Lease]; old != nil && (o.IdempotencyKey == "" || old.IdempotencyKey != o.IdempotencyKey) {
			c.result.failf([]int64{old.ID, o.ID}, "two grants were answered with lease %s", o.Lease)
		}
		c.lease[o.Lease] = o
		if g := granted[o.Lease]; g == nil && run.Replay.Complete {
			c.result.failf([]int64{o.ID}, "lease %s was granted, and is not in the log", o.Lease)
		} else if g != nil && signCommand(g) != signOp(o) {
			c.result.failf([]int64{o.ID}, "%s was answered with lease %s, which the log grants to another command: %s", describe(o), o.Lease, g)
		}
		for _, g := range c.asked[signOp(o)] {
			g.used = g.used || slices.Contains(g.ops, o)
		}
	}
}

// renewals checks that as many renewals of a lease are in the log as were confirmed, and
// no more than may have happened.
func (c *claims) renewals(run *Run) {
	if !run.Replay.Complete {
		return
	}
	type count struct {
		kept, confirmed, possible int
		ops                       []int64
	}
	counts := make(map[string]*count)
	of := func(lease string) *count {
		if counts[lease] == nil {
			counts[lease] = &count{}
		}
		return counts[lease]
	}
	for _, a := range run.Replay.Commands {
		if a.Kind == "keepalive" && a.Result.Code == "lease kept" {
			of(a.Lease).kept++
		}
	}
	for _, o := range run.History.Ops {
		if o.Kind != history.KeepAlive {
			continue
		}
		c.result.Judged++
		n := of(o.Lease)
		n.ops = append(n.ops, o.ID)
		switch {
		case o.Outcome == history.OK && o.Hit:
			n.confirmed++
			n.possible++
		case o.Outcome == history.Unknown:
			n.possible++
		}
	}
	for _, lease := range slices.Sorted(maps.Keys(counts)) {
		if n := counts[lease]; n.kept < n.confirmed || n.kept > n.possible {
			c.result.failf(n.ops, "lease %s was renewed %d times in the log; %d renewals were confirmed, and %d may have happened", lease, n.kept, n.confirmed, n.possible)
		}
	}
}

// lost finds acknowledged writes that are not in the log.
func (c *claims) lost(run *Run) {
	for _, o := range run.History.Ops {
		if !writes(o) || !changed(o) {
			continue
		}
		switch {
		case o.Revision == 0 && !c.isUsed(o):
			c.result.failf([]int64{o.ID}, "%s was acknowledged, and is not in the log", describe(o))
		case o.Revision > run.Replay.Last:
			c.result.fail(Violation{What: fmt.Sprintf("%s was acknowledged at revision %d, and the log ends at %d", describe(o), o.Revision, run.Replay.Last),
				Ops: []int64{o.ID}, Revision: o.Revision})
		case o.Revision > 0 && o.Revision <= run.Replay.From:
			c.result.Skipped++
		}
	}
}

func (c *claims) isUsed(o *history.Op) bool {
	return slices.ContainsFunc(c.asked[signOp(o)], func(g *group) bool { return g.used && slices.Contains(g.ops, o) })
}

// describe is an operation in few words.
func describe(o *history.Op) string {
	s := fmt.Sprintf("%s %d", o.Kind, o.ID)
	switch {
	case o.Key != "":
		s += fmt.Sprintf(" of %q", o.Key)
	case o.Prefix != "":
		s += fmt.Sprintf(" of prefix %q", o.Prefix)
	case o.Lease != "":
		s += " of lease " + o.Lease
	}
	return s
}
