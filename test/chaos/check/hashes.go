package check

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"kvd/test/chaos/history"
)

// Hashes checks that the members' states were equal at the end, and that what they
// agreed on during the run is the state of the log.
func Hashes(run *Run) Result {
	r := Result{Check: "hashes"}
	final := false
	for _, h := range run.History.Hashes {
		r.Judged++
		final = final || h.Final
		r.equal(h, run.Options.Corrupted)
	}
	if !final {
		r.failf(nil, "nobody compared the states at the end")
	}
	return r
}

func (r *Result) equal(h *history.Hashes, corrupted bool) {
	when := "during the run"
	if h.Final {
		when = "at the end"
	} else if corrupted {
		return
	}
	different := make(map[string]bool)
	for _, hash := range h.Hashes {
		different[hash] = true
	}
	if len(different) > 1 || len(h.Diverged) > 0 {
		r.failf(nil, "%s, at log index %d, the states differ: %v, diverged %v", when, h.Index, h.Hashes, h.Diverged)
	}
	if !h.Final {
		return
	}
	if len(h.Missing) > 0 || len(h.Hashes) == 0 {
		r.failf(nil, "at the end, at log index %d, the states of members %v are not known", h.Index, h.Missing)
	}
	for _, id := range h.Members {
		if _, ok := h.Hashes[strconv.FormatUint(id, 10)]; !ok {
			r.failf(nil, "at the end, at log index %d, the state of member %d is not known", h.Index, id)
		}
	}
}

// Verdicts checks that what the members agreed on in the log is what the log leads
// to: each verdict names the hash that a replay of the log by kvd has there. One for
// which too few members were heard decides nothing, and names a hash that nobody has;
// what those have that were heard is what the log leads to all the same.
func Verdicts(l *Log, corrupted bool) Result {
	r := Result{Check: "verdicts"}
	hashes := make(map[uint64]string)
	for _, e := range l.Entries {
		switch e.Kind {
		case "check":
			hashes[e.Index] = e.StateHash
		case "reseed":
			if !corrupted {
				r.failf(nil, "at log index %d a member takes over another's state, and nobody damaged its own: %s", e.Index, e.Detail)
			}
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
			decided := slices.Contains(slices.Collect(maps.Values(v.Hashes)), v.Hash)
			if got := fmt.Sprintf("%016x", v.Hash); decided && got != want {
				r.failf(nil, "the members agreed on the state %s at log index %d, and the log leads to %s", got, v.Index, want)
			}
			for _, id := range slices.Sorted(maps.Keys(v.Hashes)) {
				if got := fmt.Sprintf("%016x", v.Hashes[id]); got != want && !corrupted {
					r.failf(nil, "member %s had the state %s at log index %d, and the log leads to %s", id, got, v.Index, want)
				}
			}
			if len(v.Damaged) > 0 && !corrupted {
				r.failf(nil, "members %v found damage in their memory at log index %d", v.Damaged, v.Index)
			}
		}
	}
	return r
}
