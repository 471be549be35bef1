package kvstore

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
)

// ErrBadSnapshot is wrapped by Restore's errors for a snapshot that is cut,
// changed, or none at all.
var ErrBadSnapshot = errors.New("malformed snapshot")

// Restore replaces the whole state by the snapshot that r holds to its end. On
// any error, r's own included, the state stays as it was. Readers see the old
// state until the new one is complete; what is the same in both is kept only
// once.
func (m *Machine) Restore(r io.Reader) error {
	d := &snapshotReader{r: bufio.NewReaderSize(r, snapshotBuffer), types: newTypes()}
	s, err := d.state(&m.state.tree)
	if err != nil {
		return fmt.Errorf("restore snapshot: %w", err)
	}
	defer m.watches.tell()
	m.mu.Lock()
	defer m.mu.Unlock()
	m.state, m.moment = s, View{}
	m.waiting.wake(s.revision)
	m.watches.note(&m.state)
	return nil
}

// begin reads what every snapshot begins with.
func (d *snapshotReader) begin() {
	if magic := d.bytes(0, uint64(len(snapshotMagic))); d.err == nil && string(magic) != snapshotMagic {
		d.fail("no snapshot of a kvd store")
	}
	v := d.byte()
	switch {
	case d.err != nil || v == snapshotVersion:
	case v > snapshotVersion:
		d.err = fmt.Errorf("%w: version %d, known is %d", ErrNewerVersion, v, snapshotVersion)
	default:
		d.fail("version %d", v)
	}
}

// state reads a snapshot. What old holds too is taken from there, so that a
// member that was not far behind does not need the memory for two stores.
func (d *snapshotReader) state(old *tree) (state, error) {
	d.begin()
	s := newState()
	s.revision, s.compacted, s.clock, s.index = d.uvarint(), d.uvarint(), d.duration(), d.uvarint()
	if d.err == nil && s.compacted > s.revision {
		d.fail("compacted to %d at revision %d", s.compacted, s.revision)
	}
	d.marks(&s)
	d.leases(&s)
	d.requests(&s)
	var ld loader
	ch := chain{known: old}
	for {
		tag := d.byte()
		if d.err != nil {
			return state{}, d.err
		}
		if tag == snapshotEnd || tag == snapshotKey || tag == snapshotMortalKey {
			if ch.newest != nil {
				d.load(&s, &ld, ch.newest)
			}
			ch.newest = nil
		}
		if tag == snapshotEnd {
			break
		}
		it := d.version(tag, &ch, &s, ld.last())
		if d.err != nil {
			return state{}, d.err
		}
		s.sum += it.hash()
		ch.add(it)
		if ch.newest.modRevision > s.compacted {
			d.changes = append(d.changes, event{ch.newest.modRevision, ch.newest})
		}
	}
	s.tree = ld.tree()
	d.end(&s)
	if d.err != nil {
		return state{}, d.err
	}
	slices.SortFunc(d.changes, func(a, b event) int {
		if c := cmp.Compare(a.revision, b.revision); c != 0 {
			return c
		}
		return bytes.Compare(a.it.kv, b.it.kv)
	})
	for _, e := range d.changes {
		s.events.add(e.it)
	}
	return s, nil
}

// load adds a key, which stands for all of its versions.
func (d *snapshotReader) load(s *state, ld *loader, newest *item) {
	ld.add(newest)
	if !newest.deleted() {
		s.keys++
		s.bytes += newest.size()
		d.attach(s, newest)
	} else {
		s.history += newest.cost()
	}
	for it := newest.prev; it != nil; it = it.prev {
		s.history += it.cost()
	}
}

func (d *snapshotReader) marks(s *state) {
	var last mark
	for range d.uvarint() {
		revision, clock := d.uvarint(), d.duration()
		if d.err != nil {
			return
		}
		if revision == 0 || revision > s.revision-last.revision || clock > s.clock-last.clock ||
			clock == 0 && len(s.marks) > 0 {
			d.fail("mark of revision %d+%d at %d+%d", last.revision, revision, last.clock, clock)
			return
		}
		last.revision += revision
		last.clock += clock
		s.marks = append(s.marks, last)
		s.sum += last.hash()
	}
}

