package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"kvd/test/chaos/cluster"
	"kvd/test/chaos/fault"
	"kvd/test/chaos/history"
	"kvd/test/chaos/load"
	"kvd/test/chaos/report"
)

// patience is how long the cluster has to be whole again after a healing.
const patience = 90 * time.Second

// errNotWhole ends a run early: nothing that came after it would say more.
var errNotWhole = errors.New("the cluster is not whole")

// play founds the cluster and hurts it until the time is over, under load all the
// while. At the end the cluster is whole and nobody asks anything of it.
func (s *session) play(ctx context.Context, kinds []fault.Kind) (err error) {
	s.say("found a cluster of %d", s.members)
	if err := s.c.Found(ctx); err != nil {
		return err
	}
	if s.h, err = history.Create(s.path("history.jsonl")); err != nil {
		return err
	}
	zero := time.Now()
	_ = s.h.Add(history.Record{Run: &history.Run{Seed: s.seed, Commit: s.report.Commit, Began: s.report.Began}})
	s.l = load.New(load.Config{Endpoints: s.endpoints, Dial: s.c.Dial, History: s.h, Seed: s.seed, Registers: s.registers, Others: s.others})

	working, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { s.l.Run(working) })
	var kept error
	wg.Go(func() { kept = s.c.Keep(working) })
	n := fault.NewNemesis(s.c, s.seed, kinds)
	for round := 0; time.Since(zero) < s.duration && err == nil; round++ {
		err = s.round(ctx, n, round, zero)
	}
	if errors.Is(err, errNotWhole) {
		err = nil // what there is will be judged
	}
	stop()
	wg.Wait()
	err = errors.Join(err, kept)
	s.report.Seconds = time.Since(zero).Seconds()
	s.report.Operations, s.report.Events = s.l.Tally().Counts(), s.l.Tally().Events()
	if err != nil {
		return err
	}
	return ctx.Err()
}

// endpoints are the members as clients see them.
func (s *session) endpoints() (all []load.Endpoint) {
	for _, m := range s.c.Members() {
		all = append(all, load.Endpoint{Name: m.Name(), URL: m.URL()})
	}
	return all
}

// round waits until all is well, and hurts the cluster once.
func (s *session) round(ctx context.Context, n *fault.Nemesis, round int, zero time.Time) error {
	rate, err := s.good(ctx)
	if err != nil {
		return err
	}
	type recovery struct {
		took time.Duration
		err  error
	}
	recovered := make(chan recovery, 1)
	n.Healed = func() {
		healed := time.Now()
		go func() { // ends by its limit; it is waited for below
			took, err := s.l.Recovery(ctx, healed, patience)
			recovered <- recovery{took, err}
		}()
	}
	wounds, err := n.Round(ctx)
	r := <-recovered
	if err != nil {
		return err
	}
	var ms *float64
	if r.err == nil {
		ms = new(float64(r.took.Microseconds()) / 1000)
	} else if ctx.Err() == nil {
		s.broken = append(s.broken, fmt.Sprintf("after round %d: %v", round, r.err))
	}
	for _, w := range wounds {
		s.note(w, round, rate, ms, zero)
	}
	return nil
}

// good waits until the cluster is whole and answers its clients, and returns how
// many operations a second. A cluster that is not whole in time has broken a
// promise; one that is slow makes the run one that does not count.
func (s *session) good(ctx context.Context) (int, error) {
	if err := s.c.WaitWhole(ctx, patience); err != nil {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		s.broken = append(s.broken, fmt.Sprintf("the cluster is not whole %v after all faults were healed: %v", patience, err))
		return 0, errNotWhole
	}
	rate := 0
	_ = cluster.Poll(ctx, 15*time.Second, func() error {
		if rate = s.l.Tally().Rate(); rate < report.MinRate {
			return fmt.Errorf("%d operations/s", rate)
		}
		return nil
	})
	return rate, ctx.Err()
}

// note writes a fault down.
func (s *session) note(w *fault.Wound, round, rate int, recovery *float64, zero time.Time) {
	f := report.Fault{
		Round: round, Kind: w.Kind, Detail: w.Detail, Members: w.Members, At: w.Began.Sub(zero).Seconds(), Lasted: w.Healed.Sub(w.Began).Seconds(),
		Shown: w.Shown(), Proof: w.Proof, Unshown: w.Unshown, Broken: w.Broken, Changes: w.Changes, Before: rate, Recovery: recovery,
	}
	s.report.Faults = append(s.report.Faults, f)
	s.broken = append(s.broken, w.Broken...)
	proof := fmt.Sprint(w.Proof)
	_ = s.h.Fault(&history.Fault{ID: len(s.report.Faults), Kind: w.Kind, Members: w.Members, Start: s.h.At(w.Began), End: s.h.At(w.Healed), Proof: proof})
	took := "no recovery"
	if recovery != nil {
		took = fmt.Sprintf("first good write after %.0f ms", *recovery)
	}
	shown := "shown"
	if !w.Shown() {
		shown = fmt.Sprintf("NOT SHOWN %q", w.Unshown)
	}
	s.say("%3d. %v: %s, %.1f s, %s (%d/s before)", round, w, shown, f.Lasted, took, rate)
	for _, b := range w.Broken {
		s.say("     BROKEN: %s", b)
	}
}
