package raftnode

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/etcdserver/api/snap"
	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Disk is the Storage of a real member: a directory with
//
//	lock       held while a process uses the directory; contains its pid
//	wal/       etcd's write-ahead log
//	snap/      snapshots: INDEX-TERM.snap (metadata) and INDEX.snap.db (body)
//	watermark  the last log index and the vote known durable (see watermark.go)
//	founding   how a founder's cluster began (written by WriteFile; see cmd/kvd)
//	removed    present once the member was removed from its cluster
type Disk struct {
	dir  string
	lg   *zap.Logger
	lock *fileutil.LockedFile

	found *scannedWAL // what OpenDisk read; nil for a new directory
	snaps *snap.Snapshotter

	bodies bodyFiles

	// since Load; owned by the goroutine that writes the log
	wal    *wal.WAL
	mark   *watermark
	failed bool // a write has failed: what the disk holds is not known
	saved  mark // what has been written; durable with the next fsync
	ahead  ahead
}

var _ Storage = (*Disk)(nil)

// OpenDisk locks dir, which it creates if need be, and reads what is there
// without changing it. Errors wrap ErrDataDir; one that a removed member left
// behind gives ErrRemoved.
func OpenDisk(dir string, lg *zap.Logger) (*Disk, error) {
	if lg == nil {
		lg = zap.NewNop()
	}
	if err := mkdirAll(dir); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d := &Disk{
		dir: dir, lg: lg, snaps: snap.New(lg, filepath.Join(dir, "snap")),
		ahead: ahead{dir: filepath.Join(dir, "wal"), step: aheadHere},
	}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Disk) open() error {
	if text := d.removedText(); text != "" {
		return fmt.Errorf("%w: %s", ErrRemoved, text)
	}
	return d.read()
}

// removedText is what MarkRemoved wrote, if it did.
func (d *Disk) removedText() string {
	b, err := os.ReadFile(d.path("removed"))
	if err != nil {
		return ""
	}
	return cmp.Or(strings.TrimSpace(string(b)), "no more is known")
}

// read reads the log and compares it with what was known to be durable.
func (d *Disk) read() error {
	var err error
	if d.mark, err = readWatermark(d.path("watermark")); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	if !wal.Exist(d.path("wal")) {
		if d.mark.mark != (mark{}) || d.mark.state == markDamaged || len(d.bodyNames()) > 0 {
			return d.unusable(fmt.Errorf("%s has no write-ahead log and had one", d.dir))
		}
		return nil
	}
	if d.found, err = scanWAL(d.path("wal")); err == nil {
		err = d.checkLog()
	}
	if err != nil {
		return d.unusable(err)
	}
	return nil
}

// checkLog refuses a log that has lost something that was durable: entries, or
// a vote, which given twice in a term can make two leaders.
func (d *Disk) checkLog() error {
	f, m := d.found, d.mark.mark
	hs := f.hardState
	switch {
	case d.mark.state != markWhole && f.torn != nil:
		return fmt.Errorf("%s, and %s is %v: what was durable there is not known", f.end(), d.mark.path, d.mark.state)
	case f.last() < m.index:
		return fmt.Errorf("%s ends at log index %d (%s), but index %d was durable: what lies between is lost",
			d.path("wal"), f.last(), f.end(), m.index)
	case m.indexTerm > 0 && m.index >= f.base && !f.holds(m.index, m.indexTerm):
		return fmt.Errorf("%s (%s) holds another log than the one that was durable there: log index %d was of term %d",
			d.path("wal"), f.end(), m.index, m.indexTerm)
	case hs.GetTerm() < m.term:
		return fmt.Errorf("%s (%s) knows of term %d, but term %d was durable there: a vote may be lost",
			d.path("wal"), f.end(), hs.GetTerm(), m.term)
	case hs.GetTerm() == m.term && m.vote != 0 && hs.GetVote() != m.vote:
		return fmt.Errorf("%s (%s) has lost the vote for member %d in term %d that was durable there",
			d.path("wal"), f.end(), m.vote, m.term)
	}
	return nil
}

