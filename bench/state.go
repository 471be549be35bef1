package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// state is what is measured of a store beside its work, in each round on a fresh
// one: what it takes to fill it, to keep it, to save it and to start it again.
type state struct {
	name  string
	shape shape
	short bool
	facts []fact // what it measures, without values
	run   func(ctx context.Context, r *runner, s store, to func(name string, value float64)) error
}

// The facts.
const (
	factFill     = "filled with keys, 100 a transaction"
	factResident = "resident once filled"
	factDisk     = "on disk once filled"
	factSnapshot = "a snapshot written"
	factBackup   = "a snapshot in a file elsewhere"
	factAlone    = "PUT p99, 64 clients"
	factMeantime = "PUT p99, 64 clients, while snapshots are written"
	factSlower   = "the second of these to the first"
	factRestart  = "killed and started again, to the first linearizable read"
	factAgain    = "resident after the restart"
	factCaughtUp = "a follower killed, 20,000 PUTs, started again: until it has them"
)

// missed is how many writes a follower has to catch up with, within catchUpLimit.
const (
	missed       = 20_000
	catchUpLimit = 30 * time.Second
)

// states are all there are.
func states() []state {
	life := func(keys int, short bool, most float64) state {
		return state{
			name: fmt.Sprintf("life/keys=%d", keys), shape: shape{1, keys, usual().ValueBytes}, short: short, run: measureLife,
			facts: []fact{
				{Name: factFill, Unit: unitPerSecond}, {Name: factResident, Unit: unitBytes, Most: most}, {Name: factDisk, Unit: unitBytes},
				{Name: factSnapshot, Unit: unitSeconds, Most: most}, {Name: factBackup, Unit: unitSeconds},
				{Name: factAlone, Unit: unitSeconds}, {Name: factMeantime, Unit: unitSeconds}, {Name: factSlower, Unit: unitTimes, Limit: 2},
				{Name: factRestart, Unit: unitSeconds, Most: most}, {Name: factAgain, Unit: unitBytes, Most: most},
			},
		}
	}
	u := usual()
	return []state{
		life(u.Keys, true, 0),
		{
			name: "catch-up", shape: u.shape(), short: true, run: measureCatchUp,
			facts: []fact{{Name: factCaughtUp, Unit: unitSeconds}},
		},
		life(1_000_000, false, 0.5),
	}
}

// note adds a remark to the report.
func (r *runner) note(format string, args ...any) {
	n := fmt.Sprintf(format, args...)
	r.report.Notes = append(r.report.Notes, n)
	r.line.print("%s", n)
}

// measureState measures a state and adds its facts to the report.
func (r *runner) measureState(ctx context.Context, st state) error {
	facts := slices.Clone(st.facts)
	for i := range facts {
		facts[i].State, facts[i].Values = st.name, map[string][]float64{}
	}
	for round := range r.opts.Rounds {
		for _, name := range []string{systemKvd, systemEtcd} {
			if !slices.Contains(r.opts.Systems, name) {
				continue
			}
			r.shape = shape{} // turn drops what else there is
			sys, err := r.turn(ctx, name, st.shape)
			if err == nil {
				err = st.run(ctx, r, sys.(store), func(what string, v float64) {
					i := slices.IndexFunc(facts, func(f fact) bool { return f.Name == what })
					facts[i].Values[name] = append(facts[i].Values[name], v)
				})
			}
			if err != nil {
				return fmt.Errorf("%s, %s, round %d: %w", st.name, name, round+1, err)
			}
			r.drop(name)
		}
	}
	r.report.Facts = append(r.report.Facts, facts...)
	return nil
}

