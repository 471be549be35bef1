package main

import (
	"errors"
	"fmt"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// logDump prints the committed log of a data directory. It applies the entries
// to a machine of its own and so knows what each command came to.
type logDump struct {
	out  dumpWriter
	from uint64 // the first index that is printed

	machine *kvstore.Machine
}

// dumpWriter prints a dump in one form or another. Its methods return errors of
// the output.
type dumpWriter interface {
	header(h *dumpHeader) error
	state(m *kvstore.Machine) error // of the snapshot
	entry(e *dumpEntry) error
	end(e *dumpEnd) error
}

func (d *logDump) run(dir string) error {
	log, err := raftnode.OpenLog(dir)
	if err != nil {
		return exitWith(exitDataDir, "%s", oneLine(err.Error()))
	}
	err = d.print(dir, log)
	return errors.Join(err, log.Close())
}

func (d *logDump) print(dir string, log *raftnode.OfflineLog) error {
	d.machine = kvstore.NewMachine()
	if err := log.Restore(d.machine.Restore); err != nil {
		return exitWith(exitDataDir, "%w", err)
	}
	if err := d.begin(dir, log); err != nil {
		return exitWith(exitFatal, "print log: %w", err)
	}
	n := 0
	for e, err := range log.Entries() {
		if err != nil {
			return exitWith(exitDataDir, "%w", err)
		}
		doc, err := d.apply(&e)
		if err != nil {
			return exitWith(exitDataDir, "log index %d: %w", e.Index, err)
		}
		if e.Index < d.from {
			continue
		}
		n++
		if err := d.out.entry(doc); err != nil {
			return exitWith(exitFatal, "print log: %w", err)
		}
	}
	end := &dumpEnd{Entries: n, Revision: d.machine.Revision()}
	if err := d.out.end(end); err != nil {
		return exitWith(exitFatal, "print log: %w", err)
	}
	return nil
}

func (d *logDump) begin(dir string, log *raftnode.OfflineLog) error {
	h := &dumpHeader{
		DataDir: dir, Cluster: formatClusterID(log.Identity.Cluster), Member: log.Identity.Member, Name: log.Identity.Name,
		Removed: log.Removed, Term: log.Term, Commit: log.Commit, Last: log.Last,
		SnapshotIndex: log.Snapshot.Index, SnapshotTerm: log.Snapshot.Term, LogClock: log.Snapshot.Clock.String(),
		Revision: d.machine.Revision(), Compacted: d.machine.Compacted(), Members: offlineMembers(log.Snapshot.Members),
	}
	if err := d.out.header(h); err != nil {
		return err
	}
	if d.from > 0 {
		return nil
	}
	return d.out.state(d.machine)
}

// apply describes an entry and applies it.
func (d *logDump) apply(e *raftnode.LogEntry) (*dumpEntry, error) {
	doc := &dumpEntry{
		Index: e.Index, Term: e.Term, Kind: string(e.Kind), LogClock: e.Clock.String(), Proposer: e.Proposer,
		Change: e.Change, Refused: e.Refused, Detail: e.Detail,
	}
	if e.Members != nil {
		doc.Members = offlineMembers(e.Members)
	}
	if e.Kind == raftnode.LogCheck {
		_, hash := d.machine.Hash()
		doc.StateHash = fmt.Sprintf("%016x", hash)
	}
	if e.Kind != raftnode.LogCommands {
		return doc, nil
	}
	before := d.machine.Revision()
	results, err := d.machine.Apply(e.Index, e.Clock, e.Commands)
	if err != nil {
		return nil, err
	}
	if e.Index < d.from {
		return doc, nil // nobody will see it
	}
	for i, b := range e.Commands {
		doc.Commands = append(doc.Commands, newDumpCommand(b, &results[i]))
	}
	d.addChanges(doc, before)
	return doc, nil
}

// addChanges tells of commands that do not name all the keys that they change,
// which these were. Each command that changes something has a revision of its own.
func (d *logDump) addChanges(doc *dumpEntry, before uint64) {
	at := make(map[uint64]*dumpCommand)
	for _, c := range doc.Commands {
		if r := c.Result; c.Command != "put" && c.Command != "delete" && !r.Replayed && r.Revision > before {
			at[r.Revision] = c
			before = r.Revision
		} else if !r.Replayed {
			before = max(before, r.Revision)
		}
	}
	if len(at) == 0 {
		return
	}
	var first uint64
	for revision := range at {
		if first == 0 || revision < first {
			first = revision
		}
	}
	for v := range d.machine.Changes(first - 1) {
		if c := at[v.ModRevision]; c != nil {
			c.Changes = append(c.Changes, newDumpVersion(v))
		}
	}
}
