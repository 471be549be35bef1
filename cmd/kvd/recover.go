package main

import (
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kvd/internal/raftnode"
)

const recoverLong = `Make a cluster of one of a member whose cluster has lost its quorum for good.

This is for when a majority of the members will never come back. Writes that
were acknowledged can be lost: those that this member never received. With a
snapshot file or any hope for a majority there are better ways.

Without --yes the command says what it would do and what may be lost, and ends
with exit code 2. With --yes it makes a new data directory; the old one is never
changed.

Exit codes: 0 the directory is ready, 2 --yes is missing, 3 a directory cannot
be used.`

func newRecoverCommand() *cobra.Command {
	var dir, into string
	var yes bool
	cmd := &cobra.Command{
		Use:     "recover",
		Short:   "Make a cluster of one of what is left of a lost one",
		Long:    recoverLong,
		Example: "  kvd recover --data-dir ./data2 --into ./recovered\n  kvd recover --data-dir ./data2 --into ./recovered --yes\n  kvd serve --data-dir ./recovered",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case dir == "":
				return usageError("--data-dir: is missing; name the directory of the member that is left")
			case into == "":
				return usageError("--into: is missing; name the directory to make")
			}
			return recoverMember(cmd.OutOrStdout(), dir, into, yes)
		},
	}
	cmd.Flags().StringVar(&dir, "data-dir", "", "directory of the member that is left; it is not changed")
	cmd.Flags().StringVar(&into, "into", "", "directory to make; missing or empty")
	cmd.Flags().BoolVar(&yes, "yes", false, "do it")
	return cmd
}

func recoverMember(w io.Writer, dir, into string, yes bool) error {
	plan, err := raftnode.PlanRecovery(dir)
	if err != nil {
		return recoverError(dir, err)
	}
	if !yes {
		printPlan(w, dir, into, plan)
		return usageError("nothing was done; read the above, then do it: kvd recover --data-dir %s --into %s --yes", shellWord(dir), shellWord(into))
	}
	id, err := plan.Run(into)
	if err != nil {
		return recoverError(dir, err)
	}
	fmt.Fprintf(w, "%s holds cluster %s of one, member %d (%s), with all that member %d of cluster %s had up to log index %d.\n",
		into, formatClusterID(id.Cluster), id.Member, id.Name, plan.Identity.Member, formatClusterID(plan.Identity.Cluster), plan.Last)
	printNext(w, into)
	return nil
}

func recoverError(dir string, err error) error {
	if errors.Is(err, raftnode.ErrRemoved) {
		return exitWith(exitDataDir, "%s: %w; recover another member, one that is still part of the cluster", dir, err)
	}
	if u, ok := errors.AsType[*raftnode.Unusable](err); ok {
		return exitWith(exitDataDir, "%w; recover another member, or begin again from %s", err, restoreFrom(u))
	}
	return exitWith(exitDataDir, "%w", err)
}

// printPlan says exactly what a recovery does, and what may be lost by it.
func printPlan(w io.Writer, dir, into string, p *raftnode.Recovery) {
	say := func(format string, args ...any) { fmt.Fprintf(w, format+"\n", args...) }
	say("%s is of member %d (%s) of cluster %s.", dir, p.Identity.Member, p.Identity.Name, formatClusterID(p.Identity.Cluster))
	say("Its log ends at index %d of term %d; up to index %d it is known to be committed.", p.Last, p.LastTerm, p.Commit)
	if t := p.Torn; t != nil {
		say("Behind that, %d bytes at byte %d of %s are of a write that was never finished, nor acknowledged by this member.", t.Bytes, t.Offset, t.File)
	}
	say("\nWhat will be done:")
	say("  %s is not changed.", dir)
	say("  %s is made: a new cluster with a new, random id, of one voter, member %d.", into, p.Identity.Member)
	if p.SnapshotIndex > 0 {
		say("  It begins with the snapshot at index %d and has the log behind it, up to index %d.", p.SnapshotIndex, p.Last)
	} else {
		say("  It has the whole log, up to index %d.", p.Last)
	}
	if p.Joint {
		say("  The change of several members that was half way through is completed.")
	}
	if p.Learner {
		say("  Member %d, which was a learner, becomes a voter.", p.Identity.Member)
	}
	for _, m := range p.Members {
		if m.ID != p.Identity.Member {
			say("  Member %d (%s, %s) is removed, and its id never used again.", m.ID, m.Name, orUnknown(m.PeerURL))
		}
	}
	say("\nWhat may be lost, or come back:")
	say("  Writes that the others acknowledged and this member never received are lost: all behind index %d. Nothing here tells whether there are any.", p.Last)
	if p.Last > p.Commit {
		say("  What stands from index %d to %d is not known to be committed. It is kept as if it were: a write in it that was answered with an error, or not at all, takes effect.", p.Commit+1, p.Last)
	}
	if p.Learner {
		say("  A learner can be far behind the others.")
	}
	say("  If other directories are left, look at them with kvd doctor, and recover the one whose log ends in the highest term and, of several, at the highest index.")
	say("\nAfterwards:")
	say("  The other members must never be started again with their old directories: if a majority of them came back, there would be two clusters with the same keys, and clients would reach one or the other. Let them join with empty directories.")
}
