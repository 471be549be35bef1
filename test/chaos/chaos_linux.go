package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kvd/test/chaos/cluster"
	"kvd/test/chaos/fault"
	"kvd/test/chaos/history"
	"kvd/test/chaos/load"
	"kvd/test/chaos/report"
)

// session is one run.
type session struct {
	options
	out   io.Writer
	began time.Time

	c      *cluster.Cluster
	h      *history.Writer
	l      *load.Load
	report *report.Report
	broken []string // promises of members that did not hold
}

// chaos is the command that runs. Whatever happens, it leaves nothing behind but
// the report.
func chaos(ctx context.Context, args []string, stdout, stderr io.Writer) (verdict report.Verdict, err error) {
	o, err := parseOptions(args, stderr)
	if err != nil {
		return "", err
	}
	if err := cluster.Sweep(); err != nil {
		return "", fmt.Errorf("remove what an earlier run left behind: %w", err)
	}
	s := &session{options: o, out: stdout, began: time.Now()}
	s.say("seed %d, report in %s", o.seed, o.report)
	if err := s.build(ctx); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.tidy(verdict)) }()
	kinds, err := s.open()
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.c.Close()) }()
	if len(kinds) == 0 {
		s.report.Reasons = []string{"no kind of fault can be had here"}
		s.report.Judge(*s.want)
	} else if err := s.play(ctx, kinds); err != nil {
		return "", err
	} else if err := s.judge(ctx); err != nil {
		return "", err
	}
	if err := s.report.Write(o.report); err != nil {
		return "", err
	}
	fmt.Fprint(stdout, s.report.Markdown())
	return s.report.Verdict, nil
}

// say tells whoever watches the run.
func (s *session) say(format string, args ...any) {
	fmt.Fprintf(s.out, "%6.1f s  %s\n", time.Since(s.began).Seconds(), fmt.Sprintf(format, args...))
}

// path is a file in the report's directory.
func (s *session) path(name string) string { return filepath.Join(s.options.report, name) }

// build makes the binary, unless there is one.
func (s *session) build(ctx context.Context) error {
	s.report = &report.Report{Runs: 1, Seeds: []uint64{s.seed}, Commit: commit(), Began: s.began.UTC().Format(time.RFC3339),
		Machine: machine(), Members: s.members}
	if err := os.Mkdir(s.path("logs"), 0o755); err != nil {
		return err
	}
	if s.binary != "" {
		var err error
		s.binary, err = filepath.Abs(s.binary)
		return err
	}
	s.binary = s.path("kvd")
	s.say("build kvd")
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return cluster.Run("go", "build", "-trimpath", "-o", s.binary, "./cmd/kvd")
}

// open makes the places, and finds out which faults can be had.
func (s *session) open() ([]fault.Kind, error) {
	cfg := cluster.Config{Binary: s.binary, Members: s.members, Spare: 2, Logs: s.path("logs"), Isolated: true, Disks: true, Flags: []string{
		// Restarts begin from snapshots, newcomers get them; and all of the history
		// stays, for the checks to read.
		"--snapshot-entries", "4000", "--history-revisions", "100000000", "--history-age", "24h", "--history-bytes", "2GiB",
		"--verify-interval", "10s",
	}}
	if err := fault.CanIsolate(); err != nil {
		cfg.Isolated = false
		s.warn("no member has a network of its own: %v", err)
	}
	if err := fault.CanMount(); err != nil {
		cfg.Disks = false
		s.warn("no member has a file system of its own: %v", err)
	} else {
		cfg.Flags = append(cfg.Flags, "--disk-reserve-bytes", fmt.Sprint(cluster.Reserve))
	}
	c, err := cluster.New(cfg)
	if err != nil {
		return nil, err
	}
	s.c = c
	kinds, skipped := fault.Able(c, s.kinds)
	for _, kind := range slices.Sorted(maps.Keys(skipped)) {
		s.warn("%s: %s", kind, skipped[kind])
	}
	s.report.Skipped = skipped
	return kinds, nil
}

func (s *session) warn(format string, args ...any) {
	s.say("SKIPPED: %s", strings.Join(strings.Fields(fmt.Sprintf(format, args...)), " "))
}

// tidy deletes what only somebody wants to see who looks for the cause of
// something.
func (s *session) tidy(verdict report.Verdict) error {
	var err error
	if s.binary == s.path("kvd") {
		err = os.Remove(s.binary)
	}
	if s.keep || verdict != report.Passed {
		return err
	}
	for _, name := range []string{"logs", "dumps", "history.jsonl"} {
		err = errors.Join(err, os.RemoveAll(s.path(name)))
	}
	return err
}
