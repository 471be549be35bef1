// Command kvd is one member of a replicated key-value store.
//
// It is the only package that sees all the others and the only one that ends
// the process. main turns signals into a context, run turns arguments into an
// exit code, and serve gives a member (replica) its files, its addresses and its peers:
//
//	httpapi → kvstore.DB → raftnode.Node ⇄ transport.Transport
//
// The other commands work on files while no member runs: doctor, snapshot
// inspect, restore, recover and debug dump-log. bench is a client that loads a
// cluster.
//
// Goroutines of the package: one per part that runs (peer server, transport,
// raft node, disk space, retention, expiry, client server; each is joined before
// serve returns, except after a storage error, when nothing more may be
// answered), before those one per address for a member that does not know its
// cluster yet, one that writes log lines to stderr so that a reader who stopped
// reading stops nobody else, and one that waits for signals.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"
)

// stderrPatience is how long the last words of the process wait for somebody
// to read them: a supervisor with a full pipe must not keep a dead member up.
const stderrPatience = 500 * time.Millisecond

func main() {
	os.Exit(run(interruptible(), os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code. What went wrong is
// one line on stderr.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	root := newRootCommand()
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err != nil {
		printBounded(stderr, oneLine("kvd: "+err.Error())+"\n")
	}
	return exitCode(err)
}

// newRootCommand returns the command tree. Errors are printed by run alone.
func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "kvd",
		Short:         "A replicated key-value store that speaks HTTP",
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q; \"kvd --help\" lists the commands", args[0])
			}
			return usageError("no command given; start a member with \"kvd serve\" or see \"kvd --help\"")
		},
	}
	root.CompletionOptions.DisableDefaultCmd = true
	root.SetFlagErrorFunc(flagError)
	root.AddCommand(newServeCommand(), newDoctorCommand(), newSnapshotCommand(), newRestoreCommand(), newRecoverCommand(), newBenchCommand(), newDebugCommand(), newVersionCommand())
	return root
}

// errSignal is the cause of the context that a first signal ends.
var errSignal = errors.New("stopped by signal")

// interruptible returns a context that the first SIGTERM or SIGINT ends; the
// second ends the process there and then. SIGPIPE is ignored: a member must
// outlive whoever reads its log.
func interruptible() context.Context {
	signal.Ignore(syscall.SIGPIPE)
	ctx, cancel := context.WithCancelCause(context.Background())
	sigc := make(chan os.Signal, 2)
	signal.Notify(sigc, syscall.SIGTERM, os.Interrupt)
	go func() {
		s := <-sigc
		cancel(fmt.Errorf("%w: %s", errSignal, s))
		<-sigc
		os.Exit(exitFatal)
	}()
	return ctx
}

// oneLine folds the lines of joined errors into one.
func oneLine(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(s), "\n", "; ")
}

// printBounded writes s to w and waits for it no longer than stderrPatience.
func printBounded(w io.Writer, s string) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		_, _ = io.WriteString(w, s)
	}()
	select {
	case <-done:
	case <-time.After(stderrPatience):
	}
}
