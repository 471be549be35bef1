package kvstore

import (
	"encoding/binary"
	"math"
	"time"
)

func (d *snapshotReader) leases(s *state) {
	s.leases.granted = d.uvarint()
	var last LeaseID
	for range d.uvarint() {
		id := d.bytes(0, 8)
		if d.err != nil {
			return
		}
		l := Lease{ID: LeaseID(binary.BigEndian.Uint64(id))}
		l.TTL, l.Deadline = d.life(s.clock)
		if d.err == nil && l.ID <= last {
			d.fail("lease %s after %s", l.ID, last)
		}
		if d.err != nil {
			return
		}
		s.setLease(l)
		last = l.ID
	}
}

func (d *snapshotReader) requests(s *state) {
	rs := &s.requests
	ever, n := d.uvarint(), d.uvarint()
	if d.err == nil && (n > ever || n > requestMost) {
		d.fail("%d requests of %d", n, ever)
		return
	}
	rs.next = ever - n
	last := time.Duration(0)
	for range n {
		size := d.uvarint()
		if d.err == nil && size > math.MaxInt {
			d.fail("request of %d bytes", size)
		}
		b := d.bytes(0, size)
		if d.err != nil {
			return
		}
		x, ok := decodeRecord(b)
		if !ok || x.clock < last || x.clock > s.clock || rs.find(x.key) != nil {
			d.fail("request that is none, or out of order")
			return
		}
		if _, err := decodeResult(x.result); err != nil {
			d.fail("result of a request: %v", err)
			return
		}
		last = x.clock
		s.sum += rs.add(&x, b).hash()
	}
	if rs.bytes > requestBytes {
		d.fail("requests of %d bytes", rs.bytes)
	}
}

// attach notes when a live item ends, if it does not last.
func (d *snapshotReader) attach(s *state, it *item) {
	if it.traits.lasting() {
		return
	}
	if id := it.traits.lease; id != 0 {
		if s.leases.tree.get(binary.BigEndian.AppendUint64(nil, uint64(id))) == nil {
			d.fail("a key with lease %s, which is not there", id)
			return
		}
	}
	s.leases.attach(it)
}
