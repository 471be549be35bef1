package report

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Markdown is the report as a page.
func (r *Report) Markdown() string {
	var b strings.Builder
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Chaos: %s\n", r.Verdict)
	for _, reason := range first(r.Reasons, 10) {
		p("- It did not count: %s.", reason)
	}
	if len(r.Reasons) > 0 {
		p("")
	}
	p("%d run(s) of %v in all, begun %s, %d members, commit %s, seeds %s.  ", r.Runs, r.duration(), r.Began, r.Members, r.Commit, numbers(r.Seeds))
	p("Machine: %s.\n", r.Machine)

	p("## Operations\n")
	p("%d operations (%.0f/s): %d ok, %d surely not done, %d unknown (%.2f %%); %d watch events.\n",
		r.Total(""), float64(r.Total(""))/max(1, r.Seconds), r.Total("ok"), r.Total("failed"), r.Total("unknown"), 100*r.Unknown(), r.Events)
	p("| kind | ok | not done | unknown |\n|---|--:|--:|--:|")
	for _, kind := range slices.Sorted(maps.Keys(r.Operations)) {
		by := r.Operations[kind]
		p("| %s | %d | %d | %d |", kind, by["ok"], by["failed"], by["unknown"])
	}

	rounds, pairs := r.rounds()
	rec := r.Recoveries()
	p("\n## Faults\n")
	p("%d faults in %d rounds (%d with two at once), %d shown to have happened; %d changes of the membership.  ", len(r.Faults), rounds, pairs, r.ShownFaults(), r.Changes())
	p("From healing to the first good write: p50 %.0f ms, p99 %.0f ms, at most %.0f ms (%d healings).\n", Percentile(rec, 50), Percentile(rec, 99), Percentile(rec, 100), len(rec))
	p("| kind | times | shown | not shown | slowest recovery, ms |\n|---|--:|--:|--:|--:|")
	for _, k := range r.byKind() {
		p("| %s | %d | %d | %d | %.0f |", k.name, k.times, k.shown, k.times-k.shown, k.slowest)
	}
	for _, kind := range slices.Sorted(maps.Keys(r.Skipped)) {
		p("| %s | SKIPPED: %s | | | |", kind, oneLine(r.Skipped[kind]))
	}
	for _, f := range first(r.unshown(), 5) {
		p("\nNot shown: %s at %.0f s: %s.", f.Kind, f.At, oneLine(strings.Join(f.Unshown, "; ")))
	}

	p("\n## Checks\n")
	p("| check | judged | not judged | violations |\n|---|--:|--:|--:|")
	for _, c := range r.Checks {
		p("| %s | %d | %d | %d |", c.Name, c.Judged, c.Skipped, c.Count)
	}
	for _, c := range r.Checks {
		for _, v := range first(c.Violations, 3) {
			p("\n**%s**: %s", c.Name, v)
		}
	}
	return b.String()
}

type kindRow struct {
	name         string
	times, shown int
	slowest      float64
}

// byKind sums the faults up by kind, in the order of names.
func (r *Report) byKind() (rows []kindRow) {
	all := map[string]*kindRow{}
	for _, f := range r.Faults {
		k := all[f.Kind]
		if k == nil {
			k = &kindRow{name: f.Kind}
			all[f.Kind] = k
		}
		k.times++
		if f.Shown {
			k.shown++
		}
		if f.Recovery != nil {
			k.slowest = max(k.slowest, *f.Recovery)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		rows = append(rows, *all[name])
	}
	return rows
}

// rounds counts the rounds, and those with two faults.
func (r *Report) rounds() (n, pairs int) {
	last := -1
	for _, f := range r.Faults {
		if f.Round == last {
			pairs++
		} else {
			n++
		}
		last = f.Round
	}
	return n, pairs
}

func (r *Report) unshown() (all []Fault) {
	for _, f := range r.Faults {
		if !f.Shown {
			all = append(all, f)
		}
	}
	return all
}

func first[T any](all []T, n int) []T { return all[:min(n, len(all))] }

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

func numbers(ns []uint64) string {
	var texts []string
	for _, n := range ns {
		texts = append(texts, fmt.Sprint(n))
	}
	return strings.Join(texts, ", ")
}
