package raftnode

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Save implements LogStorage.
func (d *Disk) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	return d.note(d.save(hs, ents))
}

// note remembers that a write has failed.
func (d *Disk) note(err error) error {
	d.failed = d.failed || err != nil
	return err
}

func (d *Disk) save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	if hs == nil && len(ents) == 0 {
		return nil
	}
	// Raft may put new entries in the place of old ones. The watermark must
	// not promise the old ones when they go.
	for _, e := range ents {
		if e.GetIndex() <= d.saved.index {
			if err := d.mark.lower(e.GetIndex() - 1); err != nil {
				return err
			}
			break
		}
	}
	if err := d.wal.Save(hs, ents); err != nil {
		return err
	}
	for _, e := range ents {
		d.ahead.saved(len(e.GetData()) + recordOverhead)
	}
	voted := hs != nil && (hs.GetTerm() != d.saved.term || hs.GetVote() != d.saved.vote)
	if voted {
		d.saved.term, d.saved.vote = hs.GetTerm(), hs.GetVote()
	}
	if len(ents) > 0 {
		last := ents[len(ents)-1]
		d.saved.index, d.saved.indexTerm = last.GetIndex(), last.GetTerm()
	}
	if !voted && len(ents) == 0 {
		return nil // a commit index alone is not synced
	}
	return d.mark.raise(d.saved)
}

// recordOverhead is about what the log adds to the data of an entry.
const recordOverhead = 64

// Prepare implements LogStorage. What it does is never missed: when it fails, it is not
// done any more. What a failed write means for the log, the next Save finds out.
func (d *Disk) Prepare() {
	if err := d.ahead.prepare(); err != nil {
		d.lg.Warn("the way of the log is not prepared any more: writes may take longer", zap.Error(err))
		d.ahead.step = 0
	}
}

// Sync implements LogStorage.
func (d *Disk) Sync() error {
	if err := d.wal.Sync(); err != nil {
		return d.note(err)
	}
	return d.note(d.mark.raise(d.saved))
}

// SaveSnapshot implements LogStorage. The order of its steps keeps a crash at
// any point harmless: files without a record are ignored, a record without
// files is never written.
func (d *Disk) SaveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error {
	return d.note(d.saveSnapshot(meta, installed))
}

func (d *Disk) saveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error {
	if err := d.snaps.SaveSnap(&raftpb.Snapshot{Metadata: meta}); err != nil {
		return err
	}
	// The package makes this one file readable to all, as far as umask lets it.
	if err := os.Chmod(d.metaPath(meta.GetTerm(), meta.GetIndex()), 0o600); err != nil {
		return err
	}
	if err := syncDir(d.path("snap")); err != nil {
		return err
	}
	if installed {
		if err := d.mark.lower(meta.GetIndex()); err != nil {
			return err
		}
	}
	err := d.wal.SaveSnapshot(&walpb.Snapshot{Index: meta.Index, Term: meta.Term, ConfState: meta.ConfState})
	if err != nil {
		return err
	}
	if installed {
		d.saved.index, d.saved.indexTerm = meta.GetIndex(), meta.GetTerm()
	}
	return nil
}

// Release implements LogStorage.
func (d *Disk) Release(index uint64) error {
	if index == 0 {
		return nil
	}
	if err := d.wal.ReleaseLockTo(index); err != nil {
		return err
	}
	if err := d.removeSegments(index); err != nil {
		return err
	}
	return d.removeSnapshots(index)
}

// removeSegments deletes WAL segments that end at or before index.
func (d *Disk) removeSegments(index uint64) error {
	names, err := segmentNames(d.path("wal"))
	if err != nil {
		return err
	}
	for i := 0; i+1 < len(names); i++ {
		var seq, next uint64
		if _, err := fmt.Sscanf(names[i+1], "%016x-%016x.wal", &seq, &next); err != nil {
			return fmt.Errorf("WAL segment %s: %w", names[i+1], err)
		}
		// A segment is named after the first index that may be in it.
		if next > index {
			return nil
		}
		// wal is waiting: several segments, deleted whole, cost it tens of milliseconds.
		if err := d.bodies.drop(filepath.Join(d.path("wal"), names[i])); err != nil {
			return err
		}
		d.lg.Debug("WAL segment removed", zap.String("name", names[i]))
	}
	return nil
}

// removeSnapshots deletes snapshots older than index.
func (d *Disk) removeSnapshots(index uint64) error {
	names, err := fileutil.ReadDir(d.path("snap"))
	if err != nil {
		return err
	}
	for _, name := range names {
		var term, at uint64
		switch {
		case strings.HasSuffix(name, ".snap.db"):
			_, err = fmt.Sscanf(name, "%016x.snap.db", &at)
		case strings.HasSuffix(name, ".snap"):
			_, err = fmt.Sscanf(name, "%016x-%016x.snap", &term, &at)
		default:
			continue
		}
		if err != nil || at >= index {
			continue // not ours to judge, or still needed
		}
		if err := d.bodies.drop(filepath.Join(d.path("snap"), name)); err != nil {
			return err
		}
	}
	return nil
}

// WriteBody implements BodyStorage.
func (d *Disk) WriteBody(index uint64, r io.Reader) error {
	// A file of the same index holds the same state, unless it is damaged.
	if _, err := checkBodyFile(d.bodyPath(index)); err == nil {
		_, err := io.Copy(io.Discard, r)
		return err
	}
	if err := os.Remove(d.bodyPath(index)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return saveBody(d.bodyPath(index), r)
}

// OpenBody implements BodyStorage. A file that is open outlives its name.
func (d *Disk) OpenBody(index uint64) (io.ReadSeekCloser, int64, error) {
	f, err := d.bodies.open(d.bodyPath(index))
	if err != nil {
		return nil, 0, err
	}
	info, err := f.Stat()
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, info.Size(), nil
}

func (d *Disk) metaPath(term, index uint64) string {
	return filepath.Join(d.path("snap"), fmt.Sprintf("%016x-%016x.snap", term, index))
}

// bodyNames lists the bodies of snapshots, the newest first.
func (d *Disk) bodyNames() []string {
	names, err := filepath.Glob(filepath.Join(d.path("snap"), "*.snap.db"))
	if err != nil {
		return nil // the pattern is good
	}
	slices.Sort(names) // hexadecimal, all of one length
	slices.Reverse(names)
	return names
}

func (d *Disk) bodyPath(index uint64) string {
	return filepath.Join(d.path("snap"), fmt.Sprintf("%016x.snap.db", index))
}
