// Command soak runs three members of kvd under a mixed load for as long as it is
// told, and says whether what they use grows: resident memory, goroutines, file
// descriptors, and space on disk.
//
// The load is steady: puts, conditional puts, gets, listings and transactions over a
// fixed set of keys, leases that are granted and end, watches that come and go, a
// compaction and a snapshot now and then. The last member is stopped and started
// again from time to time; the others run from beginning to end. All members are
// asked for /metrics, and /proc is read beside it.
//
// After a warm-up each series is cut into windows. The slope is that of their
// medians (Theil and Sen: the median of the slopes between all pairs), so that
// neither a collection of garbage nor a snapshot counts for much. What a member
// would have gained by that over the time measured must stay within a limit, which
// is printed beside it. Of the member that is restarted, time soon after a start is
// left out.
//
// It writes report.md, soak.svg and samples.csv into a directory.
//
// Exit codes: 0 flat; 1 something grows, or an operation went wrong; 2 wrong flags; 3
// the run does not count.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

const (
	exitFlat    = 0
	exitGrows   = 1
	exitUsage   = 2
	exitNoCount = 3
)

// config is a command line.
type config struct {
	kvd      string
	out      string
	duration time.Duration
	warmUp   time.Duration
	every    time.Duration // between two samples
	rate     int           // operations a second
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var c config
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&c.kvd, "kvd", "bin/kvd", "binary to try")
	f.StringVar(&c.out, "out", "soak", "directory for the report")
	f.DurationVar(&c.duration, "duration", time.Hour, "how long, warm-up included")
	f.IntVar(&c.rate, "rate", 400, "operations a second")
	if err := f.Parse(args); err != nil {
		return exitUsage
	}
	if c.duration < time.Minute || c.rate < 10 || f.NArg() > 0 {
		fmt.Fprintln(stderr, "soak: a minute, 10 operations a second, and no arguments, at least")
		return exitUsage
	}
	// Idempotency keys are remembered for ten minutes: a long run is flat after that.
	c.warmUp = min(c.duration/3, 15*time.Minute)
	c.every = min(max(c.duration/600, time.Second), 30*time.Second)
	var err error
	if c.kvd, err = filepath.Abs(c.kvd); err == nil {
		err = os.MkdirAll(c.out, 0o755)
	}
	if err != nil {
		fmt.Fprintln(stderr, "soak:", err)
		return exitUsage
	}
	r, err := execute(ctx, c, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "soak: this does not count:", err)
		return exitNoCount
	}
	text := r.markdown()
	fmt.Fprint(stdout, text)
	for name, b := range map[string]string{"report.md": text, "soak.svg": r.chart(), "samples.csv": r.csv()} {
		if err := os.WriteFile(filepath.Join(c.out, name), []byte(b), 0o644); err != nil {
			fmt.Fprintln(stderr, "soak:", err)
			return exitNoCount
		}
	}
	if len(r.why) > 0 {
		return exitNoCount
	}
	if len(r.growing()) > 0 || len(r.faults) > 0 {
		return exitGrows
	}
	return exitFlat
}
