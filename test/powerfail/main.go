// Command powerfail shows that what kvd has acknowledged outlives a power failure.
// It needs Linux, root, and the mkfs of the file systems it tries.
//
// Members of kvd keep their data on file systems of their own, in loop files, while
// clients write. At a random moment the file system's shutdown ioctl drops all that
// was not synced: pages, metadata and the journal's unfinished transactions. The
// processes are killed, the file systems mounted anew, the members started again;
// then every write that was acknowledged before the ioctl began must be there, with
// its value and its revision. Writes answered during the ioctl prove nothing: of
// those either is right. So does a write whose outcome nobody was told.
//
// Three forms are tried:
//
//	one    a cluster of one member: all depends on its disk
//	third  one of three: another member is frozen, so that the acknowledgements
//	       depend on the two others; of these, one loses power and one is killed and
//	       stays away: the first and the frozen one must know everything
//	all    three members, which lose power together
//
// One failure in eight comes while members start, the first start of a cluster
// included. Before each, a file is written and not synced: if it is still there
// afterwards as a rule, nothing has failed and the run does not count.
//
// Mounts are made in a mount namespace of the program's own, images lie in a tmpfs
// there, and loop devices clear themselves: however the program ends, nothing stays.
//
// The seed decides who does what and when, but not how the kernel schedules it: the
// same seed tries the same things, and need not fail in the same way.
//
// Exit codes: 0 passed; 1 an acknowledged write was lost, or a member did not start;
// 2 wrong flags; 3 the run does not count: something is missing, or went wrong that is
// not kvd's fault, or too little was compared.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
)

const (
	exitPassed  = 0
	exitFailed  = 1
	exitUsage   = 2
	exitNoCount = 3
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	cfg, err := parseFlags(args, stderr)
	if err != nil {
		return exitUsage
	}
	if missing := requirements(cfg); len(missing) > 0 {
		fmt.Fprintln(stderr, "powerfail: NOT RUN, this does not count:")
		for _, m := range missing {
			fmt.Fprintln(stderr, "  "+m)
		}
		return exitNoCount
	}
	if !isolated() {
		return isolate(args, stdout, stderr)
	}
	r, err := execute(ctx, cfg, stdout)
	if err != nil {
		fmt.Fprintln(stderr, "powerfail: this does not count:", err)
		return exitNoCount
	}
	fmt.Fprint(stdout, r.text())
	if cfg.json != "" {
		if err := r.writeJSON(cfg.json); err != nil {
			fmt.Fprintln(stderr, "powerfail:", err)
			return exitNoCount
		}
	}
	switch r.Verdict {
	case verdictPassed:
		return exitPassed
	case verdictFailed:
		return exitFailed
	}
	return exitNoCount
}
