package kvstore

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"
)

// trusted is how many bytes a length in a snapshot is believed before the bytes
// are there: a length that lies costs no more memory than this.
const trusted = 1 << 20

// snapshotReader reads fields until the first error, which it keeps.
type snapshotReader struct {
	r     *bufio.Reader
	types types
	text  [MaxContentTypeBytes]byte
	err   error

	changes []event // what the events will be, in the order of their keys
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

// traits reads the content type and, of a version that does not last, what comes
// before it.
func (d *snapshotReader) traits(mortal bool, clock time.Duration) *traits {
	var lease LeaseID
	var ttl, deadline time.Duration
	if mortal {
		if lease = LeaseID(d.uvarint()); lease == 0 {
			ttl, deadline = d.life(clock)
		}
	}
	n := d.uvarint()
	if d.err == nil && n > MaxContentTypeBytes {
		d.fail("content type of %d bytes", n)
	}
	if d.err != nil {
		return untyped
	}
	text := d.text[:n]
	if _, err := io.ReadFull(d.r, text); err != nil {
		d.took(err)
	}
	if ttl > 0 {
		return d.types.mortal(text, ttl, deadline)
	}
	return d.types.of(text, lease)
}

// life reads a TTL and the deadline that it led to, at clock or before.
func (d *snapshotReader) life(clock time.Duration) (ttl, deadline time.Duration) {
	ttl, deadline = d.duration(), d.duration()
	if d.err == nil && (!validTTL(ttl) || deadline < ttl || deadline > after(clock, ttl)) {
		d.fail("deadline %d with a TTL of %d at clock %d", deadline, ttl, clock)
	}
	return ttl, deadline
}

// bytes returns n bytes behind room for before others, in a slice of just that
// capacity, which an item relies on.
func (d *snapshotReader) bytes(before int, n uint64) []byte {
	var b []byte
	n += uint64(before)
	for have := uint64(before); d.err == nil; have = uint64(len(b)) {
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
