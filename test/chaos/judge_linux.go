package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"kvd/test/chaos/cluster"
	"kvd/test/chaos/history"
	"kvd/test/chaos/report"
)

// judge compares the members, stops them, reads their logs, and lets a child
// process check it all.
func (s *session) judge(ctx context.Context) error {
	s.say("the load is over: compare and stop the members")
	if err := s.c.WaitWhole(ctx, patience); err != nil {
		s.broken = append(s.broken, fmt.Sprintf("at the end the cluster is not whole: %v", err))
	} else {
		s.speak(ctx)
		if err := s.hashes(ctx); err != nil {
			return err
		}
	}
	if err := s.stop(ctx); err != nil {
		return err
	}
	dumps, err := s.dump(ctx)
	if err != nil {
		return err
	}
	if err := s.h.Close(); err != nil {
		return err
	}
	surprises, n := s.l.Tally().Surprises()
	s.report.Checks = append(s.report.Checks,
		report.Check{Name: "answers", Judged: s.report.Total(""), Count: n, Violations: surprises},
		report.Check{Name: "members", Judged: len(s.report.Faults), Count: len(s.broken), Violations: s.broken})
	s.say("check")
	checks, err := examine(ctx, s.path("history.jsonl"), dumps)
	if err != nil {
		return err
	}
	s.report.Checks = append(s.report.Checks, checks...)
	s.report.Judge(*s.want)
	return nil
}

// speak shows that the streams of every member speak.
func (s *session) speak(ctx context.Context) {
	streams, silent := s.l.Speak(ctx, 5*time.Second) // of its own a member says something every 15 s
	s.report.Checks = append(s.report.Checks, report.Check{Name: "live watches", Judged: streams, Count: len(silent), Violations: silent})
	s.report.Operations = s.l.Tally().Counts()
}

// hashes lets the members compare their states. One that has only just come may miss
// a comparison that was under way: then there is another.
func (s *session) hashes(ctx context.Context) error {
	v, err := s.c.Verify(ctx)
	for end := time.Now().Add(patience); err == nil && len(v.Missing) > 0 && time.Now().Before(end); {
		v, err = s.c.Verify(ctx)
	}
	if err != nil {
		s.broken = append(s.broken, fmt.Sprintf("at the end the members do not compare their states: %v", err))
		return ctx.Err()
	}
	x := &history.Hashes{At: s.h.Now(), Final: true, Index: v.Index, Hashes: v.Hashes, Missing: v.Missing, Diverged: v.Diverged}
	for _, m := range s.c.Members() {
		x.Members = append(x.Members, m.ID())
	}
	return s.h.Add(history.Record{Hashes: x})
}

// stop ends all members.
func (s *session) stop(ctx context.Context) error {
	for _, m := range s.c.Members() {
		if p := m.Process(); p != nil {
			p.Signal(syscall.SIGTERM)
		}
	}
	for _, m := range s.c.Members() {
		code, signal, err := m.Process().Exit(ctx, 30*time.Second)
		if err != nil || code != 0 {
			s.broken = append(s.broken, fmt.Sprintf("%s at the end: exit code %d (%v, %v), want 0", m.Name(), code, signal, err))
		}
		if err := m.Kill(ctx); err != nil {
			return err
		}
	}
	return nil
}

// dump prints what the logs of all members hold, also of those that were removed.
func (s *session) dump(ctx context.Context) (files []string, err error) {
	if err := os.Mkdir(s.path("dumps"), 0o755); err != nil {
		return nil, err
	}
	dirs, err := s.c.DataDirs()
	if err != nil {
		return nil, err
	}
	for i, dir := range dirs {
		file := filepath.Join(s.path("dumps"), fmt.Sprintf("%02d.jsonl", i))
		p, err := cluster.StartProcess("dump", file, s.binary, "debug", "dump-log", "--json", dir)
		if err != nil {
			return nil, err
		}
		code, _, err := p.Exit(ctx, 5*time.Minute)
		if err != nil {
			p.Signal(syscall.SIGKILL)
			return nil, fmt.Errorf("kvd debug dump-log of %s: %w; see %s", dir, err, file)
		}
		if code != 0 {
			s.broken = append(s.broken, fmt.Sprintf("kvd debug dump-log of %s: exit code %d; see %s", dir, code, file))
			continue
		}
		files = append(files, file)
	}
	return files, nil
}
