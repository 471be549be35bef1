package report

import (
	"errors"
	"fmt"
	"slices"
)

// Sum adds up the reports of several runs of one commit, in which so much was
// wanted of all of them together.
func Sum(parts []*Report, want Wanted) (*Report, error) {
	if len(parts) == 0 {
		return nil, errors.New("there is no report to add up")
	}
	first := parts[0]
	all := &Report{Commit: first.Commit, Began: first.Began, Machine: first.Machine, Members: first.Members,
		Operations: map[string]map[string]int{}, Skipped: map[string]string{}, Verdict: Passed}
	for _, r := range parts {
		if r.Commit != all.Commit {
			return nil, fmt.Errorf("the runs are of commits %s and %s", all.Commit, r.Commit)
		}
		if r.Members != all.Members {
			return nil, fmt.Errorf("the runs had %d and %d members", all.Members, r.Members)
		}
		rounds := 0
		if n := len(all.Faults); n > 0 {
			rounds = all.Faults[n-1].Round + 1
		}
		for _, f := range r.Faults {
			f.Round += rounds
			all.Faults = append(all.Faults, f)
		}
		for kind, by := range r.Operations {
			if all.Operations[kind] == nil {
				all.Operations[kind] = map[string]int{}
			}
			for outcome, n := range by {
				all.Operations[kind][outcome] += n
			}
		}
		for kind, why := range r.Skipped {
			all.Skipped[kind] = why
		}
		for _, c := range r.Checks {
			if c.Name != "recovery" { // it is of all of them
				all.add(c)
			}
		}
		for _, reason := range r.Reasons {
			all.Reasons = append(all.Reasons, fmt.Sprintf("seed %s: %s", numbers(r.Seeds), reason))
		}
		all.Runs += r.Runs
		all.Seeds = append(all.Seeds, r.Seeds...)
		all.Seconds += r.Seconds
		all.Events += r.Events
		all.Began = min(all.Began, r.Began)
		if slices.ContainsFunc(r.Checks, func(c Check) bool { return c.Name != "recovery" && c.Count > 0 }) {
			all.Verdict = Violated
		}
	}
	all.Require(want)
	return all, nil
}

// add adds a check to the one of its name.
func (r *Report) add(c Check) {
	i := slices.IndexFunc(r.Checks, func(o Check) bool { return o.Name == c.Name })
	if i < 0 {
		c.Violations = slices.Clone(c.Violations)
		r.Checks = append(r.Checks, c)
		return
	}
	o := &r.Checks[i]
	o.Judged += c.Judged
	o.Skipped += c.Skipped
	o.Count += c.Count
	o.Violations = append(o.Violations, c.Violations...)
}
