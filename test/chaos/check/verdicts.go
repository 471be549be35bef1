package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Verdicts checks that what the members agreed on in the log is what the log leads
// to: each verdict names the hash that a replay of the log by kvd has there.
func Verdicts(run *Run) Result {
	corrupted := run.Options.Corrupted
	r := Result{Check: "verdicts"}
	hashes := make(map[uint64]string)
	for _, e := range run.Replay.Comparisons {
		switch e.Kind {
		case "check":
			hashes[e.Index] = e.StateHash
		case "verdict":
			var v struct {
				Index   uint64            `json:"index"`
				Hash    uint64            `json:"hash"`
				Hashes  map[string]uint64 `json:"hashes"`
				Damaged []uint64          `json:"damaged"`
			}
			if err := json.Unmarshal(e.Detail, &v); err != nil {
				r.failf(nil, "the verdict at log index %d cannot be read: %v", e.Index, err)
				continue
			}
			want, ok := hashes[v.Index]
			if !ok {
				r.Skipped++ // its check lies before the log that is known
				continue
			}
			r.Judged++
			if got := fmt.Sprintf("%016x", v.Hash); got != want {
				r.failf(nil, "the members agreed on the state %s at log index %d, and the log leads to %s", got, v.Index, want)
			}
			for _, id := range slices.Sorted(maps.Keys(v.Hashes)) {
				if v.Hashes[id] != v.Hash && !corrupted {
					r.failf(nil, "member %s had the state %016x at log index %d, and the others %016x", id, v.Hashes[id], v.Index, v.Hash)
				}
			}
			if len(v.Damaged) > 0 && !corrupted {
				r.failf(nil, "members %v found damage in their memory at log index %d", v.Damaged, v.Index)
			}
		}
	}
	return r
}
