package check

import (
	"cmp"
	"slices"
	"time"

	"kvd/test/chaos/history"
)

// Run is what the checks look at.
type Run struct {
	History *history.History
	Replay  *Replay
	Options Options

	// Made by the first check that needs them.
	claims *claims
	begun  []begin // writes by their start
	knew   []sight // by their moment, with the highest revision so far
}

// Options are what a check cannot find out by itself.
type Options struct {
	// Foreign are keys that others write than those whose operations the history has.
	Foreign []string
	// LeaseBound is how long a key may outlive its lease or TTL while the cluster
	// works; 0: 3 s.
	LeaseBound time.Duration
	// Idle is how long a gap of the log's clock between two entries is that counts
	// as time without a leader, in which nothing can expire; 0: 250 ms.
	Idle time.Duration
	// Corrupted: the run damaged the state of members, and may find that they differ
	// before the end.
	Corrupted bool
}

func (o Options) withDefaults() Options {
	if o.LeaseBound == 0 {
		o.LeaseBound = 3 * time.Second
	}
	if o.Idle == 0 {
		o.Idle = 250 * time.Millisecond
	}
	return o
}

// Checks are all checks but Linearizable, which has a process of its own.
var Checks = []func(*Run) Result{Order, Writes, Reads, Idempotency, Transactions, Increments, Watches, Leases, Hashes}

// All runs all checks but Linearizable. The first result is the replay's own.
func All(h *history.History, r *Replay, o Options) []Result {
	run := NewRun(h, r, o)
	results := []Result{r.Result}
	for _, f := range Checks {
		results = append(results, f(run))
	}
	return results
}

// NewRun prepares a run for its checks.
func NewRun(h *history.History, r *Replay, o Options) *Run {
	return &Run{History: h, Replay: r, Options: o.withDefaults()}
}

// begin is a write and what it made.
type begin struct {
	at       int64
	revision uint64 // the lowest of this write and of those that began later
}

// firstAfter is the lowest revision that was made by a write that began after a
// moment.
func (run *Run) firstAfter(at int64) (uint64, bool) {
	if run.begun == nil {
		run.begun = []begin{}
		for _, o := range run.History.Ops {
			if revision, ok := run.claim().revision[o]; ok && !o.Replayed && o.IdempotencyKey == "" {
				run.begun = append(run.begun, begin{o.Start, revision})
			}
		}
		for i := len(run.begun) - 2; i >= 0; i-- {
			run.begun[i].revision = min(run.begun[i].revision, run.begun[i+1].revision)
		}
	}
	i, _ := slices.BinarySearchFunc(run.begun, at+1, func(b begin, at int64) int { return cmp.Compare(b.at, at) })
	if i == len(run.begun) {
		return 0, false
	}
	return run.begun[i].revision, true
}

// sight is when somebody was told of a revision.
type sight struct {
	at       int64
	revision uint64
}

// sights are all of them, in no order. What was replayed tells of the past.
func (run *Run) sights() (all []sight) {
	for _, o := range run.History.Ops {
		if o.Outcome == history.OK && o.Revision > 0 && !o.Replayed {
			all = append(all, sight{o.End, o.Revision})
		}
	}
	for _, w := range run.History.Watches {
		switch {
		case w.What == history.Event && w.Item != nil:
			all = append(all, sight{w.At, w.Item.ModRevision})
		case w.What == history.Progress:
			all = append(all, sight{w.At, w.ID})
		}
	}
	return all
}

// told is the highest revision that anybody had been told of before a moment.
func (run *Run) told(before int64) uint64 {
	if run.knew == nil {
		run.knew = run.sights()
		slices.SortFunc(run.knew, func(a, b sight) int { return cmp.Compare(a.at, b.at) })
		for i := 1; i < len(run.knew); i++ {
			run.knew[i].revision = max(run.knew[i].revision, run.knew[i-1].revision)
		}
	}
	i, _ := slices.BinarySearchFunc(run.knew, before, func(s sight, at int64) int { return cmp.Compare(s.at, at) })
	if i == 0 {
		return 0
	}
	return run.knew[i-1].revision
}

// mine reports whether a key is one that the history's clients write.
func (run *Run) mine(key string) bool { return !slices.Contains(run.Options.Foreign, key) }

// writes reports whether an operation can change the store.
func writes(o *history.Op) bool {
	switch o.Kind {
	case history.Get, history.List, history.Compact, history.KeepAlive:
		return false
	}
	return true
}

// changed reports whether an answered write says that it made a revision.
func changed(o *history.Op) bool {
	if o.Outcome != history.OK {
		return false
	}
	switch o.Kind {
	case history.Put, history.Increment, history.Delete:
		return o.Hit
	case history.DeletePrefix, history.Revoke:
		return o.Deleted > 0
	case history.Txn:
		for _, s := range o.Txn.Results {
			if s.Kind == history.Put || s.Deleted > 0 {
				return true
			}
		}
	}
	return false
}