// takeLock keeps other processes out.
func (d *Disk) takeLock() error {
	path := d.path("lock")
	lock, err := fileutil.TryLockFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return d.explainLock(err)
	}
	d.lock = lock
	// Only for the message above: it need not be durable.
	if err := lock.Truncate(0); err == nil {
		_, err = lock.WriteAt(fmt.Appendf(nil, "%d\n", os.Getpid()), 0)
		if err != nil {
			d.lg.Warn("cannot write pid to lock file", zap.Error(err))
		}
	}
	return nil
}

// explainLock says who has the lock.
func (d *Disk) explainLock(err error) error {
	if !errors.Is(err, fileutil.ErrLocked) {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	pid, _ := os.ReadFile(d.path("lock"))
	return fmt.Errorf("%w: %s is in use by process %s", ErrDataDir, d.dir, cmp.Or(strings.TrimSpace(string(pid)), "unknown"))
}

// Identity tells whose directory it is; false: nobody's yet.
func (d *Disk) Identity() (Identity, bool) {
	if d.found == nil {
		return Identity{}, false
	}
	return d.found.identity, true
}

// HasLog reports whether the directory holds any entry or snapshot. A member
// that crashed before it had saved one starts as if new.
func (d *Disk) HasLog() bool { return d.found != nil && d.found.last() > 0 }

// MarkRemoved makes every later OpenDisk return ErrRemoved.
func (d *Disk) MarkRemoved() error {
	id, _ := d.Identity()
	text := fmt.Sprintf("member %d of cluster %016x; this directory can be deleted\n", id.Member, id.Cluster)
	return writeFileDurably(d.path("removed"), []byte(text))
}

// Load implements Storage.
func (d *Disk) Load(id Identity) (*Recovered, error) {
	rec, err := d.load(id)
	if err == nil {
		err = syncDir(d.path("wal")) // wal.Create leaves the name of the first segment to luck
	}
	if err != nil && !errors.Is(err, ErrDataDir) {
		err = fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return rec, err
}

func (d *Disk) load(id Identity) (*Recovered, error) {
	if d.found == nil {
		return d.create(id)
	}
	if have := d.found.identity; have.Cluster != id.Cluster || have.Member != id.Member {
		return nil, fmt.Errorf("%s belongs to member %d of cluster %016x, not to member %d of cluster %016x",
			d.dir, have.Member, have.Cluster, id.Member, id.Cluster)
	}
	rec, err := d.recover()
	if err != nil {
		return nil, d.unusable(err)
	}
	if err := os.MkdirAll(d.path("snap"), 0o700); err != nil {
		return nil, err
	}
	if err := d.openForAppend(rec.Snapshot); err != nil {
		return nil, err
	}
	d.saved = mark{
		index: d.found.last(), indexTerm: d.found.lastTerm(),
		term: rec.HardState.GetTerm(), vote: rec.HardState.GetVote(),
	}
	if d.mark.state != markWhole {
		d.lg.Warn("watermark could not be read and is written again", zap.String("file", d.mark.path), zap.Stringer("state", d.mark.state))
	}
	d.found = &scannedWAL{identity: d.found.identity} // the entries live in rec from now on
	d.removeLeftovers()
	return rec, nil
}

func (d *Disk) create(id Identity) (*Recovered, error) {
	if err := os.MkdirAll(d.path("snap"), 0o700); err != nil {
		return nil, err
	}
	meta, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	if d.wal, err = wal.Create(d.lg, d.path("wal"), meta); err != nil {
		return nil, err
	}
	d.found = &scannedWAL{identity: id}
	return &Recovered{}, d.mark.create() // and with it the names of all that is in the directory
}

// recover picks the newest snapshot that the log confirms and the disk still
// has, and the log that follows it.
func (d *Disk) recover() (*Recovered, error) {
	f := d.found
	candidates := f.snapshots() // newest first, the empty one last
	var damaged error
	for _, c := range candidates {
		ents, err := f.entriesAfter(c)
		if err != nil {
			return nil, errors.Join(damaged, err)
		}
		rec := &Recovered{HardState: f.hardState, Entries: ents}
		if c.GetIndex() == 0 {
			return rec, nil
		}
		if rec.Snapshot, err = d.readSnapshot(c); err != nil {
			d.lg.Warn("snapshot cannot be used, trying an older one", zap.Uint64("index", c.GetIndex()), zap.Error(err))
			damaged = errors.Join(damaged, err)
			continue
		}
		return rec, nil
	}
	return nil, damaged
}

// readSnapshot loads the metadata of a snapshot and checks its whole body.
func (d *Disk) readSnapshot(c *walpb.Snapshot) (*raftpb.SnapshotMetadata, error) {
	path := d.metaPath(c.GetTerm(), c.GetIndex())
	s, err := snap.Read(zap.NewNop(), path) // whoever asked for it will say so
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	meta := s.GetMetadata()
	if meta.GetIndex() != c.GetIndex() || meta.GetTerm() != c.GetTerm() {
		return nil, fmt.Errorf("%s is of index %d and term %d", path, meta.GetIndex(), meta.GetTerm())
	}
	h, err := checkBodyFile(d.bodyPath(c.GetIndex()))
	if err != nil {
		return nil, err
	}
	if h.Index != c.GetIndex() || h.Term != c.GetTerm() || h.Cluster != d.found.identity.Cluster {
		return nil, fmt.Errorf("%s is of index %d and term %d of cluster %016x", d.bodyPath(c.GetIndex()), h.Index, h.Term, h.Cluster)
	}
	return meta, nil
}

// openForAppend mends a torn tail, which only a write that nobody was told of
// can have left (OpenDisk compared with the watermark), and opens the log.
func (d *Disk) openForAppend(at *raftpb.SnapshotMetadata) error {
	if torn := d.found.torn; torn != nil {
		if err := d.removeTornCopies(); err != nil {
			return err
		}
		if !wal.Repair(d.lg, d.path("wal")) {
			return fmt.Errorf("cannot repair %s", torn.file)
		}
		d.lg.Warn("torn end of the log repaired", zap.String("file", torn.file), zap.Int64("offset", torn.offset),
			zap.Int64("bytes_cut", torn.size-torn.offset), zap.String("kept", torn.file+tornCopySuffix))
	}
	w, err := wal.Open(d.lg, d.path("wal"), &walpb.Snapshot{Index: new(at.GetIndex()), Term: new(at.GetTerm())})
	if err != nil {
		return err
	}
	// The log comes from our own replay; the WAL must be read through before
	// it takes appends.
	if _, _, _, err := w.ReadAll(); err != nil && !errors.Is(err, wal.ErrSnapshotNotFound) {
		return errors.Join(err, w.Close())
	}
	d.wal = w
	return nil
}

// removeLeftovers deletes what a crash left half written.
func (d *Disk) removeLeftovers() {
	names, err := fileutil.ReadDir(d.path("snap"))
	if err != nil {
		return
	}
	for _, name := range names {
		if strings.HasPrefix(name, "tmp") {
			if err := os.Remove(filepath.Join(d.path("snap"), name)); err != nil {
				d.lg.Warn("cannot remove leftover", zap.Error(err))
			}
		}
	}
}

// Close releases the directory. After a failed write it leaves the log as it
// is: closing it would sync it once more, and might seem to succeed.
func (d *Disk) Close() error {
	var errs []error
	d.bodies.wait()
	errs = append(errs, d.ahead.close())
	if d.wal != nil && !d.failed {
		errs = append(errs, d.wal.Close())
		d.wal = nil
	}
	if d.mark != nil {
		errs = append(errs, d.mark.close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	d.mark, d.lock = nil, nil
	return errors.Join(errs...)
}

func (d *Disk) path(name string) string { return filepath.Join(d.dir, name) }