// version reads what follows tag, and checks it against the store's revisions,
// the version before and the last key.
func (d *snapshotReader) version(tag byte, ch *chain, s *state, last *item) *item {
	switch {
	case tag == snapshotKey || tag == snapshotMortalKey:
		return d.key(s, last, tag == snapshotMortalKey)
	case tag > snapshotMortalAgain:
		d.fail("%d where a version should begin", tag)
		return nil
	case ch.newest == nil:
		d.fail("a later version without a first one")
		return nil
	}
	prev := ch.newest
	again := tag == snapshotAgain || tag == snapshotMortalAgain
	var valueLen uint64
	if again {
		valueLen = d.uvarint()
	}
	revision := d.uvarint()
	switch {
	case d.err != nil:
		return nil
	case valueLen > math.MaxInt-MaxKeyBytes:
		d.fail("value of %d bytes", valueLen)
		return nil
	case revision <= prev.modRevision || revision <= s.compacted || revision > s.revision:
		d.fail("revision %d after %d, compacted to %d at revision %d", revision, prev.modRevision, s.compacted, s.revision)
		return nil
	case again:
		it := &item{createRevision: revision, modRevision: revision, version: 1, prev: prev}
		if !prev.deleted() {
			it.createRevision, it.version = prev.createRevision, prev.version+1
		}
		it.traits = d.traits(tag == snapshotMortalAgain, s.clock)
		kv := d.bytes(len(prev.kv), valueLen)
		if d.err != nil {
			return nil
		}
		copy(kv, prev.kv)
		it.kv = kv[:len(prev.kv)]
		return it
	case prev.deleted():
		d.fail("deleted twice")
		return nil
	case tag == snapshotExpire:
		return prev.tombstone(revision, expired)
	}
	return prev.tombstone(revision, untyped)
}

// key reads the oldest version of the key after last.
func (d *snapshotReader) key(s *state, last *item, mortal bool) *item {
	keyLen, valueLen := d.uvarint(), d.uvarint()
	it := &item{createRevision: d.uvarint(), modRevision: d.uvarint(), version: d.uvarint()}
	it.traits = d.traits(mortal, s.clock)
	switch {
	case d.err != nil:
	case keyLen == 0 || keyLen > MaxKeyBytes || valueLen > math.MaxInt-MaxKeyBytes:
		d.fail("key of %d bytes, value of %d", keyLen, valueLen)
	case it.createRevision == 0 || it.createRevision > it.modRevision || it.modRevision > s.revision ||
		it.version == 0 || it.version-1 > it.modRevision-it.createRevision:
		d.fail("revisions %d, %d and version %d at revision %d", it.createRevision, it.modRevision, it.version, s.revision)
	case it.modRevision > s.compacted && it.version > 1:
		d.fail("no version before revision %d, compacted to %d", it.modRevision, s.compacted)
	}
	kv := d.bytes(0, keyLen+valueLen)
	if d.err != nil {
		return nil
	}
	it.kv = kv[:keyLen]
	if last != nil && string(last.kv) >= string(it.kv) {
		d.fail("keys out of order")
	}
	return it
}

// end reads the numbers at the end, compares them with s, and asks for the end
// of the stream: what checks a stream as it is read speaks up only there.
func (d *snapshotReader) end(s *state) {
	count := d.uvarint()
	sum := d.bytes(0, 8)
	if d.err != nil {
		return
	}
	if count != uint64(s.tree.n) {
		d.fail("%d keys, %d announced", s.tree.n, count)
		return
	}
	if want := binary.LittleEndian.Uint64(sum); want != s.hash() {
		d.fail("hash of the state is %x, announced %x", s.hash(), want)
		return
	}
	switch _, err := d.r.ReadByte(); {
	case err == nil:
		d.fail("more after the end")
	case err != io.EOF:
		d.err = err
	}
}
