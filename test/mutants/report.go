package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
	"time"
)

// writeMarkdown writes a table with one row a mutant and one column a layer, and
// below it who survives.
func writeMarkdown(w io.Writer, found []*finding, o options) error {
	var b strings.Builder
	b.WriteString("| Mutant | What it breaks |")
	for _, l := range layers {
		fmt.Fprintf(&b, " %s |", l)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(layers)) + "\n")
	survivors := 0
	for _, f := range found {
		fmt.Fprintf(&b, "| `%s` | %s |", f.mutant.Name, f.mutant.Breaks)
		for _, l := range layers {
			fmt.Fprintf(&b, " %s |", f.cell(l, o))
		}
		b.WriteString("\n")
		if f.by == nil {
			survivors++
		}
	}
	fmt.Fprintf(&b, "\n%d of %d mutants were caught, each in %d of %d runs.\n", len(found)-survivors, len(found), o.runs, o.runs)
	for _, f := range found {
		if f.by == nil {
			fmt.Fprintf(&b, "\n`%s` SURVIVES.\n", f.mutant.Name)
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// cell says what a layer made of the mutant.
func (f *finding) cell(l Layer, o options) string {
	i := slices.IndexFunc(f.trials, func(tr trial) bool { return tr.check.Layer == l })
	if i < 0 {
		return "-"
	}
	tr := &f.trials[i]
	last := tr.attempts[len(tr.attempts)-1]
	var text string
	switch {
	case tr.caught && l == Simulation:
		text = fmt.Sprintf("seed %d, %s", last.seed, span(tr.attempts))
	case tr.caught:
		text = tr.tests() + ", " + span(tr.attempts)
	case last.kind == broken:
		text = last.reason
	case l == Simulation:
		text = fmt.Sprintf("not in %d seeds", o.seeds)
	default:
		text = "not by " + testNames(tr.check.Package, strings.Fields(tr.check.Tests))
	}
	if len(tr.attempts) > 1 && !tr.caught {
		text += fmt.Sprintf(" in run %d", len(tr.attempts))
	}
	if tr == f.by {
		return "**caught:** " + text
	}
	return text
}

// tests names the tests that failed, without the parts of a table. A panic does
// not always tell whose it is: then it is one of all.
func (tr *trial) tests() string {
	var names []string
	for _, a := range tr.attempts {
		top, _, _ := strings.Cut(a.test, "/")
		if top == "" {
			names = strings.Fields(tr.check.Tests)
			break
		}
		if !slices.Contains(names, top) {
			names = append(names, top)
		}
	}
	return testNames(tr.check.Package, names)
}

// testNames writes tests as the pages in docs do.
func testNames(pkg string, names []string) string {
	var out []string
	for _, name := range names {
		out = append(out, fmt.Sprintf("`%s.%s`", path.Base(pkg), name))
	}
	return strings.Join(out, ", ")
}

func span(attempts []attempt) string {
	byTime := func(a, b attempt) int { return cmp.Compare(a.took, b.took) }
	from, to := seconds(slices.MinFunc(attempts, byTime).took), seconds(slices.MaxFunc(attempts, byTime).took)
	if from == to {
		return from + " s"
	}
	return from + " to " + to + " s"
}

func seconds(d time.Duration) string { return fmt.Sprintf("%.1f", max(d.Seconds(), 0.1)) }

type jsonAttempt struct {
	Outcome string  `json:"outcome"`
	Test    string  `json:"test,omitempty"`
	Reason  string  `json:"reason,omitempty"`
	Seed    uint64  `json:"seed"`
	Seconds float64 `json:"seconds"`
}

type jsonTrial struct {
	Layer  Layer         `json:"layer"`
	Tests  string        `json:"tests"`
	Caught bool          `json:"caught"`
	Runs   []jsonAttempt `json:"runs"`
}

type jsonFinding struct {
	Mutant string      `json:"mutant"`
	Breaks string      `json:"breaks"`
	Layer  Layer       `json:"caught_by,omitempty"` // absent: it survives
	Trials []jsonTrial `json:"trials"`
}

func writeJSON(w io.Writer, found []*finding) error {
	out := make([]jsonFinding, 0, len(found))
	for _, f := range found {
		j := jsonFinding{Mutant: f.mutant.Name, Breaks: f.mutant.Breaks, Trials: []jsonTrial{}}
		if f.by != nil {
			j.Layer = f.by.check.Layer
		}
		for _, tr := range f.trials {
			jt := jsonTrial{Layer: tr.check.Layer, Tests: tr.check.String(), Caught: tr.caught}
			for _, a := range tr.attempts {
				jt.Runs = append(jt.Runs, jsonAttempt{a.kind.String(), a.test, a.reason, a.seed, a.took.Seconds()})
			}
			j.Trials = append(j.Trials, jt)
		}
		out = append(out, j)
	}
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	return enc.Encode(out)
}
