package check

import (
	"strconv"

	"kvd/test/chaos/history"
)

// Hashes checks that the members' states were equal at the end.
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