// measureLife fills, saves, kills and starts a store of one member.
func measureLife(ctx context.Context, r *runner, s store, to func(string, float64)) error {
	to(factFill, float64(r.shape.keys)/r.filled.Seconds())
	resident, _, err := residentBytes(s.processes())
	if err != nil {
		return err
	}
	to(factResident, float64(resident))
	disk, err := diskBytes(r.dirs[s.name()])
	if err != nil {
		return err
	}
	to(factDisk, float64(disk))

	path := filepath.Join(r.dirs[s.name()], "copy")
	for _, f := range []struct {
		name string
		do   func(context.Context, string) error
	}{{factSnapshot, s.snapshot}, {factBackup, s.backup}} {
		// Without a change there would be nothing to write.
		if err := r.write(ctx, s, 1); err != nil {
			return err
		}
		r.line.say("%s, %d keys: %s", s.name(), r.shape.keys, f.name)
		begin := time.Now()
		if err := f.do(ctx, path); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
		to(f.name, time.Since(begin).Seconds())
	}
	if err := measureSaving(ctx, r, s, path, to); err != nil {
		return err
	}

	r.line.say("%s, %d keys: kill it and start it again", s.name(), r.shape.keys)
	kill(s)
	begin := time.Now()
	for _, p := range s.processes() {
		if err := p.Start(); err != nil {
			return err
		}
	}
	if err := until(ctx, startLimit, "the first read", func(ctx context.Context) error { return s.read(ctx, 0) }); err != nil {
		return err
	}
	to(factRestart, time.Since(begin).Seconds())
	if resident, _, err = residentBytes(s.processes()); err != nil {
		return err
	}
	to(factAgain, float64(resident))
	return nil
}

// measureSaving compares writes with and without snapshots being written.
func measureSaving(ctx context.Context, r *runner, s store, path string, to func(string, float64)) error {
	w := with(kindPut, 64, atLeader)
	w.Members, w.Keys = 1, r.shape.keys
	by := firstWay(s.name())
	alone, err := r.measure(ctx, s, by, w, 0)
	if err != nil {
		return err
	}
	saving, stop := context.WithCancel(ctx)
	defer stop()
	var failed error
	var wg sync.WaitGroup
	wg.Go(func() {
		for saving.Err() == nil && failed == nil {
			if err := s.snapshot(saving, path); err != nil && saving.Err() == nil {
				failed = err
			}
		}
	})
	meantime, err := r.measure(ctx, s, by, w, 1)
	stop()
	wg.Wait()
	if err := errors.Join(err, failed); err != nil {
		return err
	}
	to(factAlone, alone.Latency.P99/1e6)
	to(factMeantime, meantime.Latency.P99/1e6)
	to(factSlower, meantime.Latency.P99/alone.Latency.P99)
	return nil
}

// measureCatchUp kills a follower, writes, and starts it again.
func measureCatchUp(ctx context.Context, r *runner, s store, to func(string, float64)) error {
	follower := (s.leader() + 1) % len(s.processes())
	p := s.processes()[follower]
	p.Kill()
	r.line.say("%s: %d PUTs without a follower", s.name(), missed)
	if err := r.write(ctx, s, missed); err != nil {
		return err
	}
	goal, err := s.applied(ctx, s.leader())
	if err != nil {
		return err
	}
	r.line.say("%s: the follower catches up", s.name())
	begin := time.Now()
	if err := p.Start(); err != nil {
		return err
	}
	err = until(ctx, catchUpLimit, "the follower", func(ctx context.Context) error {
		have, err := s.applied(ctx, follower)
		if err == nil && have < goal {
			err = fmt.Errorf("it has applied %d of %d", have, goal)
		}
		return err
	})
	if errors.Is(err, errTooSlow) {
		// It is a result, and no reason to end: members of etcd have been seen
		// to hang after a snapshot they were sent.
		r.note("%s: %v; counted as that", s.name(), err)
		err = nil
	}
	to(factCaughtUp, time.Since(begin).Seconds())
	return err
}

// diskBytes is what the files below dir take.
func diskBytes(dir string) (int64, error) {
	var total int64
	err := filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if errors.Is(err, os.ErrNotExist) {
			return nil // it was removed meanwhile
		}
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			total += info.Size()
		} else if errors.Is(err, os.ErrNotExist) {
			err = nil
		}
		return err
	})
	return total, err
}
