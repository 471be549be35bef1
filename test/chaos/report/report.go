package report

import (
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Verdict is what a run showed.
type Verdict string

// Verdicts.
const (
	Passed      Verdict = "passed"
	Violated    Verdict = "violated"
	DidNotCount Verdict = "did not count"
)

// Report is one run, or several.
type Report struct {
	Runs       int                       `json:"runs"`
	Seeds      []uint64                  `json:"seeds"`
	Commit     string                    `json:"commit"`
	Began      string                    `json:"began"` // RFC 3339, of the first
	Seconds    float64                   `json:"seconds"`
	Machine    string                    `json:"machine"`
	Members    int                       `json:"members"`
	Operations map[string]map[string]int `json:"operations"` // by kind and outcome
	Events     int                       `json:"watch_events"`
	Faults     []Fault                   `json:"faults"`
	Skipped    map[string]string         `json:"skipped"` // kinds of fault, and why
	Checks     []Check                   `json:"checks"`
	Verdict    Verdict                   `json:"verdict"`
	Reasons    []string                  `json:"reasons"` // why it did not count
	Wanted     Wanted                    `json:"wanted"`
}

// Fault is one fault of a run.
type Fault struct {
	Round    int      `json:"round"` // of the run; faults of one round were there at once
	Kind     string   `json:"kind"`
	Detail   string   `json:"detail,omitempty"`
	Members  []string `json:"members,omitempty"`
	At       float64  `json:"at_s"` // since the run began
	Lasted   float64  `json:"lasted_s"`
	Shown    bool     `json:"shown"`
	Proof    []string `json:"proof,omitempty"`
	Unshown  []string `json:"unshown,omitempty"` // evidence that is missing
	Broken   []string `json:"broken,omitempty"`  // promises of members that did not hold
	Changes  int      `json:"changes,omitempty"` // of the membership
	Before   int      `json:"good_operations_per_s_before"`
	Recovery *float64 `json:"recovery_ms"` // from the healing of the round to the first good write
}

// Check is one thing that was checked.
type Check struct {
	Name       string   `json:"name"`
	Judged     int      `json:"judged"`
	Skipped    int      `json:"skipped"` // that it could not judge
	Count      int      `json:"violations"`
	Violations []string `json:"first_violations,omitempty"`
}

// Gates of a run that counts.
const (
	MinRate    = 100  // good operations a second, before each fault
	MaxUnknown = 0.05 // of all operations
	MaxFailed  = 0.05 // that surely did not happen, of all operations
)

// MaxRecovery is how long 99 of 100 healings may take until the first good write:
// two election timeouts, of 1 s, and a second.
const MaxRecovery = 3000 // ms

// Wanted is how much must have happened, on top of the gates; zero is no limit.
type Wanted struct {
	Operations int `json:"operations"`
	Faults     int `json:"faults"`
	Changes    int `json:"changes"`
}

// Total sums the operations with an outcome; "" is any.
func (r *Report) Total(outcome string) (n int) {
	for _, by := range r.Operations {
		for o, k := range by {
			if outcome == "" || o == outcome {
				n += k
			}
		}
	}
	return n
}

// Unknown is the share of the operations of which nobody knows what became of them.
func (r *Report) Unknown() float64 { return float64(r.Total("unknown")) / float64(max(1, r.Total(""))) }

// ShownFaults counts the faults that were shown to have happened.
func (r *Report) ShownFaults() (n int) {
	for _, f := range r.Faults {
		if f.Shown {
			n++
		}
	}
	return n
}

// Changes counts the changes of the membership.
func (r *Report) Changes() (n int) {
	for _, f := range r.Faults {
		n += f.Changes
	}
	return n
}

// Recoveries are the times from each healing to the first good write, sorted.
func (r *Report) Recoveries() (all []float64) {
	last := -1
	for _, f := range r.Faults {
		if f.Round != last && f.Recovery != nil {
			all = append(all, *f.Recovery)
		}
		last = f.Round
	}
	slices.Sort(all)
	return all
}

// Percentile of a sorted list, by nearest rank; 0 for an empty one.
func Percentile(sorted []float64, p float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[max(0, int(math.Ceil(p/100*float64(len(sorted))))-1)]
}

// Judge says what the run showed. Reasons that are there already stay.
func (r *Report) Judge(want Wanted) {
	if r.ShownFaults() == 0 {
		r.Reasons = append(r.Reasons, "no fault was shown to have happened")
	}
	if n := r.Total(""); n == 0 {
		r.Reasons = append(r.Reasons, "there was no operation")
	} else if u := r.Unknown(); u > MaxUnknown {
		r.Reasons = append(r.Reasons, fmt.Sprintf("the outcome of %.1f %% of the operations is unknown, more than %.0f %%", 100*u, 100*MaxUnknown))
	}
	if failed := float64(r.Total("failed")) / float64(max(1, r.Total(""))); failed > MaxFailed {
		r.Reasons = append(r.Reasons, fmt.Sprintf("%.1f %% of the operations surely did not happen, more than %.0f %%", 100*failed, 100*MaxFailed))
	}
	for _, f := range r.Faults {
		if f.Before < MinRate {
			r.Reasons = append(r.Reasons, fmt.Sprintf("only %d operations/s were answered before %q at %.0f s, less than %d", f.Before, f.Kind, f.At, MinRate))
		}
	}
	for _, c := range r.Checks {
		if c.Judged == 0 {
			r.Reasons = append(r.Reasons, fmt.Sprintf("the check of %s had nothing to judge", c.Name))
		}
		// What they say is behind other checks: leases' ends, grants, replays of results.
		if c.Name == "log" && c.Skipped > 0 {
			r.Reasons = append(r.Reasons, fmt.Sprintf("the log of no member has the first %d entries", c.Skipped))
		}
	}
	r.Require(want)
	if slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Count > 0 }) {
		r.Verdict = Violated
	}
}

