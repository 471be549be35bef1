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
	seed, seeds uint64
	layers      []Layer
}

// finding is what became of a mutant.
type finding struct {
	mutant   Mutant
	by       *Check    // the first that caught it in every run; nil: it survives
	attempts []attempt // of by or, if it survives, of the last check
	missed   []string  // checks that did not catch it in every run, and why
	sim      *attempt  // of the simulation beside that; nil: not run
}

// hunter holds the unchanged tree, and what was found to pass there.
type hunter struct {
	w         *workshop
	o         options
	unchanged *tree
	good      map[string]bool
}

// hunt tries a mutant's checks until one catches it in every run, and then the
// simulation.
func (h *hunter) hunt(ctx context.Context, m Mutant) (*finding, error) {
	t, err := h.w.newTree(&m)
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(t.dir)
	f := &finding{mutant: m}
	for _, c := range m.Checks {
		if !slices.Contains(h.o.layers, c.Layer) {
			continue
		}
		caught, err := h.try(ctx, f, t, c)
		if err != nil {
			return nil, err
		}
		if caught {
			f.by = &c
			break
		}
	}
	if !slices.Contains(h.o.layers, Simulation) || f.by != nil && f.by.Layer == Simulation {
		return f, nil
	}
	a, err := h.w.attempt(ctx, t, h.unchanged, simulation(), h.o.seed, h.o.seeds)
	if err != nil {
		return nil, err
	}
	if a.kind == failed {
		if err := h.control(ctx, simulation(), a); err != nil {
			return nil, err
		}
	}
	f.sim = &a
	return f, nil
}

// try runs one check as often as it must catch.
func (h *hunter) try(ctx context.Context, f *finding, t *tree, c Check) (bool, error) {
	f.attempts = nil
	for i := range uint64(h.o.runs) {
		// Far enough apart that no two runs share a simulation.
		a, err := h.w.attempt(ctx, t, h.unchanged, c, h.o.seed+i*1_000_000, h.o.seeds)
		if err != nil {
			return false, err
		}
		f.attempts = append(f.attempts, a)
		h.w.say("%s: %s: run %d: %s in %.2f s: %s %s", t.name, c.Layer, i+1, a.kind, a.took.Seconds(), a.test, a.reason)
		if a.kind != failed {
			f.missed = append(f.missed, fmt.Sprintf("%s (%v): run %d of %d %s %s", c.Layer, c, i+1, h.o.runs, a.kind, a.reason))
			return false, nil
		}
		if err := h.control(ctx, c, a); err != nil {
			return false, err
		}
	}
	return true, nil
}

// control runs what caught a mutant on the source as it is, where it must pass.
func (h *hunter) control(ctx context.Context, c Check, a attempt) error {
	key := c.String()
	if c.Layer == Simulation {
		key = fmt.Sprint(key, a.seed) // one simulation is all that is needed
	}
	if h.good[key] {
		return nil
	}
	is, err := h.w.attempt(ctx, h.unchanged, h.unchanged, c, a.seed, 1)
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
