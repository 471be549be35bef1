package check

import (
	"fmt"
	"slices"
	"strings"

	"kvd/test/chaos/history"
)

// explain finds who asked for what made a revision.
func (c *claims) explain(run *Run, rev *Rev, answered []*history.Op) {
	if rev.Command == nil {
		c.explainChanges(run, rev, answered)
		return
	}
	mine := rev.Command.Kind != "expire" && slices.ContainsFunc(rev.Changes, func(v *Version) bool { return run.mine(v.Key) })
	s := signCommand(rev.Command)
	right := false
	for _, o := range answered {
		if signOp(o) != s {
			c.result.fail(Violation{What: fmt.Sprintf("%s was answered with revision %d, which is of another command: %s", describe(o), rev.Revision, rev.Command),
				Ops: []int64{o.ID}, Revision: rev.Revision})
			continue
		}
		right = true
		if o.Kind == history.DeletePrefix || o.Kind == history.Revoke {
			if what := mismatch(o, rev); what != "" {
				c.result.fail(Violation{What: fmt.Sprintf("%s was answered with %d deleted keys; revision %d %s", describe(o), o.Deleted, rev.Revision, what),
					Ops: []int64{o.ID}, Revision: rev.Revision})
			}
		}
		c.note(o, rev.Revision)
		for _, g := range c.asked[s] {
			g.used = g.used || slices.Contains(g.ops, o)
		}
	}
	if !right && mine {
		c.attribute(rev, c.asked[s], rev.Command.String())
	}
}

// attribute finds who asked for a revision that nobody was answered with.
func (c *claims) attribute(rev *Rev, groups []*group, what string) {
	var twice, refused, failed *group
	for _, g := range groups {
		// An operation that was answered is in the log at its own revision, if
		// that is known; one of unknown outcome may be anywhere, once.
		own := slices.ContainsFunc(g.ops, func(o *history.Op) bool { return o.Outcome == history.OK && (o.Revision > 0 || !changed(o)) })
		switch {
		case own && !changed(g.ops[0]):
			refused = g
		case own || g.used:
			twice = g
		case g.has(history.Unknown) || g.has(history.OK):
			g.used = true
			c.note(g.ops[0], rev.Revision)
			return
		default:
			failed = g
		}
	}
	v := Violation{Revision: rev.Revision}
	switch {
	case failed != nil:
		v.What = fmt.Sprintf("%s surely did not happen, and made revision %d", describe(failed.ops[0]), rev.Revision)
		v.Ops = failed.ids()
	case refused != nil:
		v.What = fmt.Sprintf("%s was answered that it changed nothing, and made revision %d", describe(refused.ops[0]), rev.Revision)
		v.Ops = refused.ids()
	case twice != nil:
		v.What = fmt.Sprintf("%s was applied again at revision %d", describe(twice.ops[0]), rev.Revision)
		v.Ops = twice.ids()
	default:
		v.What = fmt.Sprintf("nobody asked for revision %d: %s", rev.Revision, what)
	}
	c.result.fail(v)
}

func (c *claims) note(o *history.Op, revision uint64) {
	c.byRevision[revision] = o
	c.revision[o] = revision
}

