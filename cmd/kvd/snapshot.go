package main

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

func newSnapshotCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "snapshot",
		Short: "Look at snapshot files",
		Args:  cobra.ArbitraryArgs,
		RunE: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usageError("unknown command %q; \"kvd snapshot --help\" lists the commands", args[0])
			}
			return usageError("no command given; use \"kvd snapshot inspect FILE\"")
		},
	}
	cmd.AddCommand(newInspectCommand())
	return cmd
}

const inspectLong = `Read a snapshot file through and say what it holds.

The file is what GET /v1/snapshots/latest serves, or one that ends in .snap.db
in the directory snap of a data directory. The state in it is loaded into memory
to see that it is one, and its checksums are compared.

Exit codes: 0 the file is whole, 3 it is damaged or cannot be read.`

func newInspectCommand() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "inspect FILE",
		Short:   "Say what a snapshot file holds",
		Long:    inspectLong,
		Example: "  curl -fo backup.kvd http://127.0.0.1:12380/v1/snapshots/latest\n  kvd snapshot inspect backup.kvd",
		Args:    oneArgument("a snapshot file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			return inspect(cmd.OutOrStdout(), args[0], asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// contentsDocument is what a snapshot file holds, as it is printed.
type contentsDocument struct {
	File      string          `json:"file"`
	Bytes     int64           `json:"size_bytes"`
	Checksum  string          `json:"checksum"` // ok, or what is wrong
	Cluster   string          `json:"cluster_id,omitempty"`
	Index     uint64          `json:"index"`
	Term      uint64          `json:"term"`
	LogClock  string          `json:"log_clock"`
	Members   []offlineMember `json:"members"`
	Removed   []uint64        `json:"removed_ids"`
	Revision  uint64          `json:"revision"`
	Compacted uint64          `json:"compacted_revision"`
	Keys      int             `json:"keys"`
	DataBytes uint64          `json:"key_and_value_bytes"`
	Leases    int             `json:"leases"`
}

func inspect(w io.Writer, path string, asJSON bool) error {
	machine := kvstore.NewMachine()
	sf, fault := raftnode.ReadSnapshot(path, machine.Restore)
	if sf.Bytes == 0 && fault != nil {
		return snapshotError(path, fault) // there is nothing to tell of it
	}
	doc := newContentsDocument(path, sf, machine)
	if fault != nil {
		doc.Checksum = oneLine(fault.Error())
	}
	var err error
	if asJSON {
		err = writeJSON(w, doc)
	} else {
		err = printContents(w, doc)
	}
	if err != nil {
		return exitWith(exitFatal, "print contents: %w", err)
	}
	if fault != nil {
		return snapshotError(path, fault)
	}
	return nil
}

// snapshotError gives the fault of a snapshot file its exit code and a way out.
func snapshotError(path string, fault error) error {
	if errors.Is(fault, kvstore.ErrNewerVersion) || errors.Is(fault, raftnode.ErrNewerVersion) {
		return exitWith(exitDataDir, "%w; use the version that wrote it", fault)
	}
	if info, err := os.Stat(path); err == nil && info.IsDir() {
		return exitWith(exitDataDir, "%s is a directory; name a file, such as %s", path, filepath.Join(path, "snap", "….snap.db"))
	}
	if strings.HasSuffix(path, ".snap") {
		return exitWith(exitDataDir, "%w; the state is in the file that ends in .snap.db, beside this one", fault)
	}
	return exitWith(exitDataDir, "%w", fault)
}

func newContentsDocument(path string, sf raftnode.SnapshotFile, machine *kvstore.Machine) *contentsDocument {
	doc := &contentsDocument{
		File: path, Bytes: sf.Bytes, Checksum: "ok",
		Index: sf.Index, Term: sf.Term, LogClock: sf.Clock.String(),
		Members: offlineMembers(sf.Members), Removed: nonNil(sf.Removed),
		Revision: machine.Revision(), Compacted: machine.Compacted(),
		Keys: machine.Len(), DataBytes: machine.Bytes(), Leases: machine.LeaseCount(),
	}
	if sf.Cluster != 0 {
		doc.Cluster = formatClusterID(sf.Cluster)
	}
	return doc
}

func printContents(w io.Writer, doc *contentsDocument) error {
	out := newOutline(w)
	out.line("file", "%s, %s", doc.File, humanBytes(doc.Bytes))
	out.line("checksum", "%s", doc.Checksum)
	if doc.Cluster != "" {
		out.line("cluster", "%s", doc.Cluster)
		out.line("log", "index %d, term %d, clock %v", doc.Index, doc.Term, doc.LogClock)
	}
	if doc.Checksum == "ok" {
		out.line("revision", "%d, history back to %d", doc.Revision, doc.Compacted)
		out.line("keys", "%d with %s", doc.Keys, humanBytes(int64(doc.DataBytes)))
		out.line("leases", "%d", doc.Leases)
	}
	out.members(doc.Members, doc.Removed)
	return out.flush()
}
