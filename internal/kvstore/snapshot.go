package kvstore

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"time"
)

// The snapshot format. Version 3:
//
//	8 bytes  "kvdstate"
//	byte     version
//	uvarint  revision, oldest revision that can be read
//	uvarint  the log's clock in nanoseconds
//	uvarint  index of the last entry applied
//	uvarint  number of marks, each
//	  uvarint  revision and clock, as differences from the mark before
//	uvarint  leases granted ever
//	uvarint  number of leases, in the order of their ids, each
//	  8 bytes  id, big-endian
//	  uvarint  TTL, deadline
//	uvarint  requests remembered ever
//	uvarint  number of those that still are, the oldest first, each
//	  bytes    record
//	versions, in ascending order of their keys, and of each key the oldest first:
//	  byte     1: another key
//	  uvarint  length of the key, of the value
//	  uvarint  create revision, mod revision, version
//	  bytes    content type: uvarint length and the bytes
//	           the key and the value
//	or
//	  byte     2: the same key again
//	  uvarint  length of the value
//	  uvarint  mod revision; the others follow from the version before
//	  bytes    content type
//	           the value
//	or
//	  byte     3: the same key, deleted
//	  uvarint  mod revision
//	or
//	  byte     4: the same key, expired
//	  uvarint  mod revision
//	or
//	  byte     5 or 6: as 1 or 2, of a version that does not last, with the lease
//	           before the content type, or 0, the TTL and its deadline
//	byte     0
//	uvarint  number of keys, deleted ones among them
//	8 bytes  hash of the state, little-endian
//
// and then the end. The numbers at the end tell a whole snapshot from a cut one,
// and what was written from what was meant.
const (
	snapshotMagic   = "kvdstate"
	snapshotVersion = 3

	snapshotEnd         = 0
	snapshotKey         = 1
	snapshotAgain       = 2
	snapshotDelete      = 3
	snapshotExpire      = 4
	snapshotMortalKey   = 5
	snapshotMortalAgain = 6

	snapshotBuffer = 64 << 10
)

// frozen is the state of one moment.
type frozen struct {
	view      view
	leases    view
	records   view // of requests
	granted   uint64
	requests  uint64
	revision  uint64
	compacted uint64
	clock     time.Duration
	index     uint64
	marks     marks
	hash      uint64
	sum       uint64
}

// Snapshot returns the state as it is after the last entry applied. It takes no
// time; WriteTo does, and may run on another goroutine, any number of times,
// while Apply goes on. The memory that it holds on to, beyond what the store
// still has, is released with the returned value.
func (m *Machine) Snapshot() (io.WriterTo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &frozen{
		view:      m.state.tree.freeze(),
		leases:    m.state.leases.tree.freeze(),
		records:   m.state.requests.records.freeze(),
		granted:   m.state.leases.granted,
		requests:  m.state.requests.next,
		revision:  m.state.revision,
		compacted: m.state.compacted,
		clock:     m.state.clock,
		index:     m.state.index,
		marks:     m.state.marks,
		hash:      m.state.hash(),
		sum:       m.state.sum,
	}, nil
}

