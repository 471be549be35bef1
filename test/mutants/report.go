package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// writeMarkdown writes one row a mutant, and below them what was missed.
func writeMarkdown(w io.Writer, found []*finding, o options) error {
	var b strings.Builder
	b.WriteString("| Mutant | What it breaks | Caught by | Time to catch | Simulation |\n|---|---|---|---|---|\n")
	for _, f := range found {
		by, took := "**nobody**", "-"
		if f.by != nil {
			by = fmt.Sprintf("%s, %s", f.by.Layer, tests(f))
			took = fmt.Sprintf("%s, %d of %d runs", span(f.attempts), len(f.attempts), o.runs)
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", f.mutant.Name, f.mutant.Breaks, by, took, simulated(f, o))
	}
	for _, f := range found {
		for _, m := range f.missed {
			fmt.Fprintf(&b, "\n`%s` was not caught by %s.\n", f.mutant.Name, strings.TrimSpace(m))
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// tests names the tests that failed, without the parts of a table, as the pages
// in docs name tests.
func tests(f *finding) string {
	var names []string
	for _, a := range f.attempts {
		top, _, _ := strings.Cut(a.test, "/")
		name := fmt.Sprintf("`%s.%s`", f.by.Package[strings.LastIndexByte(f.by.Package, '/')+1:], top)
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

func span(attempts []attempt) string {
	byTime := func(a, b attempt) int { return cmp.Compare(a.took, b.took) }
	from, to := seconds(slices.MinFunc(attempts, byTime).took), seconds(slices.MaxFunc(attempts, byTime).took)
	if from == to {
		return from + " s"
	}
	return from + "-" + to + " s"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", max(d.Seconds(), 0.1)) }

// simulated says what the simulation made of a mutant.
func simulated(f *finding, o options) string {
	switch {
	case f.by != nil && f.by.Layer == Simulation:
		return "as shown"
	case f.sim == nil:
		return "-"
	case f.sim.kind == failed:
		return fmt.Sprintf("caught: seed %d, %s s", f.sim.seed, seconds(f.sim.took))
	case f.sim.kind == broken:
		return f.sim.reason
	}
	return fmt.Sprintf("not in %d seeds (%s s)", o.seeds, seconds(f.sim.took))
}

type jsonAttempt struct {
	Outcome string  `json:"outcome"`
	Test    string  `json:"test,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
}

type jsonFinding struct {
	Mutant     string        `json:"mutant"`
	Breaks     string        `json:"breaks"`
	Caught     bool          `json:"caught"`
	Layer      Layer         `json:"layer,omitempty"`
	Runs       []jsonAttempt `json:"runs"`
	Missed     []string      `json:"missed,omitempty"`
	Simulation *jsonAttempt  `json:"simulation,omitempty"`
}

func writeJSON(w io.Writer, found []*finding) error {
	out := make([]jsonFinding, 0, len(found))
	show := func(a attempt) jsonAttempt {
		return jsonAttempt{a.kind.String(), a.test, a.reason, a.seed, a.took.Seconds()}
	}
	for _, f := range found {
		j := jsonFinding{Mutant: f.mutant.Name, Breaks: f.mutant.Breaks, Caught: f.by != nil, Missed: f.missed, Runs: []jsonAttempt{}}
		if f.by != nil {
			j.Layer = f.by.Layer
		}
		for _, a := range f.attempts {
			j.Runs = append(j.Runs, show(a))
		}
		if f.sim != nil {
			j.Simulation = new(show(*f.sim))
		}
		out = append(out, j)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
