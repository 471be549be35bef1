// Command chaos runs a cluster of real kvd processes under load and faults, and
// checks that it keeps its promises. It needs Linux, and root for most faults.
//
//	go run ./test/chaos -duration 5m -report DIR    run, and write DIR/report.md and report.json
//	go run ./test/chaos sum -report DIR PART...     add up the reports of several runs
//	go run ./test/chaos check DIR                   check once more what a run has kept in DIR, and say so in its report
//
// The seed decides which faults come in which order, and what clients do; it is
// printed. What a fault hits depends on who leads at that moment, too.
//
// Exit codes: 0 all promises were kept; 1 one was broken; 2 the run itself went
// wrong; 3 nothing was broken, but the run does not count: too little happened.
// DIR/report.md says why.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"kvd/test/chaos/check"
	"kvd/test/chaos/report"
)

// Exit codes.
const (
	exitPassed      = 0
	exitViolated    = 1
	exitError       = 2
	exitDidNotCount = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	command := chaos
	if len(args) > 0 {
		switch args[0] {
		case "sum":
			command, args = sum, args[1:]
		case "check":
			command, args = recheck, args[1:]
		case "linearize": // a child of ours
			return check.LinearizeMain(args[1:], stdout, stderr)
		}
	}
	verdict, err := command(ctx, args, stdout, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return exitError
	case err != nil:
		fmt.Fprintln(stderr, "chaos:", err)
		return exitError
	case verdict == report.Violated:
		return exitViolated
	case verdict == report.DidNotCount:
		return exitDidNotCount
	}
	return exitPassed
}

// sum adds up reports.
func sum(_ context.Context, args []string, stdout, stderr io.Writer) (report.Verdict, error) {
	fs := flag.NewFlagSet("chaos sum", flag.ContinueOnError)
	fs.SetOutput(stderr)
	dir := fs.String("report", "", "directory for the sum (required)")
	want := wantedFlags(fs)
	if err := fs.Parse(args); err != nil {
		return "", err
	}
	if *dir == "" {
		return "", errors.New("-report is missing")
	}
	var parts []*report.Report
	for _, name := range fs.Args() {
		r, err := report.Read(name)
		if err != nil {
			return "", err
		}
		parts = append(parts, r)
	}
	all, err := report.Sum(parts, *want)
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(*dir, 0o755); err != nil {
		return "", err
	}
	fmt.Fprint(stdout, all.Markdown())
	return all.Verdict, all.Write(*dir)
}

// wantedFlags are the flags that say how much must have happened.
func wantedFlags(fs *flag.FlagSet) *report.Wanted {
	w := &report.Wanted{}
	fs.IntVar(&w.Operations, "min-operations", 0, "fewer do not count")
	fs.IntVar(&w.Faults, "min-faults", 0, "fewer that were shown to have happened do not count")
	fs.IntVar(&w.Changes, "min-changes", 0, "fewer changes of the membership do not count")
	return w
}
