// Command bench measures kvd beside etcd and beside a bare net/http handler: the
// same closed loop against each, in turns, in one invocation.
//
// It is a module of its own, so that kvd does not carry etcd's dependencies. It
// runs the binary of kvd that it is given, and itself as the other servers: each
// member of etcd, through etcd's embed package, and the bare handler is a
// process, as each member of kvd is. Only one system runs at a time; the
// processes of the others are stopped (SIGSTOP). All are ended with bench,
// however that ends.
//
//	system    what is started, stopped and paused: kvd, etcd, bare
//	way       how a system is driven: "kvd wire", "kvd Go", "etcd Go", …
//	scenario  what is done, on how many keys, by how many clients
//	runner    takes scenarios round by round through all ways
//	report    what came out, as JSON; table and charts are made from it alone
//
// A ratio is made of two ways that were measured in the same rounds of one
// report, and of nothing else.
package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run executes one command line and returns the exit code: 1 when something went
// wrong, 2 when the command line was.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	usage := true
	root := &cobra.Command{
		Use:               "bench",
		Short:             "Measure kvd beside etcd and a bare HTTP handler",
		SilenceErrors:     true,
		SilenceUsage:      true,
		PersistentPreRun:  func(*cobra.Command, []string) { usage = false },
		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true},
	}
	root.AddCommand(newRunCommand(), newTableCommand(), newChartCommand(), newListCommand(), newEtcdCommand(), newBareCommand())
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return 0
	}
	fmt.Fprintln(stderr, "bench:", err)
	if usage {
		return 2
	}
	return 1
}