// Replace judges a run anew, of which some things have been checked once more.
func (r *Report) Replace(checks []Check) {
	for _, c := range checks {
		r.Checks = slices.DeleteFunc(r.Checks, func(o Check) bool { return o.Name == c.Name })
	}
	r.Checks = append(r.Checks, checks...)
	r.Verdict, r.Reasons = "", nil
	r.Judge(r.Wanted)
}

// Require sets the verdict of a run, or a sum of runs, in which less may have
// happened than wanted, and checks the recoveries of all of it.
func (r *Report) Require(want Wanted) {
	r.Wanted = want
	for _, x := range []struct {
		what      string
		got, want int
	}{
		{"operations", r.Total(""), want.Operations},
		{"faults that were shown", r.ShownFaults(), want.Faults},
		{"changes of the membership", r.Changes(), want.Changes},
	} {
		if x.got < x.want {
			r.Reasons = append(r.Reasons, fmt.Sprintf("%d %s, want %d", x.got, x.what, x.want))
		}
	}
	if r.Verdict != Violated {
		r.Verdict = Passed
		if len(r.Reasons) > 0 {
			r.Verdict = DidNotCount
		}
	}
	all := r.Recoveries()
	c := Check{Name: "recovery", Judged: len(all)}
	// One in a hundred may be slower: with all members down at once, two of them can
	// tie twice. In a run of fewer than a hundred that is one, but not by any time.
	slow := 0
	for _, ms := range all {
		if ms > MaxRecovery {
			slow++
		}
	}
	if slowest := Percentile(all, 100); slow > (len(all)+99)/100 || slowest > 2*MaxRecovery {
		c.Count, c.Violations = 1, []string{fmt.Sprintf("%d of %d healings took longer than %d ms until the first good write, the slowest %.0f ms", slow, len(all), MaxRecovery, slowest)}
		r.Verdict = Violated
	}
	r.Checks = slices.DeleteFunc(r.Checks, func(o Check) bool { return o.Name == c.Name })
	r.Checks = append(r.Checks, c)
}

// Write writes report.json and report.md into a directory.
func (r *Report) Write(dir string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, "report.json"), append(b, '\n'), 0o644); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, "report.md"), []byte(r.Markdown()), 0o644)
}

// Read reads the report of a directory.
func Read(dir string) (*Report, error) {
	b, err := os.ReadFile(filepath.Join(dir, "report.json"))
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("report of %s: %w", dir, err)
	}
	return r, nil
}

func (r *Report) duration() time.Duration {
	return time.Duration(r.Seconds * float64(time.Second)).Round(time.Second)
}
