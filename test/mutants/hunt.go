package main

import (
	"context"
	"fmt"
	"os"
	"slices"
)

// options are what the command line says.
type options struct {
	runs        int
	all         bool // layers behind the one that caught are tried too
	seed, seeds uint64
	layers      []Layer
}

// trial is what became of one check of a mutant.
type trial struct {
	Check
	Expected bool      `json:"expected"` // to catch it; otherwise it is tried to learn what it is worth
	Caught   bool      `json:"caught"`   // by every attempt
	Attempts []attempt `json:"attempts"` // up to the first that did not catch
}

// finding is what became of a mutant.
type finding struct {
	Mutant string  `json:"mutant"`
	Breaks string  `json:"breaks"`
	By     Layer   `json:"caught_by,omitempty"` // the first that caught it in every run; "": it survives
	Trials []trial `json:"trials"`
}

// caughtBy finds the first layer that was to catch the mutant, and did in all runs.
func (f *finding) caughtBy(runs int) Layer {
	for _, tr := range f.Trials {
		if tr.Expected && tr.Caught && len(tr.Attempts) == runs {
			return tr.Layer
		}
	}
	return ""
}

// hunter holds the unchanged tree, and what was found to pass there.
type hunter struct {
	w         *workshop
	o         options
	unchanged *tree
	good      map[string]bool
}

// hunt tries a mutant's checks until one catches it in every run. The simulation
// is tried beside that, and with o.all the other checks are: once each, to learn what
// these layers are worth.
func (h *hunter) hunt(ctx context.Context, m Mutant) (finding, error) {
	f := finding{Mutant: m.Name, Breaks: m.Breaks, Trials: []trial{}}
	t, err := h.w.newTree(&m)
	if err != nil {
		return f, err
	}
	defer os.RemoveAll(t.dir)
	for _, c := range m.tried() {
		if !slices.Contains(h.o.layers, c.Layer) || f.By != "" && c.Layer != Simulation && !h.o.all {
			continue
		}
		tr := trial{Check: c, Expected: slices.Contains(m.Checks, c)}
		runs := h.o.runs
		if f.By != "" || !tr.Expected {
			runs = 1
		}
		if err := h.try(ctx, t, &tr, runs); err != nil {
			return f, err
		}
		f.Trials = append(f.Trials, tr)
		if f.By == "" {
			f.By = f.caughtBy(h.o.runs)
		}
	}
	return f, nil
}

// try runs one check as often as it must catch, or until it does not.
func (h *hunter) try(ctx context.Context, t *tree, tr *trial, runs int) error {
	for i := range uint64(runs) {
		// Far enough apart that no two runs share a simulation; a scene, too, is
		// another with another seed.
		a, err := h.w.attempt(ctx, t, h.unchanged, tr.Check, h.o.seed+i*1_000_000, h.o.seeds)
		if err != nil {
			return err
		}
		if a.Kind == failed {
			if a.verdict, err = h.control(ctx, tr.Check, a); err != nil {
				return err
			}
		}
		tr.Attempts = append(tr.Attempts, a)
		h.w.say("%s: %s: run %d: %s in %.2f s: %s %s", t.name, tr.Layer, i+1, a.Kind, a.Seconds, a.Test, a.Reason)
		if a.Kind != failed {
			return nil
		}
	}
	tr.Caught = true
	return nil
}

// control runs what caught a mutant on the source as it is, where it must pass: what
// fails there too says nothing. It returns what the attempt is worth.
func (h *hunter) control(ctx context.Context, c Check, a attempt) (verdict, error) {
	key, count := c.String(), "-test.count=1"
	if c.Package == clusters {
		key = fmt.Sprint(key, a.Seed)
	}
	if c.Layer == Simulation {
		// One simulation is all that is needed, but its seed does not decide all
		// of it: one that fails now and then without a mutant shows nothing.
		count = "-test.count=20"
	}
	if h.good[key] {
		return a.verdict, nil
	}
	is, err := h.w.attempt(ctx, h.unchanged, h.unchanged, c, a.Seed, 1, count)
	if err != nil {
		return verdict{}, err
	}
	if is.Kind != passed {
		return verdict{broken, is.Test, fmt.Sprintf("without any mutant: %s %s", is.Kind, is.Reason)}, nil
	}
	h.good[key] = true
	return a.verdict, nil
}
