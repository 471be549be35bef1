package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"kvd/internal/load"
)

// runner takes scenarios through all their ways, round by round, and fills a
// report. One goroutine uses it.
type runner struct {
	// Set by newRunner.
	opts   options
	dir    string // for everything that the systems keep
	line   *progressLine
	report *report

	// The systems that were started, by name; all hold what shape says.
	systems map[string]system
	dirs    map[string]string // where they keep their data
	shape   shape
	filled  time.Duration // how long it took to fill the last
	started int           // systems, for names of directories
	running string        // the system that is not paused; "": none
}

// shape is what all systems have in common at a time.
type shape struct{ members, keys, valueBytes int }

func (w work) shape() shape { return shape{w.Members, w.Keys, w.ValueBytes} }

func newRunner(o options, dir string, line *progressLine, r *report) *runner {
	return &runner{opts: o, dir: dir, line: line, report: r, systems: map[string]system{}, dirs: map[string]string{}}
}

// close ends all processes and removes what they kept.
func (r *runner) close() {
	for name := range r.systems {
		r.drop(name)
	}
}

func (r *runner) drop(name string) {
	kill(r.systems[name])
	_ = os.RemoveAll(r.dirs[name]) // whoever called run removes what is left
	delete(r.systems, name)
	if r.running == name {
		r.running = ""
	}
}

// run measures one scenario and adds it to the report.
func (r *runner) run(ctx context.Context, s scenario) error {
	res := result{Name: s.name(), work: s.work, Goals: s.goals}
	list := r.chosen(s.ways)
	for _, w := range list {
		res.Series = append(res.Series, series{Way: w.name, System: w.system})
	}
	for round := range r.opts.Rounds {
		for i, w := range list {
			sys, err := r.turn(ctx, w.system, s.shape())
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name(), w.name, err)
			}
			smp, err := r.measure(ctx, sys, w, s.work, round)
			if err != nil {
				return fmt.Errorf("%s, %s: %w", s.name(), w.name, err)
			}
			smp.Round = round + 1
			res.Series[i].Samples = append(res.Series[i].Samples, *smp)
		}
	}
	r.report.Results = append(r.report.Results, res)
	return nil
}

// chosen are the ways of a scenario whose system takes part.
func (r *runner) chosen(names []string) []way {
	return slices.DeleteFunc(ways(), func(w way) bool {
		return !slices.Contains(names, w.name) || !slices.Contains(r.opts.Systems, w.system)
	})
}

// turn returns a system that serves, alone, with the shape asked for.
func (r *runner) turn(ctx context.Context, name string, sh shape) (system, error) {
	if sh != r.shape {
		for name := range r.systems {
			if name != systemBare { // it has no shape
				r.drop(name)
			}
		}
		r.shape = sh
	}
	if r.running != name {
		if r.running != "" {
			pause(r.systems[r.running])
			r.running = ""
		}
		if sys := r.systems[name]; sys != nil {
			r.line.say("%s runs again", name)
			if err := resume(ctx, sys); err != nil {
				return nil, err
			}
		}
	}
	if r.systems[name] == nil {
		if err := r.start(ctx, name); err != nil {
			return nil, err
		}
	}
	r.running = name
	return r.systems[name], nil
}

// start starts a system and fills it.
func (r *runner) start(ctx context.Context, name string) error {
	sys := r.newSystem(name)
	r.systems[name] = sys // so that it is killed whatever happens
	r.started++
	dir := filepath.Join(r.dir, fmt.Sprintf("%d-%s", r.started, name))
	r.dirs[name] = dir
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	r.line.say("start %s, %d members", name, r.shape.members)
	if err := sys.start(ctx, dir, r.shape.members); err != nil {
		return err
	}
	if name == systemBare {
		return nil
	}
	r.line.say("fill %s with %d keys", name, r.shape.keys)
	res, err := fill(ctx, sys, r.shape.keys, value(r.shape.valueBytes))
	if err != nil {
		return err
	}
	if res.Failed > 0 {
		return fmt.Errorf("fill %s: %s", name, res.Complaint())
	}
	r.filled = res.Elapsed
	return nil
}

func (r *runner) newSystem(name string) system {
	switch name {
	case systemKvd:
		return &kvdSystem{binary: r.opts.Kvd}
	case systemEtcd:
		return &etcdSystem{}
	}
	return &bareSystem{}
}

// firstWay is the way of a system that its ratios are made of.
func firstWay(system string) way {
	return ways()[slices.IndexFunc(ways(), func(w way) bool { return w.system == system })]
}

