package check

import (
	"cmp"
	"fmt"
	"slices"

	"kvd/test/chaos/history"
)

// known is what an operation tells of the store: at some moment between its start
// and its end the store was at the revision.
type known struct {
	start, end int64
	revision   uint64
	makes      bool // it made the revision, and did not only see it
	op         *history.Op
}

// Order checks that the revisions that were answered agree with the clock: who
// began after another had ended saw no older state, and wrote a newer revision.
// It looks at all keys together; linearizability of each key does not show it.
func Order(run *Run) Result {
	r := Result{Check: "order"}
	all := run.known()
	ends := slices.Clone(all)
	slices.SortStableFunc(all, func(a, b known) int { return cmp.Compare(a.start, b.start) })
	slices.SortStableFunc(ends, func(a, b known) int { return cmp.Compare(a.end, b.end) })
	var before known // of those that had ended, the one of the highest revision
	for _, k := range all {
		for len(ends) > 0 && ends[0].end < k.start {
			if ends[0].revision > before.revision {
				before = ends[0]
			}
			ends = ends[1:]
		}
		r.Judged++
		switch {
		case before.op == nil:
		case k.revision < before.revision:
			r.fail(Violation{What: fmt.Sprintf("%s shows revision %d, and %s had ended at %d before it began", describe(k.op), k.revision, describe(before.op), before.revision),
				Ops: []int64{k.op.ID, before.op.ID}, Revision: k.revision})
		case k.makes && k.revision == before.revision && k.op != before.op:
			r.fail(Violation{What: fmt.Sprintf("%s made revision %d, which %s had seen before it began", describe(k.op), k.revision, describe(before.op)),
				Ops: []int64{k.op.ID, before.op.ID}, Revision: k.revision})
		}
	}
	return r
}

// known lists what the operations tell. Operations of one idempotency key are one:
// it was done between the first start and the first answer.
func (run *Run) known() (all []known) {
	c := run.claim()
	byKey := make(map[string]int)
	for _, o := range run.History.Ops {
		k := known{start: o.Start, end: o.End, revision: o.Revision, op: o}
		claimed, ok := c.revision[o]
		switch {
		case writes(o) && ok:
			k.revision, k.makes = claimed, true
			if o.Outcome != history.OK {
				k.end = 1<<63 - 1 // that it was done is known from the log alone
			}
		case o.Outcome != history.OK || o.Revision == 0 || o.Replayed:
			continue
		case !writes(o) && o.Mode != history.Linearizable:
			continue // an old state is what was asked for
		}
		if o.IdempotencyKey != "" && k.makes {
			name := sign(o.IdempotencyKey, k.revision)
			if i, ok := byKey[name]; ok {
				all[i].end = min(all[i].end, k.end)
				continue
			}
			byKey[name] = len(all)
		}
		all = append(all, k)
	}
	return all
}
