package raftnode

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
//	watermark  the last log index known durable (see watermark.go)
//	removed    present once the member was removed from its cluster
type Disk struct {
	dir  string
	lg   *zap.Logger
	lock *fileutil.LockedFile

	found *scannedWAL // what OpenDisk read; nil for a new directory
	snaps *snap.Snapshotter

	// since Load; owned by the goroutine that writes the log
	wal    *wal.WAL
	mark   *watermark
	failed bool   // a write has failed: what the disk holds is not known
	last   uint64 // index of the last entry saved, or of a snapshot that replaced the log
}

var _ Storage = (*Disk)(nil)

// OpenDisk locks dir, which it creates if need be, and reads what is there
// without changing it. Errors wrap ErrDataDir; one that a removed member left
// behind gives ErrRemoved.
func OpenDisk(dir string, lg *zap.Logger) (*Disk, error) {
	if lg == nil {
		lg = zap.NewNop()
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d := &Disk{dir: dir, lg: lg, snaps: snap.New(lg, filepath.Join(dir, "snap"))}
	if err := d.takeLock(); err != nil {
		return nil, err
	}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

func (d *Disk) open() error {
	if b, err := os.ReadFile(d.path("removed")); err == nil {
		return fmt.Errorf("%w: %s", ErrRemoved, strings.TrimSpace(string(b)))
	}
	mark, err := readWatermark(d.path("watermark"), d.lg)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d.mark = mark
	if !wal.Exist(d.path("wal")) {
		if mark.index > 0 {
			return fmt.Errorf("%w: %s has no write-ahead log, but log index %d was durable there; %s",
				ErrDataDir, d.dir, mark.index, replaceAdvice)
		}
		return nil
	}
	d.found, err = scanWAL(d.path("wal"))
	if err != nil {
		return fmt.Errorf("%w: %w; log index %d was durable; %s", ErrDataDir, err, mark.index, replaceAdvice)
	}
	if d.found.last() < mark.index {
		return fmt.Errorf("%w: %s ends at log index %d (%s), but index %d was durable: what lies between is lost; %s",
			ErrDataDir, d.path("wal"), d.found.last(), d.found.end(), mark.index, replaceAdvice)
	}
	return nil
}

// replaceAdvice is the way out for a member whose disk has lost data: it must
// not vote again under its old id.
const replaceAdvice = "nothing was changed; to replace this member: " +
	"curl -X DELETE http://ANY-MEMBER/v1/members/ID, then kvd serve --join http://ANY-MEMBER --data-dir EMPTY-DIRECTORY"

// takeLock keeps other processes out.
func (d *Disk) takeLock() error {
	path := d.path("lock")
	lock, err := fileutil.TryLockFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fileutil.ErrLocked) {
		pid, _ := os.ReadFile(path)
		return fmt.Errorf("%w: %s is in use by process %s", ErrDataDir, d.dir, cmp.Or(strings.TrimSpace(string(pid)), "unknown"))
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
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
	if err := os.WriteFile(d.path("removed"), []byte(text), 0o600); err != nil {
		return err
	}
	return syncDir(d.dir)
}

// Load implements Storage.
func (d *Disk) Load(id Identity) (*Recovered, error) {
	rec, err := d.load(id)
	if err != nil && !errors.Is(err, ErrDataDir) {
		err = fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return rec, err
}

func (d *Disk) load(id Identity) (*Recovered, error) {
	if err := os.MkdirAll(d.path("snap"), 0o700); err != nil {
		return nil, err
	}
	if d.found == nil {
		return d.create(id)
	}
	if have := d.found.identity; have.Cluster != id.Cluster || have.Member != id.Member {
		return nil, fmt.Errorf("%s belongs to member %d of cluster %016x, not to member %d of cluster %016x",
			d.dir, have.Member, have.Cluster, id.Member, id.Cluster)
	}
	rec, err := d.recover()
	if err != nil {
		return nil, fmt.Errorf("%w; log index %d was durable; %s", err, d.mark.index, replaceAdvice)
	}
	if err := d.openForAppend(rec.Snapshot); err != nil {
		return nil, err
	}
	d.last = d.found.last()
	d.found = &scannedWAL{identity: d.found.identity} // the entries live in rec from now on
	d.removeLeftovers()
	return rec, nil
}

func (d *Disk) create(id Identity) (*Recovered, error) {
	meta, err := json.Marshal(id)
	if err != nil {
		return nil, err
	}
	if d.wal, err = wal.Create(d.lg, d.path("wal"), meta); err != nil {
		return nil, err
	}
	d.found = &scannedWAL{identity: id}
	return &Recovered{}, errors.Join(d.mark.create(), syncDir(d.dir))
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
	s, err := snap.Read(d.lg, path)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if err := d.checkBody(c.GetIndex()); err != nil {
		return nil, fmt.Errorf("%s: %w", d.bodyPath(c.GetIndex()), err)
	}
	return s.GetMetadata(), nil
}

func (d *Disk) checkBody(index uint64) error {
	body, _, err := d.OpenBody(index)
	if err != nil {
		return err
	}
	defer body.Close()
	_, err = io.Copy(io.Discard, newBodyReader(body))
	return err
}

// openForAppend mends a torn tail, which only a write that nobody was told of
// can have left (OpenDisk compared with the watermark), and opens the log.
func (d *Disk) openForAppend(at *raftpb.SnapshotMetadata) error {
	if torn := d.found.torn; torn != nil {
		if !wal.Repair(d.lg, d.path("wal")) {
			return fmt.Errorf("cannot repair %s", torn.file)
		}
		d.lg.Warn("torn end of the log repaired", zap.String("file", torn.file), zap.Int64("offset", torn.offset),
			zap.Int64("bytes_cut", torn.size-torn.offset), zap.String("kept", torn.file+".broken"))
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

func syncDir(dir string) error {
	f, err := fileutil.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(fileutil.Fsync(f), f.Close())
}