// write does so many PUTs from 64 clients at the leader.
func (r *runner) write(ctx context.Context, sys system, puts int) error {
	const clients = 64
	p, err := firstWay(sys.name()).dial(sys.endpoints()[sys.leader():sys.leader()+1], clients, value(r.shape.valueBytes))
	if err != nil {
		return err
	}
	res, err := load.Run(ctx, load.Config{Workers: clients, Classes: classNames(), Count: int64(puts)}, func(ctx context.Context, n int) (load.Worker, error) {
		s, err := p.session(ctx, n)
		if err != nil {
			return nil, err
		}
		return newWorker(s, kindPut, newChooser(r.opts.Seed, n, r.shape.keys))
	})
	if err == nil && res.Failed > 0 {
		err = errors.New(res.Complaint())
	}
	return errors.Join(err, p.Close())
}

// measure runs the loop once, on new connections.
func (r *runner) measure(ctx context.Context, sys system, w way, wk work, round int) (*sample, error) {
	endpoints := sys.endpoints()
	if wk.Target == atLeader {
		endpoints = endpoints[sys.leader() : sys.leader()+1]
	}
	if wk.Kind == kindWatch {
		return r.measureWatch(ctx, sys, w, wk, round)
	}
	stop, err := r.idleWatchers(ctx, sys, w, wk)
	if err != nil {
		return nil, err
	}
	defer stop()
	p, err := w.dial(endpoints, wk.Clients, value(wk.ValueBytes))
	if err != nil {
		return nil, err
	}
	m := newMeter(sys)
	res, err := load.Run(ctx, load.Config{
		Workers: wk.Clients, Classes: classNames(), WarmUp: r.opts.WarmUp, Duration: r.opts.Duration,
		Began: m.begin, Ended: m.end, Every: 500 * time.Millisecond,
		Progress: func(p load.Progress) {
			r.line.say("%s, %s, round %d: %.0f/s, p99 %v", wk.name(), w.name, round+1, p.PerSecond(), p.Latency.Quantile(0.99))
		},
	}, func(ctx context.Context, n int) (load.Worker, error) {
		s, err := p.session(ctx, n)
		if err != nil {
			return nil, err
		}
		// Each round draws other keys, and all ways the same.
		return newWorker(s, wk.Kind, newChooser(r.opts.Seed+uint64(round), n, wk.Keys))
	})
	if err := errors.Join(err, p.Close(), m.err); err != nil {
		return nil, err
	}
	if res.Operations() == 0 {
		return nil, fmt.Errorf("nothing was done: %s", res.Complaint())
	}
	if res.Failed > 0 {
		r.line.print("%s, %s, round %d: %s", wk.name(), w.name, round+1, res.Complaint())
	}
	return newSample(res, m), nil
}

// idleWatchers opens the watches that the work asks for, of keys that nobody
// writes, spread over all members. The function that it returns ends them.
func (r *runner) idleWatchers(ctx context.Context, sys system, w way, wk work) (stop func(), err error) {
	if wk.Watchers == 0 {
		return func() {}, nil
	}
	ctx, cancel := context.WithCancel(ctx)
	watching, err := newWatcher(w, sys.endpoints(), wk.Watchers)
	if err != nil {
		cancel()
		return nil, err
	}
	r.line.say("%s, %s: open the watches", wk.name(), w.name)
	list, err := openWatches(ctx, watching, wk.Watchers, func(i int) string { return "idle/" + key(i) })
	stop = func() {
		closeAll(list)
		cancel()
		_ = watching.Close()
	}
	if err != nil {
		stop()
		return nil, err
	}
	return stop, nil
}

// meter reads what servers and client have used while the loop counts.
type meter struct {
	of             []process
	server, client time.Duration
	now, most      int64 // bytes
	err            error
}

func newMeter(s system) *meter { return &meter{of: s.processes()} }

func (m *meter) begin() { m.read(-1) }

func (m *meter) end() {
	m.read(1)
	var err error
	m.now, m.most, err = residentBytes(m.of)
	m.err = errors.Join(m.err, err)
}

func (m *meter) read(sign time.Duration) {
	server, err1 := cpuTime(m.of)
	client, err2 := ownCPUTime()
	m.server += sign * server
	m.client += sign * client
	m.err = errors.Join(m.err, err1, err2)
}

func newSample(res *load.Result, m *meter) *sample {
	n := float64(res.Operations())
	s := &sample{
		Seconds: res.Elapsed.Seconds(), Ops: res.Operations(), PerSecond: res.PerSecond(), Failed: res.Failed, Errors: res.Errors,
		Latency: newLatency(&res.Latency), Resident: m.now, Peak: m.most,
		ServerCPU: float64(m.server.Microseconds()) / n, ClientCPU: float64(m.client.Microseconds()) / n,
	}
	if reads, writes := &res.Classes[classRead].Latency, &res.Classes[classWrite].Latency; reads.Count() > 0 && writes.Count() > 0 {
		s.Reads, s.Writes = new(newLatency(reads)), new(newLatency(writes))
	}
	return s
}

func newLatency(l *load.Latency) latency {
	us := func(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
	return latency{us(l.Quantile(0.5)), us(l.Quantile(0.99)), us(l.Quantile(0.999)), us(l.Max())}
}
