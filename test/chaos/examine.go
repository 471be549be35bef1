package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"kvd/test/chaos/check"
	"kvd/test/chaos/history"
	"kvd/test/chaos/report"
)

// foreign is what the run itself writes, beside the load: a put that shows that a disk
// is full.
var foreign = []string{"disk-probe"}

// examine runs all checks of a history against the dumps of the members' logs.
func examine(ctx context.Context, file string, dumps []string) ([]report.Check, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	results := []check.Result{check.Child{Argv: []string{self, "linearize"}}.Run(ctx, file)}
	h, err := history.Read(file)
	if err != nil {
		return nil, err
	}
	log, merged, err := check.Merge(dumps...)
	if err != nil {
		return nil, err
	}
	results = append(results, merged, check.Verdicts(log, false))
	results = append(results, check.All(h, check.NewReplay(log), check.Options{Foreign: foreign})...)
	var all []report.Check
	for _, r := range results {
		c := report.Check{Name: r.Check, Judged: r.Judged, Skipped: r.Skipped, Count: r.Count}
		for _, v := range r.Violations {
			c.Violations = append(c.Violations, v.String())
		}
		all = append(all, c)
	}
	return all, ctx.Err()
}

// recheck runs the checks once more, on what a run has left in its directory, and puts
// what they say now in the place of what its report said: a check can be mistaken, too.
func recheck(ctx context.Context, args []string, stdout, _ io.Writer) (report.Verdict, error) {
	if len(args) != 1 {
		return "", errors.New("which directory?")
	}
	dumps, err := filepath.Glob(filepath.Join(args[0], "dumps", "*.jsonl"))
	if err != nil {
		return "", err
	}
	checks, err := examine(ctx, filepath.Join(args[0], "history.jsonl"), dumps)
	if err != nil {
		return "", err
	}
	r, err := report.Read(args[0])
	if err != nil {
		return "", err
	}
	for _, c := range checks {
		fmt.Fprintf(stdout, "%-16s %8d judged %8d not judged %8d violations\n", c.Name, c.Judged, c.Skipped, c.Count)
		for _, v := range c.Violations {
			fmt.Fprintf(stdout, "    %s\n", v)
		}
	}
	r.Replace(checks)
	return r.Verdict, r.Write(args[0])
}
