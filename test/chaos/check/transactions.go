package check

import (
	"fmt"
	"slices"
	"strings"

	"kvd/test/chaos/history"
)

// Transactions checks of each answered transaction that its comparisons were
// judged rightly, that all of its branch was done and nothing else, and that its
// results are those of the state between its own operations.
func Transactions(run *Run) Result {
	r := Result{Check: "transactions"}
	c := run.claim()
	for _, o := range run.History.Ops {
		if o.Kind != history.Txn || o.Outcome != history.OK || o.Code != "" {
			continue
		}
		before := o.Revision
		var rev *Rev
		if changed(o) {
			before = o.Revision - 1
			rev = run.Replay.Rev(o.Revision)
		}
		if o.Revision == 0 || !run.Replay.Known(before) || changed(o) && rev == nil {
			r.Skipped++
			continue
		}
		r.Judged++
		t := txnCheck{run: run, before: before, after: make(map[string]*Version), mod: o.Revision}
		if what := t.judge(o, rev); what != "" {
			r.fail(Violation{What: fmt.Sprintf("%s at revision %d %s", describe(o), o.Revision, what), Ops: []int64{o.ID}, Revision: o.Revision})
		}
	}
	r.halves(run, c)
	return r
}

// halves checks the transactions of unknown outcome that the log has: what they
// changed must be all of a branch. The replay does that by the log's command; here
// it is done by what the client asked for.
func (r *Result) halves(run *Run, c *claims) {
	for o, revision := range c.revision {
		rev := run.Replay.Rev(revision)
		if o.Kind != history.Txn || o.Outcome == history.OK || rev == nil || !run.Replay.Known(revision-1) {
			continue
		}
		r.Judged++
		t := txnCheck{run: run, before: revision - 1, after: make(map[string]*Version), mod: revision}
		succeeded, known := t.compare(o.Txn.If)
		if !known {
			r.Skipped++
			continue
		}
		steps := o.Txn.Then
		if !succeeded {
			steps = o.Txn.Else
		}
		for _, s := range steps {
			t.do(&s, nil)
		}
		if what := t.changes(rev); what != "" {
			r.fail(Violation{What: fmt.Sprintf("%s, of unknown outcome, made revision %d, which %s", describe(o), revision, what), Ops: []int64{o.ID}, Revision: revision})
		}
	}
}

// txnCheck follows one transaction.
type txnCheck struct {
	run    *Run
	before uint64
	mod    uint64
	after  map[string]*Version // what it wrote; a version that is not live: deleted
}

func (t *txnCheck) get(key string) *Version {
	if v, ok := t.after[key]; ok {
		if !v.live() {
			return nil
		}
		return v
	}
	return t.run.Replay.Get(key, t.before)
}

func (t *txnCheck) compare(ifs []history.Compare) (succeeded, known bool) {
	for _, x := range ifs {
		c := compareOf(x)
		holds, known := c.holds(t.get(x.Key))
		if !known {
			return false, false
		}
		if !holds {
			return false, true
		}
	}
	return true, true
}

// judge says what is wrong with an answer.
func (t *txnCheck) judge(o *history.Op, rev *Rev) string {
	succeeded, known := t.compare(o.Txn.If)
	if known && succeeded != o.Hit {
		return fmt.Sprintf("was answered succeeded: %t, and its comparisons came to %t", o.Hit, succeeded)
	}
	steps := o.Txn.Then
	if !o.Hit {
		steps = o.Txn.Else
	}
	if len(o.Txn.Results) != len(steps) {
		return fmt.Sprintf("has %d results of %d operations", len(o.Txn.Results), len(steps))
	}
	for i := range steps {
		if what := t.do(&steps[i], &o.Txn.Results[i]); what != "" {
			return fmt.Sprintf("has as result %d one that %s", i+1, what)
		}
	}
	return t.changes(rev)
}

// do takes one operation, and compares its result, if there is one.
func (t *txnCheck) do(s, result *history.Step) string {
	if result == nil {
		result = &history.Step{}
	} else if what := t.result(s, result); what != "" {
		return what
	}
	switch s.Kind {
	case history.Put:
		v := &Version{Key: s.Key, Type: "put", Value: s.Value, Mod: t.mod, Create: t.mod, Version: 1, Lease: s.Lease, TTL: s.TTL}
		if old := t.get(s.Key); old != nil {
			v.Create, v.Version = old.Create, old.Version+1
		}
		t.after[s.Key] = v
	case history.Delete:
		if t.get(s.Key) != nil {
			t.after[s.Key] = &Version{Key: s.Key, Type: "delete", Mod: t.mod}
		}
	case history.DeletePrefix:
		for _, v := range t.list(s.Prefix) {
			t.after[v.Key] = &Version{Key: v.Key, Type: "delete", Mod: t.mod}
		}
	}
	return ""
}

// list is what there is with a prefix, by the transaction's own eyes.
func (t *txnCheck) list(prefix string) (all []*Version) {
	for _, v := range t.run.Replay.List(prefix, prefixEnd(prefix), t.before) {
		if _, mine := t.after[v.Key]; !mine {
			all = append(all, v)
		}
	}
	for key, v := range t.after {
		if v.live() && strings.HasPrefix(key, prefix) {
			all = append(all, v)
		}
	}
	slices.SortFunc(all, func(a, b *Version) int { return strings.Compare(a.Key, b.Key) })
	return all
}

func (t *txnCheck) result(s, result *history.Step) string {
	deleted := func(want int) string {
		if result.Deleted != uint64(want) {
			return fmt.Sprintf("says %d keys deleted, and there were %d", result.Deleted, want)
		}
		return ""
	}
	switch s.Kind {
	case history.Get:
		return misseen(result.Seen, list(t.get(s.Key)))
	case history.List:
		want := t.list(s.Prefix)
		if result.More && len(result.Seen) < len(want) {
			want = want[:len(result.Seen)]
		}
		return misseen(result.Seen, want)
	case history.Put:
		if exists := t.get(s.Key) != nil; result.Created == exists {
			return fmt.Sprintf("says created: %t of %q, which was there: %t", result.Created, s.Key, exists)
		}
		if len(result.Seen) > 0 && result.Seen[0].ModRevision != 0 && result.Seen[0].ModRevision != t.mod {
			return fmt.Sprintf("says that %q has revision %d", s.Key, result.Seen[0].ModRevision)
		}
	case history.Delete:
		return deleted(len(list(t.get(s.Key))))
	case history.DeletePrefix:
		return deleted(len(t.list(s.Prefix)))
	}
	return ""
}

// changes compares what the transaction should have changed with what it did.
func (t *txnCheck) changes(rev *Rev) string {
	var got []*Version
	if rev != nil {
		got = rev.Changes
	}
	left := len(t.after)
	for _, v := range got {
		want := t.after[v.Key]
		switch {
		case want == nil:
			return fmt.Sprintf("changed %q, which is none of its keys", v.Key)
		case want.Type != v.Type || want.Value != v.Value || want.Create != 0 && want.Create != v.Create || want.Version != v.Version:
			return fmt.Sprintf("left %q as %v, and not as %v", v.Key, v, want)
		}
		left--
	}
	if left > 0 {
		return fmt.Sprintf("changed %d of the %d keys of its branch", len(got), len(t.after))
	}
	return ""
}
