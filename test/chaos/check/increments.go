package check

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"kvd/test/chaos/history"
)

// Increments checks that the counters went up by one at a time, and that no
// acknowledged increment is missing from them.
func Increments(run *Run) Result {
	r := Result{Check: "increments"}
	counters := make(map[string]map[string]bool) // key → requests
	sure := make(map[string]map[string]int64)    // of those, what was acknowledged: one of its operations
	for _, o := range run.History.Ops {
		if o.Kind != history.Increment {
			continue
		}
		if counters[o.Key] == nil {
			counters[o.Key], sure[o.Key] = make(map[string]bool), make(map[string]int64)
		}
		name := cmp.Or(o.IdempotencyKey, fmt.Sprint("operation ", o.ID))
		if changed(o) {
			sure[o.Key][name] = o.ID
		}
		if changed(o) || o.Outcome == history.Unknown {
			counters[o.Key][name] = true
		}
	}
	for _, key := range slices.Sorted(maps.Keys(counters)) {
		r.Judged++
		count := uint64(0)
		if v := run.Replay.Get(key, run.Replay.From); v != nil {
			r.Skipped++ // what it counts began before the log that is known
			continue
		}
		for _, v := range run.Replay.Versions(key) {
			n, err := strconv.ParseUint(v.Value, 10, 64)
			if !v.live() || err != nil || n != count+1 {
				r.fail(Violation{What: fmt.Sprintf("counter %q goes from %d to %q at revision %d", key, count, v.Value, v.Mod), Revision: v.Mod})
				break
			}
			count = n
		}
		if least, most := len(sure[key]), len(counters[key]); count < uint64(least) || count > uint64(most) {
			r.failf(slices.Sorted(maps.Values(sure[key])), "counter %q is at %d; %d increments were acknowledged, and %d of unknown outcome", key, count, least, most-least)
		}
	}
	return r
}
