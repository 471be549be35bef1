package kvstore

import (
	"bufio"
	"encoding/binary"
	"io"
	"time"
)

// The snapshot format. Version 1:
//
//	8 bytes  "kvdstate"
//	byte     version
//	uvarint  revision
//	uvarint  the log's clock in nanoseconds
//	uvarint  index of the last entry applied
//	items, in ascending order of their keys, each
//	  byte     1
//	  uvarint  length of the key, of the value
//	  uvarint  create revision, mod revision, version
//	  bytes    content type: uvarint length and the bytes
//	           the key and the value
//	byte     0
//	uvarint  number of items
//	8 bytes  hash of the state, little-endian
//
// and then the end. The numbers at the end tell a whole snapshot from a cut one,
// and what was written from what was meant.
const (
	snapshotMagic   = "kvdstate"
	snapshotVersion = 1

	snapshotItem = 1
	snapshotEnd  = 0

	snapshotBuffer = 64 << 10
)

// frozen is the state of one moment.
type frozen struct {
	view     view
	revision uint64
	clock    time.Duration
	index    uint64
	hash     uint64
}

// Snapshot returns the state as it is after the last entry applied. It takes no
// time; WriteTo does, and may run on another goroutine, any number of times,
// while Apply goes on. The memory that it holds on to, beyond what the store
// still has, is released with the returned value.
func (m *Machine) Snapshot() (io.WriterTo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &frozen{
		view:     m.state.tree.freeze(),
		revision: m.state.revision,
		clock:    m.state.clock,
		index:    m.state.index,
		hash:     m.state.hash(),
	}, nil
}

// WriteTo writes the snapshot with writes of about 64 KiB.
func (f *frozen) WriteTo(w io.Writer) (int64, error) {
	cw := &countingWriter{w: w}
	bw := bufio.NewWriterSize(cw, snapshotBuffer)
	err := f.write(bw)
	if err == nil {
		err = bw.Flush()
	}
	return cw.n, err
}

func (f *frozen) write(w *bufio.Writer) error {
	w.WriteString(snapshotMagic)
	w.WriteByte(snapshotVersion)
	b := w.AvailableBuffer()
	b = binary.AppendUvarint(b, f.revision)
	b = binary.AppendUvarint(b, uint64(f.clock))
	b = binary.AppendUvarint(b, f.index)
	w.Write(b)
	for it := range f.view.all() {
		b := append(w.AvailableBuffer(), snapshotItem)
		b = binary.AppendUvarint(b, uint64(len(it.key())))
		b = binary.AppendUvarint(b, uint64(len(it.value())))
		b = binary.AppendUvarint(b, it.createRevision)
		b = binary.AppendUvarint(b, it.modRevision)
		b = binary.AppendUvarint(b, it.version)
		b = appendBytes(b, it.contentType.Value())
		w.Write(b)
		// A bufio.Writer keeps its first error: ask once an item, to stop early.
		if _, err := w.Write(it.kv[:cap(it.kv)]); err != nil {
			return err
		}
	}
	w.WriteByte(snapshotEnd)
	b = binary.AppendUvarint(w.AvailableBuffer(), uint64(f.view.n))
	b = binary.LittleEndian.AppendUint64(b, f.hash)
	_, err := w.Write(b)
	return err
}

type countingWriter struct {
	w io.Writer
	n int64
}

func (c *countingWriter) Write(b []byte) (int, error) {
	n, err := c.w.Write(b)
	c.n += int64(n)
	return n, err
}
