package raftnode

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"slices"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// OfflineLog is the committed log of a data directory that no process uses, from
// the oldest snapshot on that is still there and that the log reaches back to. It
// keeps the directory locked until Close, and changes nothing in it.
type OfflineLog struct {
	Identity Identity
	Removed  string // what the mark of a removed member says; empty: there is none
	Term     uint64
	Commit   uint64 // the last index that the member knew to be committed
	Last     uint64 // the last index of the log
	// Snapshot is where the log begins; Index 0: at the first entry there ever
	// was. Its state is told by Restore.
	Snapshot SnapshotFile

	d    *Disk
	from *Recovered
}

// LogEntry is one entry of an OfflineLog.
type LogEntry struct {
	Index, Term uint64
	Kind        LogKind
	Clock       time.Duration   // the log's, after this entry
	Proposer    uint64          // the member that proposed it; 0: not known
	Commands    [][]byte        // of LogCommands; they share the log's memory
	Change      string          // of LogChange: what it is
	Refused     string          // of LogChange: why it changed nothing; empty: it did
	Members     []Member        // of LogChange and LogMember: who there is after it
	Detail      json.RawMessage // of LogMember, LogVerdict and LogReseed, as it is in the log
}

// LogKind is what an entry is.
type LogKind string

// Kinds of entries.
const (
	LogEmpty    LogKind = "empty"    // raft's own, with which a term begins
	LogCommands LogKind = "commands" // of the state machine
	LogChange   LogKind = "change"   // of the membership
	LogMember   LogKind = "member"   // a member tells its name and addresses
	LogCheck    LogKind = "check"    // members hash their state as it is here
	LogVerdict  LogKind = "verdict"  // what came of it
	LogReseed   LogKind = "reseed"   // a member takes over another's state as it is here
	LogIgnored  LogKind = "ignored"  // it cannot be read, and every member passes over it
)

// OpenLog reads the log of a directory. Errors wrap ErrDataDir: there is no
// directory, it is in use, or a member would refuse it.
func OpenLog(dir string) (*OfflineLog, error) {
	d, err := peek(dir)
	if err != nil {
		return nil, err
	}
	l, err := openLog(d)
	if err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return l, nil
}

func openLog(d *Disk) (*OfflineLog, error) {
	if err := d.read(); err != nil {
		return nil, err
	}
	if !d.HasLog() {
		return nil, fmt.Errorf("%w: %s holds no log", ErrDataDir, d.dir)
	}
	rec, err := d.recoverOldest()
	if err != nil {
		return nil, d.unusable(err)
	}
	f := d.found
	l := &OfflineLog{
		Identity: f.identity, Removed: d.removedText(),
		Term: f.hardState.GetTerm(), Commit: f.hardState.GetCommit(), Last: f.last(),
		d: d, from: rec,
	}
	if rec.Snapshot != nil {
		// The header alone: the body has been read through once already.
		if l.Snapshot, err = ReadSnapshot(d.bodyPath(rec.Snapshot.GetIndex()), func(io.Reader) error { return nil }); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
		}
	}
	return l, nil
}

// recoverOldest is recover with as much of the log as there is a state for. A
// member starts from the newest snapshot; who wants to know what happened, from
// the oldest.
func (d *Disk) recoverOldest() (*Recovered, error) {
	for _, c := range slices.Backward(d.found.snapshots()) {
		ents, err := d.found.entriesAfter(c)
		if err != nil {
			continue
		}
		rec := &Recovered{HardState: d.found.hardState, Entries: ents}
		if c.GetIndex() == 0 {
			return rec, nil
		}
		if rec.Snapshot, err = d.readSnapshot(c); err == nil {
			return rec, nil
		}
	}
	return d.recover() // it says what is wrong
}

// Restore gives the state of the snapshot to state, which reads to io.EOF. It
// does nothing where the log begins at its first entry.
func (l *OfflineLog) Restore(state func(io.Reader) error) error {
	if l.from.Snapshot == nil {
		return nil
	}
	if _, err := ReadSnapshot(l.d.bodyPath(l.Snapshot.Index), state); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return nil
}

// Entries returns the committed entries after the snapshot, in order. An error
// is the last that it yields, and wraps ErrNewerVersion or ErrDataDir.
func (l *OfflineLog) Entries() iter.Seq2[LogEntry, error] {
	return func(yield func(LogEntry, error) bool) {
		h := &bodyHeader{Membership: &membership{}}
		if l.from.Snapshot != nil {
			var err error
			if h, err = readHeaderFile(l.d.bodyPath(l.Snapshot.Index)); err != nil {
				yield(LogEntry{}, fmt.Errorf("%w: %w", ErrDataDir, err))
				return
			}
		}
		r, err := newRoster(h, l.from.Snapshot.GetConfState())
		if err != nil {
			yield(LogEntry{}, fmt.Errorf("%w: %w", ErrDataDir, err))
			return
		}
		x := logReader{roster: r, clock: h.Clock}
		for _, e := range l.from.Entries {
			if e.GetIndex() > l.Commit {
				return
			}
			out, err := x.read(e)
			if err != nil {
				yield(LogEntry{}, fmt.Errorf("%w: log index %d: %w", ErrDataDir, e.GetIndex(), err))
				return
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// Close releases the directory. It may be called twice.
func (l *OfflineLog) Close() error {
	d := l.d
	if d == nil {
		return nil
	}
	l.d = nil
	return d.Close()
}

// logReader follows a log as apply does.
type logReader struct {
	roster *roster
	clock  time.Duration
}

func (x *logReader) read(e *raftpb.Entry) (LogEntry, error) {
	out := LogEntry{Index: e.GetIndex(), Term: e.GetTerm(), Kind: LogEmpty}
	var err error
	switch {
	case e.GetType() != raftpb.EntryNormal:
		err = x.readChange(e, &out)
	case len(e.GetData()) > 0:
		err = x.readNormal(e, &out)
	}
	if err == nil {
		err = x.roster.apply(e)
	}
	if out.Kind == LogChange || out.Kind == LogMember {
		out.Members = x.roster.members.sorted()
	}
	out.Clock = x.clock
	return out, err
}

func (x *logReader) readNormal(e *raftpb.Entry, out *LogEntry) error {
	h, payload, err := decodeEntry(e.GetData())
	if err == nil && h.kind == kindCommands {
		out.Commands, err = decodeCommands(nil, payload)
	}
	if errors.Is(err, ErrNewerVersion) {
		return err
	}
	if err != nil {
		out.Kind, out.Commands = LogIgnored, nil
		return nil
	}
	x.clock = max(x.clock, h.clock)
	out.Proposer = h.id.Member
	switch h.kind {
	case kindCommands:
		out.Kind = LogCommands
	case kindMember:
		out.Kind, out.Detail = LogMember, payload
	case kindCheck:
		out.Kind = LogCheck
	case kindVerdict:
		out.Kind, out.Detail = LogVerdict, payload
	case kindReseed:
		out.Kind, out.Detail = LogReseed, payload
	default:
		return fmt.Errorf("entry kind %d: %w", h.kind, ErrNewerVersion)
	}
	if out.Detail != nil && !json.Valid(out.Detail) {
		out.Kind, out.Detail = LogIgnored, nil
	}
	return nil
}

func (x *logReader) readChange(e *raftpb.Entry, out *LogEntry) error {
	out.Kind = LogChange
	d, err := x.roster.members.decide(e)
	if err != nil {
		return err
	}
	out.Proposer, out.Change = d.id.Member, describeChange(e)
	if d.refusal != nil {
		out.Refused = d.refusal.Error()
	}
	return nil
}