// WriteTo writes the snapshot with writes of about 64 KiB. What it reads in memory
// must be what Apply has put there: otherwise it ends with an ErrDamaged, and the
// snapshot without its end.
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
	b = binary.AppendUvarint(b, f.compacted)
	b = binary.AppendUvarint(b, uint64(f.clock))
	b = binary.AppendUvarint(b, f.index)
	b = binary.AppendUvarint(b, uint64(len(f.marks)))
	w.Write(b)
	var last mark
	var sum uint64
	for _, k := range f.marks {
		sum += k.hash()
		b := binary.AppendUvarint(w.AvailableBuffer(), k.revision-last.revision)
		w.Write(binary.AppendUvarint(b, uint64(k.clock-last.clock)))
		last = k
	}
	sum += f.writeLeases(w)
	requests, err := f.writeRequests(w)
	if err != nil {
		return err
	}
	sum += requests
	var good traitsGuard
	var chain []*item // newest first
	var keys int
	var key []byte
	for it := range f.view.all() {
		if keys > 0 && string(it.kv) <= string(key) {
			return fmt.Errorf("%w: %q after %q", ErrDamaged, it.kv, key)
		}
		keys, key = keys+1, it.kv
		for chain = chain[:0]; it != nil && !it.forgotten(f.compacted); it = it.prev {
			chain = append(chain, it)
			if !good.sound(it.traits) || it.prev != nil && it.prev.modRevision >= it.modRevision {
				return fmt.Errorf("%w: %q at revision %d", ErrDamaged, it.kv, it.modRevision)
			}
			sum += it.hash()
			if it.modRevision <= f.compacted {
				break // what is older is forgotten, and perhaps there still
			}
		}
		for i := len(chain) - 1; i >= 0; i-- {
			if err := writeVersion(w, chain[i], i == len(chain)-1); err != nil {
				return err
			}
		}
	}
	if sum != f.sum || keys != f.view.n {
		return fmt.Errorf("%w: %d keys, sum %016x, should be %d, %016x", ErrDamaged, keys, sum, f.view.n, f.sum)
	}
	w.WriteByte(snapshotEnd)
	b = binary.AppendUvarint(w.AvailableBuffer(), uint64(f.view.n))
	b = binary.LittleEndian.AppendUint64(b, f.hash)
	_, err = w.Write(b)
	return err
}

// writeLeases returns the sum of what it wrote, and so does writeRequests.
func (f *frozen) writeLeases(w *bufio.Writer) (sum uint64) {
	b := binary.AppendUvarint(w.AvailableBuffer(), f.granted)
	w.Write(binary.AppendUvarint(b, uint64(f.leases.n)))
	for it := range f.leases.all() {
		l := leaseOf(it)
		b := append(w.AvailableBuffer(), it.kv...)
		b = binary.AppendUvarint(b, uint64(l.TTL))
		w.Write(binary.AppendUvarint(b, uint64(l.Deadline)))
		sum += it.hash()
	}
	return sum
}

func (f *frozen) writeRequests(w *bufio.Writer) (sum uint64, err error) {
	b := binary.AppendUvarint(w.AvailableBuffer(), f.requests)
	w.Write(binary.AppendUvarint(b, uint64(f.records.n)))
	for it := range f.records.all() {
		w.Write(binary.AppendUvarint(w.AvailableBuffer(), uint64(len(it.value()))))
		if _, err := w.Write(it.value()); err != nil {
			return 0, err
		}
		sum += it.hash()
	}
	return sum, nil
}

func writeVersion(w *bufio.Writer, it *item, oldest bool) error {
	b := w.AvailableBuffer()
	if it.deleted() {
		tag := byte(snapshotDelete)
		if it.expired() {
			tag = snapshotExpire
		}
		_, err := w.Write(binary.AppendUvarint(append(b, tag), it.modRevision))
		return err
	}
	first, again := byte(snapshotKey), byte(snapshotAgain)
	if !it.traits.lasting() {
		first, again = snapshotMortalKey, snapshotMortalAgain
	}
	body := it.kv[:cap(it.kv)]
	if oldest {
		b = append(b, first)
		b = binary.AppendUvarint(b, uint64(len(it.key())))
		b = binary.AppendUvarint(b, uint64(len(it.value())))
		b = binary.AppendUvarint(b, it.createRevision)
		b = binary.AppendUvarint(b, it.modRevision)
		b = binary.AppendUvarint(b, it.version)
	} else {
		body = it.value()
		b = append(b, again)
		b = binary.AppendUvarint(b, uint64(len(body)))
		b = binary.AppendUvarint(b, it.modRevision)
	}
	if !it.traits.lasting() {
		b = binary.AppendUvarint(b, uint64(it.traits.lease))
		if it.traits.lease == 0 {
			b = binary.AppendUvarint(b, uint64(it.traits.ttl))
			b = binary.AppendUvarint(b, uint64(it.traits.deadline))
		}
	}
	w.Write(appendBytes(b, it.traits.contentType))
	// A bufio.Writer keeps its first error: ask once a version, to stop early.
	_, err := w.Write(body)
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
