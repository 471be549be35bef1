package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
)

// report is what a run has found, or several.
type report struct {
	Runs    int              `json:"runs"`              // in which a layer must catch a mutant
	Seeds   uint64           `json:"seeds"`             // of the simulation, at most
	Lacking map[Layer]string `json:"lacking,omitempty"` // layers that were not run, and what they need
	Mutants []finding        `json:"mutants"`
}

// markdown is a table with one row a mutant and one column a layer, and below it
// who survives.
func (r *report) markdown() string {
	var b strings.Builder
	b.WriteString("| Mutant | What it breaks |")
	for _, l := range layers {
		fmt.Fprintf(&b, " %s |", l)
	}
	b.WriteString("\n|---|---|" + strings.Repeat("---|", len(layers)) + "\n")
	for _, f := range r.Mutants {
		fmt.Fprintf(&b, "| `%s` | %s |", f.Mutant, f.Breaks)
		for _, l := range layers {
			fmt.Fprintf(&b, " %s |", f.cell(l, r.Seeds))
		}
		b.WriteString("\n")
	}
	survivors := r.survivors()
	fmt.Fprintf(&b, "\n%d of %d mutants were caught, each in %d of %d runs.\n", len(r.Mutants)-len(survivors), len(r.Mutants), r.Runs, r.Runs)
	for _, name := range survivors {
		fmt.Fprintf(&b, "\n`%s` SURVIVES.\n", name)
	}
	for _, l := range layers {
		if lacks := r.Lacking[l]; lacks != "" {
			fmt.Fprintf(&b, "\nNOT RUN: %s, which needs %s.\n", l, lacks)
		}
	}
	return b.String()
}

// survivors are the mutants that no layer caught in every run.
func (r *report) survivors() (names []string) {
	for _, f := range r.Mutants {
		if f.By == "" {
			names = append(names, f.Mutant)
		}
	}
	return names
}

// cell says what a layer made of the mutant.
func (f *finding) cell(l Layer, seeds uint64) string {
	i := slices.IndexFunc(f.Trials, func(tr trial) bool { return tr.Layer == l })
	if i < 0 {
		return "-"
	}
	tr := &f.Trials[i]
	last := tr.Attempts[len(tr.Attempts)-1]
	var text string
	switch {
	case tr.Caught && l == Simulation:
		text = fmt.Sprintf("seed %d, %s", last.Seed, span(tr.Attempts))
	case tr.Caught:
		text = tr.tests() + ", " + span(tr.Attempts)
	case last.Kind == broken:
		text = strings.ReplaceAll(last.Reason, "|", `\|`)
	case l == Simulation:
		text = fmt.Sprintf("not in %d seeds", seeds)
	default:
		text = "not by " + tr.names(strings.Fields(tr.Tests))
	}
	if len(tr.Attempts) > 1 && !tr.Caught {
		text += fmt.Sprintf(" in run %d", len(tr.Attempts))
	}
	if l == f.By {
		return "**caught:** " + text
	}
	return text
}

// tests names the tests that failed, without the parts of a table. A panic does
// not always tell whose it is: then it is one of all.
func (tr *trial) tests() string {
	var names []string
	for _, a := range tr.Attempts {
		top, _, _ := strings.Cut(a.Test, "/")
		if top == "" {
			names = strings.Fields(tr.Tests)
			break
		}
		if !slices.Contains(names, top) {
			names = append(names, top)
		}
	}
	return tr.names(names)
}

// names writes tests as the pages in docs do, and of a program its flags.
func (tr *trial) names(tests []string) string {
	if tr.Layer.isProgram() {
		return "`" + tr.Tests + "`"
	}
	var out []string
	for _, name := range tests {
		out = append(out, fmt.Sprintf("`%s.%s`", path.Base(tr.Package), name))
	}
	return strings.Join(out, ", ")
}

func span(attempts []attempt) string {
	from, to := attempts[0].Seconds, attempts[0].Seconds
	for _, a := range attempts {
		from, to = min(from, a.Seconds), max(to, a.Seconds)
	}
	if a, b := seconds(from), seconds(to); a != b {
		return a + " to " + b + " s"
	}
	return seconds(to) + " s"
}

func seconds(s float64) string { return fmt.Sprintf("%.1f", max(s, 0.1)) }

func (r *report) save(file string) error {
	b, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(file, append(b, '\n'), 0o644)
}
