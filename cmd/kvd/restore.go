package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

const restoreLong = `Make a new data directory from a snapshot file: a cluster of one.

It goes on with the state of the file, and revisions go on rising. It is a new
cluster: its id is random, its member has a new id, and all ids of the old
cluster are never used again, so that no member of the old cluster can get in
touch with it. The directory must not exist, or be empty; it is made whole or not
at all. After a crash, what was begun may be left beside it under a name with
.unfinished- in it, and can be deleted.

Exit codes: 0 the directory is ready, 3 the file or the directory cannot be used.`

func newRestoreCommand() *cobra.Command {
	var dir, name string
	cmd := &cobra.Command{
		Use:     "restore FILE",
		Short:   "Make a new cluster of one from a snapshot file",
		Long:    restoreLong,
		Example: "  kvd restore backup.kvd --data-dir ./restored\n  kvd serve --data-dir ./restored",
		Args:    oneArgument("a snapshot file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if dir == "" {
				return usageError("--data-dir: is missing; name the directory to make")
			}
			if fault := nameFault(name); fault != "" {
				return usageError("--name: %q %s", name, fault)
			}
			return restore(cmd.OutOrStdout(), args[0], dir, name)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "directory to make; missing or empty")
	cmd.Flags().StringVar(&name, "name", "", "name of the member, for humans (default n<id>)")
	return cmd
}

func restore(w io.Writer, file, dir, name string) error {
	machine := kvstore.NewMachine()
	sf, id, err := raftnode.Restore(file, dir, name, machine.Restore)
	if errors.Is(err, raftnode.ErrDataDir) {
		return exitWith(exitDataDir, "%w", err)
	}
	if err != nil {
		return snapshotError(file, err)
	}
	fmt.Fprintf(w, "%s holds cluster %s of one, member %d (%s): %d keys at revision %d, as cluster %s had them at log index %d.\n",
		dir, formatClusterID(id.Cluster), id.Member, id.Name, machine.Len(), machine.Revision(), formatClusterID(sf.Cluster), sf.Index)
	printNext(w, dir)
	return nil
}

// printNext says how a cluster of one is started and becomes one of several.
func printNext(w io.Writer, dir string) {
	fmt.Fprintf(w, "Start it:\n  kvd serve --data-dir %s\nThen, for each further member, with the client URL of the first:\n  kvd serve --data-dir EMPTY-DIRECTORY --join http://127.0.0.1:12380\n", shellWord(dir))
	fmt.Fprintln(w, "Add the flags for addresses as ever, without --id and --cluster. Members of the old cluster must begin again with empty directories.")
}