// explainChanges does what it can without the command: what was answered with the
// revision must have changed just this.
func (c *claims) explainChanges(run *Run, rev *Rev, answered []*history.Op) {
	for _, o := range answered {
		what := mismatch(o, rev)
		if what == "" && !holds(o, run.Replay.Get(o.Key, rev.Revision-1)) {
			what = "it must not have made: its condition did not hold"
		}
		if what != "" {
			c.result.fail(Violation{What: fmt.Sprintf("%s was answered with revision %d, which %s", describe(o), rev.Revision, what),
				Ops: []int64{o.ID}, Revision: rev.Revision})
			continue
		}
		c.note(o, rev.Revision)
		for _, g := range c.asked[signOp(o)] {
			g.used = g.used || slices.Contains(g.ops, o)
		}
	}
	if len(answered) > 0 || len(rev.Changes) == 0 || rev.Changes[0].Type == "expire" || !run.mine(rev.Changes[0].Key) {
		return
	}
	// The condition and the idempotency key are not known here.
	c.result.Skipped++
	first := rev.Changes[0]
	if i := slices.IndexFunc(rev.Changes, (*Version).live); i >= 0 {
		v := rev.Changes[i]
		c.attribute(rev, c.puts[sign(v.Key, v.Value)], fmt.Sprintf("%q = %q", v.Key, v.Value))
		return
	}
	groups := slices.Clone(c.deletes[first.Key])
	if old := run.Replay.Get(first.Key, rev.Revision-1); old != nil && old.Lease != "" {
		groups = append(groups, c.revokes[old.Lease]...)
	}
	for _, g := range c.prefixes {
		if o := g.ops[0]; !slices.ContainsFunc(deletedPrefixes(o), func(p string) bool { return strings.HasPrefix(first.Key, p) }) {
			continue
		}
		groups = append(groups, g)
	}
	// Several may be it, and it does not matter which: none is used up.
	if !slices.ContainsFunc(groups, func(g *group) bool { return g.has(history.Unknown) }) {
		c.attribute(rev, groups, fmt.Sprintf("a delete of %q", first.Key))
	}
}

// index makes an operation to be found by what it changes.
func (c *claims) index(g *group) {
	add := func(m map[string][]*group, name string) { m[name] = append(m[name], g) }
	o := g.ops[0]
	switch o.Kind {
	case history.Put, history.Increment:
		add(c.puts, sign(o.Key, o.Value))
	case history.Delete:
		add(c.deletes, o.Key)
	case history.Revoke:
		add(c.revokes, o.Lease)
	case history.Txn:
		for _, s := range slices.Concat(o.Txn.Then, o.Txn.Else) {
			switch s.Kind {
			case history.Put:
				add(c.puts, sign(s.Key, s.Value))
			case history.Delete:
				add(c.deletes, s.Key)
			}
		}
	}
	if len(deletedPrefixes(o)) > 0 {
		c.prefixes = append(c.prefixes, g)
	}
}

// deletedPrefixes are those that an operation deletes.
func deletedPrefixes(o *history.Op) (all []string) {
	if o.Kind == history.DeletePrefix {
		return []string{o.Prefix}
	}
	if o.Kind == history.Txn {
		for _, s := range slices.Concat(o.Txn.Then, o.Txn.Else) {
			if s.Kind == history.DeletePrefix {
				all = append(all, s.Prefix)
			}
		}
	}
	return all
}

// holds judges the condition of a put or delete on what there was.
func holds(o *history.Op, old *Version) bool {
	switch o.If {
	case history.Absent:
		return old == nil
	case history.Present:
		return old != nil
	case history.IfRevision:
		return old != nil && old.Mod == o.OverRevision
	}
	return true
}

// mismatch says what a revision changed other than an operation asked for.
func mismatch(o *history.Op, rev *Rev) string {
	if len(rev.Changes) == 0 {
		return "is missing"
	}
	first := rev.Changes[0]
	switch o.Kind {
	case history.Put, history.Increment:
		if len(rev.Changes) != 1 || first.Type != "put" || first.Key != o.Key || first.Value != o.Value {
			return fmt.Sprintf("made %d changes, the first of them a %s of %q = %q", len(rev.Changes), first.Type, first.Key, first.Value)
		}
	case history.Delete:
		if len(rev.Changes) != 1 || first.Type != "delete" || first.Key != o.Key {
			return fmt.Sprintf("made %d changes, the first of them a %s of %q", len(rev.Changes), first.Type, first.Key)
		}
	case history.DeletePrefix, history.Revoke:
		if uint64(len(rev.Changes)) != o.Deleted || first.Type != "delete" {
			return fmt.Sprintf("made %d changes, the first of them a %s", len(rev.Changes), first.Type)
		}
	}
	return ""
}
