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
	check    Check
	attempts []attempt // up to the first that did not catch
	caught   bool      // by every attempt
}

// finding is what became of a mutant.
type finding struct {
	mutant Mutant
	trials []trial
	by     *trial // the first that caught it in every run; nil: it survives
}

// hunter holds the unchanged tree, and what was found to pass there.
type hunter struct {
	w         *workshop
	o         options
	unchanged *tree
	good      map[string]bool
}

// hunt tries a mutant's checks until one catches it in every run. The simulation
// is tried in any case, and with o.all the other checks are: once each, to learn
// what these layers are worth.
func (h *hunter) hunt(ctx context.Context, m Mutant) (*finding, error) {
	t, err := h.w.newTree(&m)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(t.dir)
	f := &finding{mutant: m}
	by := -1
	for _, c := range withSimulation(m.Checks) {
		expected := slices.Contains(m.Checks, c)
		if !slices.Contains(h.o.layers, c.Layer) || by >= 0 && c.Layer != Simulation && !h.o.all {
			continue
		}
		runs := h.o.runs
		if by >= 0 || !expected {
			runs = 1
		}
		tr, err := h.try(ctx, t, c, runs)
		if err != nil {
			return nil, err
		}
		f.trials = append(f.trials, tr)
		if by < 0 && expected && tr.caught {
			by = len(f.trials) - 1
		}
	}
	if by >= 0 {
		f.by = &f.trials[by]
	}
	return f, nil
}

// withSimulation returns checks with the simulation in its place among them.
func withSimulation(checks []Check) []Check {
	if slices.Contains(checks, simulation()) {
		return checks
	}
	i := slices.IndexFunc(checks, func(c Check) bool { return c.Layer == Binary })
	if i < 0 {
		i = len(checks)
	}
	return slices.Insert(slices.Clone(checks), i, simulation())
}

// try runs one check as often as it must catch, or until it does not.
func (h *hunter) try(ctx context.Context, t *tree, c Check, runs int) (trial, error) {
	tr := trial{check: c}
	for i := range uint64(runs) {
		// Far enough apart that no two runs share a simulation.
		a, err := h.w.attempt(ctx, t, h.unchanged, c, h.o.seed+i*1_000_000, h.o.seeds)
		if err != nil {
			return tr, err
		}
		tr.attempts = append(tr.attempts, a)
		h.w.say("%s: %s: run %d: %s in %.2f s: %s %s", t.name, c.Layer, i+1, a.kind, a.took.Seconds(), a.test, a.reason)
		if a.kind != failed {
			return tr, nil
		}
		if err := h.control(ctx, c, a); err != nil {
			return tr, err
		}
	}
	tr.caught = true
	return tr, nil
}

// control runs what caught a mutant on the source as it is, where it must pass.
func (h *hunter) control(ctx context.Context, c Check, a attempt) error {
	key, count := c.String(), "-test.count=1"
	if c.Layer == Simulation {
		// One simulation is all that is needed, but its seed does not decide all
		// of it: one that fails now and then without a mutant shows nothing.
		key, count = fmt.Sprint(key, a.seed), "-test.count=20"
	}
	if h.good[key] {
		return nil
	}
	is, err := h.w.attempt(ctx, h.unchanged, h.unchanged, c, a.seed, 1, count)
	if err != nil {
		return err
	}
	if is.kind != passed {
		return fmt.Errorf("%v, seed %d, %s without any mutant: %s %s", c, a.seed, is.kind, is.test, is.reason)
	}
	h.good[key] = true
	return nil
}

func (o outcome) String() string { return [...]string{"passed", "failed", "said nothing"}[o] }
