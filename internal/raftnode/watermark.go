package raftnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
)

// watermark is a small file that says what is durable in the WAL. The WAL
// alone cannot tell a torn end from a lost one: wal.Repair cuts both and calls
// it a success, and a missing last segment leaves no trace.
//
// The file may lag behind the WAL, never run ahead of it. So it is raised
// after the WAL's fsync, by a plain write (a killed process loses nothing of
// it, a power failure a few indexes), and lowered, with an fsync of its own,
// before raft replaces entries or a snapshot replaces the log.
type watermark struct {
	path string
	mark
	state markState // of the file, as it was read

	f     *os.File // from the first write on
	fresh bool     // the next write makes the file, or makes it whole again
	buf   [watermarkBytes]byte
}

// mark is what the WAL is known to hold: entries up to index, and a vote. A
// log whose end was lost and grew again, or that forgot a replacement, can be
// long enough and still be another one, so the term of its end is kept too.
type mark struct {
	index     uint64 // of the last entry, or of a snapshot that replaced the log
	indexTerm uint64 // the term of that; 0: not known
	term      uint64 // raft's hard state
	vote      uint64 // for whom this member voted in term; 0: nobody yet
}

type markState int

const (
	markMissing markState = iota
	markDamaged
	markWhole
)

func (s markState) String() string {
	return [...]string{"missing", "damaged", "ok"}[s]
}

const (
	watermarkMagic = "kvdmark\x02"
	watermarkBytes = 8 + 4*8 + 4 // magic, the numbers of a mark, CRC-32C of all before; big endian
)

// readWatermark reads without changing anything. A file that is missing or
// damaged promises nothing.
func readWatermark(path string) (*watermark, error) {
	w := &watermark{path: path, fresh: true}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, err
	}
	const body = watermarkBytes - 4
	if len(b) != watermarkBytes || string(b[:8]) != watermarkMagic ||
		binary.BigEndian.Uint32(b[body:]) != crc32.Checksum(b[:body], castagnoli) {
		w.state = markDamaged
		return w, nil
	}
	w.state, w.fresh = markWhole, false
	for i, p := range []*uint64{&w.index, &w.indexTerm, &w.term, &w.vote} {
		*p = binary.BigEndian.Uint64(b[8+8*i:])
	}
	return w, nil
}

// create makes the file durable in its directory before it is first needed.
func (w *watermark) create() error { return w.write(w.mark) }

// raise promises m from now on. Its index is not below the one before.
func (w *watermark) raise(m mark) error {
	if m == w.mark && !w.fresh {
		return nil
	}
	return w.write(m)
}

// lower takes back what was promised after index, and the term at index.
func (w *watermark) lower(index uint64) error {
	if index > w.index {
		return nil
	}
	m := w.mark
	m.index, m.indexTerm = index, 0
	if err := w.write(m); err != nil {
		return err
	}
	return w.f.Sync()
}

func (w *watermark) write(m mark) error {
	if w.f == nil {
		f, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		w.f = f
	}
	b := w.buf[:]
	copy(b, watermarkMagic)
	for i, v := range [...]uint64{m.index, m.indexTerm, m.term, m.vote} {
		binary.BigEndian.PutUint64(b[8+8*i:], v)
	}
	binary.BigEndian.PutUint32(b[watermarkBytes-4:], crc32.Checksum(b[:watermarkBytes-4], castagnoli))
	if _, err := w.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write watermark: %w", err)
	}
	w.mark = m
	if !w.fresh {
		return nil
	}
	// Its length changes: only this once is a plain write not enough.
	err := errors.Join(w.f.Truncate(watermarkBytes), w.f.Sync(), syncDir(filepath.Dir(w.path)))
	if err != nil {
		return fmt.Errorf("write watermark: %w", err)
	}
	w.state, w.fresh = markWhole, false
	return nil
}

func (w *watermark) close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}
