package check

import (
	"fmt"
	"slices"

	"kvd/test/chaos/history"
)

// Reads checks what reads and listings have found against the state of the
// revision that they were answered with, and that no connection, which is one
// member's, ever shows an older state than before.
func Reads(run *Run) Result {
	r := Result{Check: "reads"}
	conns := make(map[int64]*history.Op)
	for _, o := range run.History.Ops {
		if o.Outcome != history.OK || o.Kind != history.Get && o.Kind != history.List {
			continue
		}
		switch o.Code {
		case "compacted":
			if o.Mode != history.AtRevision || o.AtRevision >= run.Replay.Compacted && o.AtRevision > 0 {
				r.failf([]int64{o.ID}, "%s at revision %d was refused as compacted, and the log gave up history only to %d", describe(o), o.AtRevision, run.Replay.Compacted)
			}
			continue
		case "future_revision":
			if told := run.told(o.Start); o.AtRevision <= told {
				r.failf([]int64{o.ID}, "%s at revision %d was refused as one that is yet to come, and revision %d had been told before it began", describe(o), o.AtRevision, told)
			}
			continue
		}
		revision := o.Revision
		if o.Mode == history.AtRevision {
			revision = o.AtRevision
		} else if revision > 0 {
			r.backwards(conns, o)
		}
		if o.Mode == history.MinRevision && revision > 0 && revision < o.AtRevision {
			r.failf([]int64{o.ID}, "%s was to wait for revision %d and shows %d", describe(o), o.AtRevision, revision)
		}
		switch {
		case revision > run.Replay.Last:
			r.fail(Violation{What: fmt.Sprintf("%s shows revision %d, and the log ends at %d", describe(o), revision, run.Replay.Last), Ops: []int64{o.ID}, Revision: revision})
		case revision == 0 && o.Mode != history.AtRevision && len(o.Seen) > 0, !run.Replay.Known(revision):
			r.Skipped++
		default:
			r.Judged++
			if what := run.misread(o, revision); what != "" {
				r.fail(Violation{What: fmt.Sprintf("%s at revision %d %s", describe(o), revision, what), Ops: []int64{o.ID}, Revision: revision})
			}
		}
	}
	return r
}

// backwards checks that a connection does not go back in time.
func (r *Result) backwards(conns map[int64]*history.Op, o *history.Op) {
	if o.Conn == 0 {
		return
	}
	last := conns[o.Conn]
	if last != nil && last.End <= o.Start && last.Revision > o.Revision {
		r.failf([]int64{last.ID, o.ID}, "%s shows revision %d, and the same connection had shown %d before", describe(o), o.Revision, last.Revision)
	}
	if last == nil || o.Revision > last.Revision {
		conns[o.Conn] = o
	}
}

// misread says what a read has found that was not so at a revision.
func (run *Run) misread(o *history.Op, revision uint64) string {
	if o.Kind == history.Get {
		return misseen(o.Seen, list(run.Replay.Get(o.Key, revision)))
	}
	want := run.Replay.List(o.Prefix, prefixEnd(o.Prefix), revision)
	if o.Reverse {
		slices.Reverse(want)
	}
	if o.Limit == 0 {
		return misseen(o.Seen, want)
	}
	switch {
	case len(o.Seen) > o.Limit:
		return fmt.Sprintf("shows %d keys, %d were asked for", len(o.Seen), o.Limit)
	case len(o.Seen) > len(want):
		return misseen(o.Seen, want)
	case o.More && len(o.Seen) == len(want):
		return fmt.Sprintf("says that there is more than all %d keys", len(want))
	case !o.More && len(o.Seen) < len(want):
		return fmt.Sprintf("shows %d keys and no more, and there were %d", len(o.Seen), len(want))
	}
	return misseen(o.Seen, want[:len(o.Seen)])
}

func list(v *Version) []*Version {
	if v == nil {
		return nil
	}
	return []*Version{v}
}

// misseen says in what items differ from what there was.
func misseen(seen []history.Item, want []*Version) string {
	for i, v := range want {
		if i == len(seen) {
			return fmt.Sprintf("lacks %q, which was %v", v.Key, v)
		}
		if seen[i].Key != v.Key {
			return fmt.Sprintf("shows %q where %q should be", seen[i].Key, v.Key)
		}
		if what := differs(&seen[i], v); what != "" {
			return fmt.Sprintf("shows %q %s", v.Key, what)
		}
	}
	if len(seen) > len(want) {
		return fmt.Sprintf("shows %q, which was not there", seen[len(want)].Key)
	}
	return ""
}

// differs says in what an item differs from a version. What the item does not
// tell is not compared.
func differs(s *history.Item, v *Version) string {
	number := func(name string, got, want uint64) string {
		if got != 0 && got != want {
			return fmt.Sprintf("with %s %d instead of %d", name, got, want)
		}
		return ""
	}
	for _, what := range []string{
		number("mod_revision", s.ModRevision, v.Mod),
		number("create_revision", s.CreateRevision, v.Create),
		number("version", s.Version, v.Version),
	} {
		if what != "" {
			return what
		}
	}
	switch {
	case !s.NoValue && s.Value != v.Value:
		return fmt.Sprintf("as %q instead of %q", s.Value, v.Value)
	case s.Lease != "" && s.Lease != v.Lease:
		return fmt.Sprintf("with lease %s instead of %q", s.Lease, v.Lease)
	}
	return ""
}
