package load

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Class is what was measured of one kind of operation.
type Class struct {
	Name    string
	Latency Latency
}

// Result is what a loop has measured.
type Result struct {
	Elapsed time.Duration    // of what counts
	Latency Latency          // of all operations that succeeded
	Classes []Class          // the same by class
	Failed  int64            // operations
	Errors  map[string]int64 // why they failed, and how many
}

// Operations is how many succeeded.
func (r *Result) Operations() int64 { return r.Latency.Count() }

// PerSecond is how many succeeded in a second.
func (r *Result) PerSecond() float64 { return float64(r.Operations()) / r.Elapsed.Seconds() }

// Complaint says in one line what failed, the most frequent first; "" if nothing
// did.
func (r *Result) Complaint() string {
	if r.Failed == 0 {
		return ""
	}
	kinds := make([]string, 0, len(r.Errors))
	for kind := range r.Errors {
		kinds = append(kinds, kind)
	}
	slices.SortFunc(kinds, func(a, b string) int {
		if d := r.Errors[b] - r.Errors[a]; d != 0 {
			return int(max(-1, min(1, d)))
		}
		return strings.Compare(a, b)
	})
	for i, kind := range kinds {
		kinds[i] = fmt.Sprintf("%d × %s", r.Errors[kind], kind)
	}
	return fmt.Sprintf("%d of %d operations failed: %s", r.Failed, r.Failed+r.Operations(), strings.Join(kinds, "; "))
}

// Progress is what was done since the report before.
type Progress struct {
	At      time.Duration // since what counts began; negative: it is the warm-up
	Elapsed time.Duration
	Latency *Latency
	Failed  int64
}

// PerSecond is how many operations succeeded in a second.
func (p Progress) PerSecond() float64 { return float64(p.Latency.Count()) / p.Elapsed.Seconds() }
