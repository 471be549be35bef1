package kvstore

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math"
	"time"
	"unique"
)

// ErrBadSnapshot is wrapped by Restore's errors for a snapshot that is cut,
// changed, or none at all.
var ErrBadSnapshot = errors.New("malformed snapshot")

// trusted is how many bytes a length in a snapshot is believed before the bytes
// are there: a length that lies costs no more memory than this.
const trusted = 1 << 20

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
	m.mu.Lock()
	m.state = s
	m.mu.Unlock()
	return nil
}

// snapshotReader reads fields until the first error, which it keeps.
type snapshotReader struct {
	r     *bufio.Reader
	types types
	text  [MaxContentTypeBytes]byte
	err   error
}

// state reads a snapshot. Items that old holds too are taken from there, so that
// a member that was not far behind does not need the memory for two stores.
func (d *snapshotReader) state(old *tree) (state, error) {
	if magic := d.bytes(uint64(len(snapshotMagic))); d.err == nil && string(magic) != snapshotMagic {
		d.fail("no snapshot of a kvd store")
	}
	if v := d.byte(); d.err == nil && v != snapshotVersion {
		if v > snapshotVersion {
			return state{}, fmt.Errorf("%w: version %d, known is %d", ErrNewerVersion, v, snapshotVersion)
		}
		d.fail("version %d", v)
	}
	s := state{revision: d.uvarint(), clock: d.duration(), index: d.uvarint()}
	var ld loader
	for {
		tag := d.byte()
		if d.err != nil {
			return state{}, d.err
		}
		if tag == snapshotEnd {
			break
		}
		it := d.item(tag, s.revision, ld.last())
		if d.err != nil {
			return state{}, d.err
		}
		s.sum += it.hash()
		s.bytes += it.size()
		if old.n > 0 {
			if have := old.get(it.kv); have != nil && have.equal(it) {
				it = have
			}
		}
		ld.add(it)
	}
	s.tree = ld.tree()
	d.end(&s)
	return s, d.err
}

// item reads what follows tag, and checks it against the store's revision and
// the item before.
func (d *snapshotReader) item(tag byte, revision uint64, last *item) *item {
	keyLen, valueLen := d.uvarint(), d.uvarint()
	it := &item{createRevision: d.uvarint(), modRevision: d.uvarint(), version: d.uvarint()}
	it.contentType = d.contentType()
	switch {
	case d.err != nil:
	case tag != snapshotItem:
		d.fail("%d where an item should begin", tag)
	case keyLen == 0 || keyLen > MaxKeyBytes || valueLen > math.MaxInt-MaxKeyBytes:
		d.fail("key of %d bytes, value of %d", keyLen, valueLen)
	case it.createRevision == 0 || it.createRevision > it.modRevision || it.modRevision > revision ||
		it.version == 0 || it.version-1 > it.modRevision-it.createRevision:
		d.fail("revisions %d, %d and version %d at revision %d", it.createRevision, it.modRevision, it.version, revision)
	}
	kv := d.bytes(keyLen + valueLen)
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
	sum := d.bytes(8)
	if d.err != nil {
		return
	}
	if count != uint64(s.tree.n) {
		d.fail("%d items, %d announced", s.tree.n, count)
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

func (d *snapshotReader) fail(format string, args ...any) {
	d.err = fmt.Errorf("%w: "+format, append([]any{ErrBadSnapshot}, args...)...)
}

// took keeps the error of a read from r; a stream that ends early is malformed.
func (d *snapshotReader) took(err error) {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		d.fail("cut short")
		return
	}
	d.err = err
}

func (d *snapshotReader) byte() byte {
	if d.err != nil {
		return 0
	}
	b, err := d.r.ReadByte()
	if err != nil {
		d.took(err)
	}
	return b
}

// uvarint takes only the shortest form of a number: a state has one snapshot.
func (d *snapshotReader) uvarint() uint64 {
	var v uint64
	for i := range binary.MaxVarintLen64 {
		b := d.byte()
		if d.err != nil {
			return 0
		}
		v |= uint64(b&0x7f) << (7 * i)
		if b < 0x80 {
			if i > 0 && b == 0 || i == binary.MaxVarintLen64-1 && b > 1 {
				break
			}
			return v
		}
	}
	d.fail("malformed number")
	return 0
}

func (d *snapshotReader) duration() time.Duration {
	v := d.uvarint()
	if v > math.MaxInt64 {
		d.fail("clock of %d", v)
		return 0
	}
	return time.Duration(v)
}

func (d *snapshotReader) contentType() unique.Handle[string] {
	n := d.uvarint()
	if d.err == nil && n > MaxContentTypeBytes {
		d.fail("content type of %d bytes", n)
	}
	if d.err != nil {
		return d.types.last
	}
	text := d.text[:n]
	if _, err := io.ReadFull(d.r, text); err != nil {
		d.took(err)
	}
	return d.types.of(text)
}

// bytes returns n bytes in a slice of just that capacity, which an item relies on.
func (d *snapshotReader) bytes(n uint64) []byte {
	var b []byte
	for have := uint64(0); d.err == nil; have = uint64(len(b)) {
		grown := make([]byte, min(n, max(2*have, trusted)))
		copy(grown, b)
		b = grown
		if _, err := io.ReadFull(d.r, b[have:]); err != nil {
			d.took(err)
		}
		if uint64(len(b)) == n {
			break
		}
	}
	return b
}
