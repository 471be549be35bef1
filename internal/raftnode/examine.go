package raftnode

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.uber.org/zap"
)

// Report is what a data directory holds. Of a damaged one it tells what can
// still be read.
type Report struct {
	Dir       string
	Identity  Identity // zero: nobody's, or not to be read
	Removed   string   // what the mark of a removed member says; empty: there is none
	Term      uint64
	Vote      uint64
	Commit    uint64
	First     uint64 // of the log; behind Last when it is empty
	Last      uint64
	LastTerm  uint64 // the term of the entry at Last
	Segments  int
	Torn      *Torn // an end that the next start cuts off
	Watermark Watermark
	Snapshots []SnapshotReport // newest first
	Members   []Member         // after all that is committed
	Former    []uint64         // ids of removed members
	Bytes     int64            // of all files
	Leftovers []string         // files that no member needs
	Fault     error            // why a member refuses the directory; nil: it does not
}

// Torn is the end of a log whose last write was never finished, and never
// acknowledged.
type Torn struct {
	File   string
	Offset int64
	Bytes  int64
}

// Watermark is what is known to be durable.
type Watermark struct {
	State             string // ok, missing or damaged
	Index, Term, Vote uint64
}

// SnapshotReport is one snapshot of a data directory.
type SnapshotReport struct {
	Index, Term uint64
	Bytes       int64
	Fault       error // nil: it is whole, and the log knows of it
}

// Examine reads a data directory that no process uses and changes nothing.
// Errors wrap ErrDataDir: there is no directory, it is in use, or it cannot be
// read at all.
func Examine(dir string) (*Report, error) {
	d, err := peek(dir)
	if err != nil {
		return nil, err
	}
	r := &Report{Dir: dir, Removed: d.removedText()}
	fault := d.read()
	var rec *Recovered
	if fault == nil && d.found != nil {
		if rec, fault = d.recover(); fault != nil {
			fault = d.unusable(fault)
		}
	}
	r.Fault = fault
	r.describeLog(d)
	r.describeSnapshots(d)
	r.describeMembers(d, rec)
	return r, errors.Join(r.describeFiles(d), d.Close())
}

// peek locks a directory without leaving a trace. One that was made unwritable
// cannot be locked, and is not in use either.
func peek(dir string) (*Disk, error) {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		err = fmt.Errorf("%s: %w", dir, syscall.ENOTDIR)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	d := &Disk{dir: dir, lg: zap.NewNop()}
	d.lock, err = fileutil.TryLockFile(d.path("lock"), os.O_RDWR, 0)
	switch {
	case err == nil:
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrPermission), errors.Is(err, syscall.EROFS):
		d.lock = nil
	default:
		return nil, d.explainLock(err)
	}
	return d, nil
}

func (r *Report) describeLog(d *Disk) {
	if d.mark != nil {
		r.Watermark = Watermark{State: d.mark.state.String(), Index: d.mark.index, Term: d.mark.term, Vote: d.mark.vote}
	}
	f := d.found
	if f == nil {
		return
	}
	r.Identity, r.Segments = f.identity, f.segments
	r.Term, r.Vote, r.Commit = f.hardState.GetTerm(), f.hardState.GetVote(), f.hardState.GetCommit()
	r.First, r.Last, r.LastTerm = f.base+1, f.last(), f.lastTerm()
	if t := f.torn; t != nil {
		r.Torn = &Torn{File: t.file, Offset: t.offset, Bytes: t.size - t.offset}
	}
}

func (r *Report) describeSnapshots(d *Disk) {
	known := map[uint64]*walpb.Snapshot{}
	names := d.bodyNames()
	if d.found != nil {
		for i, c := range d.found.snapshots() {
			known[c.GetIndex()] = c
			// Older ones may have been given up; the newest is needed.
			if name := d.bodyPath(c.GetIndex()); i == 0 && c.GetIndex() > 0 && !slices.Contains(names, name) {
				names = slices.Insert(names, 0, name)
			}
		}
	}
	for _, name := range names {
		var s SnapshotReport
		if _, err := fmt.Sscanf(filepath.Base(name), "%016x.snap.db", &s.Index); err != nil {
			continue
		}
		if info, err := os.Stat(name); err == nil {
			s.Bytes = info.Size()
		}
		if c, ok := known[s.Index]; ok {
			s.Term = c.GetTerm()
			_, s.Fault = d.readSnapshot(c)
		} else {
			h, err := checkBodyFile(name)
			if err == nil {
				s.Term, err = h.Term, errors.New("the log does not know of it")
			}
			s.Fault = err
		}
		r.Snapshots = append(r.Snapshots, s)
	}
}

func (r *Report) describeMembers(d *Disk, rec *Recovered) {
	m := d.guessMembers()
	if rec != nil {
		if ro, err := d.roster(rec, r.Commit); err == nil {
			m = ro.members
		}
	}
	if m != nil {
		r.Members, r.Former = m.sorted(), slices.Sorted(maps.Keys(m.Removed))
	}
}

// roster follows the membership up to an index.
func (d *Disk) roster(rec *Recovered, upTo uint64) (*roster, error) {
	h := &bodyHeader{Membership: &membership{}}
	if rec.Snapshot != nil {
		var err error
		if h, err = readHeaderFile(d.bodyPath(rec.Snapshot.GetIndex())); err != nil {
			return nil, err
		}
	}
	r, err := newRoster(h, rec.Snapshot.GetConfState())
	if err != nil {
		return nil, err
	}
	for _, e := range rec.Entries {
		if e.GetIndex() > upTo {
			break
		}
		if err := r.apply(e); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Report) describeFiles(d *Disk) error {
	needed := map[string]bool{"lock": true, "watermark": true, "removed": true, "founding": true}
	for _, s := range r.Snapshots {
		needed[filepath.Join("snap", filepath.Base(d.bodyPath(s.Index)))] = true
		needed[filepath.Join("snap", filepath.Base(d.metaPath(s.Term, s.Index)))] = true
	}
	err := filepath.WalkDir(d.dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		r.Bytes += info.Size()
		name, err := filepath.Rel(d.dir, path)
		// The next segment is made in advance, under a name of its own.
		log := filepath.Dir(name) == "wal" && (strings.HasSuffix(name, ".wal") || strings.HasSuffix(name, ".tmp"))
		if !needed[name] && !log {
			r.Leftovers = append(r.Leftovers, name)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	slices.SortFunc(r.Leftovers, cmp.Compare[string])
	return nil
}
