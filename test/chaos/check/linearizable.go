package check

import (
	"cmp"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"sort"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"

	"kvd/test/chaos/history"
)

// Linearizable checks each key by itself: its reads and writes could have happened
// one after another, each at a moment between its start and its end. A key that is
// not decided within the limit is a violation. It runs on as many goroutines as
// there are processors, and waits for them.
func Linearizable(h *history.History, limit time.Duration) Result {
	r := Result{Check: "linearizability"}
	keys := make(map[string][]*history.Op)
	others := others(h)
	for _, o := range h.Ops {
		switch {
		case o.Key == "" || o.Kind == history.Get && o.Mode != history.Linearizable:
		case others.touch(o.Key):
			r.Skipped++
		default:
			r.Judged++
			keys[o.Key] = append(keys[o.Key], o)
		}
	}
	found := make([]*Violation, len(keys))
	names := slices.Sorted(maps.Keys(keys))
	var next int
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		wg.Go(func() {
			for {
				mu.Lock()
				i := next
				next++
				mu.Unlock()
				if i >= len(names) {
					return
				}
				found[i] = linearizable(names[i], keys[names[i]], limit)
			}
		})
	}
	wg.Wait()
	for _, v := range found {
		if v != nil {
			r.fail(*v)
		}
	}
	return r
}

func linearizable(key string, ops []*history.Op, limit time.Duration) *Violation {
	switch porcupine.CheckOperationsTimeout(registers, accesses(ops), limit) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return &Violation{What: fmt.Sprintf("%d operations on key %q could not be decided in %v", len(ops), key, limit)}
	}
	v := &Violation{What: fmt.Sprintf("the operations on key %q are not linearizable; they were until the last of those named", key)}
	for _, o := range untilBroken(ops, limit) {
		v.Ops = append(v.Ops, o.ID)
	}
	return v
}

// untilBroken shortens a history that is not linearizable to what leads up to the
// first answer that cannot be explained.
func untilBroken(ops []*history.Op, limit time.Duration) []*history.Op {
	ops = slices.SortedStableFunc(slices.Values(ops), func(a, b *history.Op) int { return cmp.Compare(a.End, b.End) })
	until := func(n int) []*history.Op {
		part := slices.Clone(ops[:n])
		for _, o := range ops[n:] { // what was under way has no answer yet
			if o.Start < ops[n-1].End && o.Outcome == history.OK {
				open := *o
				open.Outcome = history.Unknown
				part = append(part, &open)
			}
		}
		return part
	}
	n := sort.Search(len(ops)-1, func(i int) bool {
		return porcupine.CheckOperationsTimeout(registers, accesses(until(i+1)), limit) == porcupine.Illegal
	}) + 1
	return ops[max(0, n-shownOps):n]
}

// untouchable says which keys are written by more than their own operations.
type untouchable struct {
	keys     map[string]bool
	prefixes []string
}

// others finds the keys that transactions, prefixes, leases or TTLs touch.
func others(h *history.History) *untouchable {
	u := &untouchable{keys: make(map[string]bool)}
	prefixes := make(map[string]bool)
	for _, o := range h.Ops {
		switch {
		case o.Kind == history.DeletePrefix:
			prefixes[o.Prefix] = true
		case o.Kind == history.Put && (o.Lease != "" || o.TTL > 0):
			u.keys[o.Key] = true
		case o.Kind == history.Txn:
			for _, s := range slices.Concat(o.Txn.Then, o.Txn.Else) {
				if s.Kind == history.DeletePrefix {
					prefixes[s.Prefix] = true
				} else if s.Kind == history.Put || s.Kind == history.Delete {
					u.keys[s.Key] = true
				}
			}
		}
	}
	u.prefixes = slices.Sorted(maps.Keys(prefixes))
	return u
}

func (u *untouchable) touch(key string) bool {
	if u.keys[key] {
		return true
	}
	for n := range len(key) + 1 {
		if _, ok := slices.BinarySearch(u.prefixes, key[:n]); ok {
			return true
		}
	}
	return false
}
