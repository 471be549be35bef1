package raftnode

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// contents is what a new data directory is to hold.
type contents struct {
	identity  Identity
	hardState *raftpb.HardState
	entries   []*raftpb.Entry // behind the snapshot

	meta   *raftpb.SnapshotMetadata // nil: no snapshot
	header *bodyHeader              // of the snapshot
	source string                   // the file that its state is taken from
}

// Restore makes a data directory of a snapshot file: a cluster of one, new to
// all others, that goes on with the state of the file. Its id is random, so
// nobody takes its member for one of the old cluster; the member's is above
// all that were ever used, and those are never used again. dir must be missing
// or empty; it is made whole or not at all. The state is first read by state,
// as by ReadSnapshot.
func Restore(file, dir, name string, state func(io.Reader) error) (SnapshotFile, Identity, error) {
	if err := checkFresh(dir); err != nil {
		return SnapshotFile{}, Identity{}, err
	}
	sf, h, err := readSnapshotFile(file, state)
	if err != nil {
		return sf, Identity{}, err
	}
	id := Identity{Cluster: randomID(), Member: h.Membership.nextID(), Name: name}
	if id.Member >= raft.LocalApplyThread {
		return sf, Identity{}, fmt.Errorf("%s: no member id is left above %d", file, id.Member-1)
	}
	if id.Name == "" {
		id.Name = fmt.Sprintf("n%d", id.Member)
	}
	header, conf, err := headerOfOne(h, id)
	if err != nil {
		return sf, Identity{}, err
	}
	return sf, id, makeDir(dir, &contents{
		identity:  id,
		hardState: &raftpb.HardState{Term: new(h.Term), Vote: new(raft.None), Commit: new(h.Index)},
		meta:      &raftpb.SnapshotMetadata{Index: new(h.Index), Term: new(h.Term), ConfState: conf},
		header:    header,
		source:    file,
	})
}

// headerOfOne is h for a cluster of one new member, whose addresses nobody
// knows before it publishes them.
func headerOfOne(h *bodyHeader, id Identity) (*bodyHeader, *raftpb.ConfState, error) {
	conf := &raftpb.ConfState{Voters: []uint64{id.Member}}
	b, err := proto.Marshal(conf)
	if err != nil {
		return nil, nil, err
	}
	m := &membership{
		Members: map[uint64]Member{id.Member: {ID: id.Member, Name: id.Name}},
		Removed: cloneMap(h.Membership.Removed),
	}
	for old := range h.Membership.Members {
		m.Removed[old] = struct{}{}
	}
	next := *h
	next.Cluster, next.ConfState, next.Membership = id.Cluster, b, m
	return &next, conf, nil
}

// randomID is unlike any other cluster's.
func randomID() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails
	return max(1, binary.BigEndian.Uint64(b[:]))
}

// checkFresh refuses a directory that holds anything.
func checkFresh(dir string) error {
	names, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	case len(names) > 0:
		return fmt.Errorf("%w: %s exists and is not empty; name a directory that does not exist", ErrDataDir, dir)
	}
	return nil
}

// makeDir builds a data directory under another name, tries it, and gives it
// its own name in the end: a crash on the way leaves nothing that could be
// mistaken for it.
func makeDir(dir string, c *contents) (err error) {
	defer func() {
		if err != nil && !errors.Is(err, ErrDataDir) {
			err = fmt.Errorf("%w: make %s: %w", ErrDataDir, dir, err)
		}
	}()
	dir = filepath.Clean(dir)
	if err := mkdirAll(filepath.Dir(dir)); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), filepath.Base(dir)+".unfinished-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp) // nothing, once it is renamed
	if err := fillDir(tmp, c); err != nil {
		return err
	}
	r, err := Examine(tmp)
	if err != nil {
		return err
	}
	if r.Fault != nil || r.Identity != c.identity || r.Last != c.last() {
		return fmt.Errorf("what was written cannot be read again: %v", r.Fault)
	}
	// Emptiness is judged again, by the system: a directory with anything in
	// it cannot be removed, nor be replaced.
	if err := os.Remove(dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if err := os.Rename(tmp, dir); err != nil {
		return err
	}
	return syncDir(filepath.Dir(dir))
}

// last is the index of the last entry, or of the snapshot.
func (c *contents) last() uint64 {
	if n := len(c.entries); n > 0 {
		return c.entries[n-1].GetIndex()
	}
	return c.meta.GetIndex()
}

// fillDir writes a data directory as its member would have, in the same order.
func fillDir(dir string, c *contents) error {
	d, err := OpenDisk(dir, nil)
	if err != nil {
		return err
	}
	if err := d.fill(c); err != nil {
		return errors.Join(err, d.Close())
	}
	// The lock names a process that is not its member.
	return errors.Join(d.Close(), os.Remove(d.path("lock")), syncDir(dir))
}

func (d *Disk) fill(c *contents) error {
	if _, err := d.Load(c.identity); err != nil {
		return err
	}
	if c.meta != nil {
		if err := d.copyBody(c); err != nil {
			return err
		}
		if err := d.SaveSnapshot(c.meta, true); err != nil {
			return err
		}
	}
	for ents := c.entries; len(ents) > 0; {
		n := min(len(ents), 1000) // a segment can only end between two writes
		if err := d.Save(nil, ents[:n]); err != nil {
			return err
		}
		ents = ents[n:]
	}
	if err := d.Save(c.hardState, nil); err != nil {
		return err
	}
	// A running member lets the watermark lag; here nothing comes after it.
	return errors.Join(d.Sync(), d.mark.f.Sync())
}

// copyBody stores the state of one snapshot under the header of another.
func (d *Disk) copyBody(c *contents) error {
	f, err := os.Open(c.source)
	if err != nil {
		return err
	}
	defer f.Close()
	from := newBodyReader(f)
	if _, err := readBodyHeader(from); err != nil {
		return fmt.Errorf("%s: %w", c.source, err)
	}
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() { // ends with the pipe, which WriteBody's return closes
		defer close(done)
		w.CloseWithError(writeBody(w, c.header, readerState{from}))
	}()
	err = d.WriteBody(c.meta.GetIndex(), r)
	r.CloseWithError(io.ErrClosedPipe)
	<-done
	return err
}

// readerState is a state that comes from elsewhere.
type readerState struct{ r io.Reader }

func (s readerState) WriteTo(w io.Writer) (int64, error) { return io.Copy(w, s.r) }
