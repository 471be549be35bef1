package main

import (
	"github.com/spf13/cobra"
)

func newDebugCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "debug",
		Short: "Look into what a member has written",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q; \"kvd debug --help\" lists the commands", args[0])
			}
			return usageError("no command given; use \"kvd debug dump-log DIR\"")
		},
	}
	cmd.AddCommand(newDumpLogCommand())
	return cmd
}

const dumpLogLong = `Print the committed log of a data directory, entry by entry.

It begins at the oldest snapshot that is still there, or at the first entry ever
where none was given up. Each command is shown with what it came to, which is
found out by applying the log to the snapshot, as a member does when it starts.
Nothing is changed, nothing is sent anywhere. The member must not be running.

The output shows keys and values as they are. With --json it is a line for each
entry, complete, and before them lines with all that the snapshot holds, so that
a program can follow the state from one entry to the next.

Exit codes: 0 all is printed, 3 the directory cannot be read, is in use, or is
one that a member would refuse; "kvd doctor DIR" tells more.`

func newDumpLogCommand() *cobra.Command {
	var from uint64
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "dump-log DIR",
		Short:   "Print the committed log of a data directory",
		Long:    dumpLogLong,
		Example: "  kvd debug dump-log ./data\n  kvd debug dump-log --from 1200 --json ./data",
		Args:    oneArgument("a data directory"),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := logDump{out: newTextDump(cmd.OutOrStdout()), from: from}
			if asJSON {
				d.out = newJSONDump(cmd.OutOrStdout())
			}
			return d.run(args[0])
		},
	}
	cmd.Flags().Uint64Var(&from, "from", 0, "print entries from this log index on, and nothing of the snapshot")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON, a line each")
	return cmd
}
