package kvstore

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// checkState counts the whole state anew and compares it with what the machine
// keeps count of, and holds chains and events to what they promise.
func checkState(tb testing.TB, m *Machine) {
	tb.Helper()
	s := &m.state
	s.tree.check(tb)
	var sum, size, history uint64
	keys, changes := 0, 0
	ends := newLeases()
	for newest := range (view{root: s.tree.root}).all() {
		for it := newest; it != nil && !it.forgotten(s.compacted); it = it.prev {
			sum += it.hash()
			if it.traits == nil || it.deleted() && it.traits != untyped && it.traits != expired {
				tb.Fatalf("%q at %d has traits %+v", it.kv, it.modRevision, it.traits)
			}
			switch {
			case it == newest && !it.deleted():
				keys++
				size += it.size()
				if !it.traits.lasting() {
					ends.attach(it)
				}
			default:
				history += it.cost()
			}
			if it.modRevision > s.compacted {
				changes++
				if at := s.events.index(it, s.events.n); at < 0 || s.events.at(at).revision != it.modRevision {
					tb.Fatalf("no event for %q at %d", it.kv, it.modRevision)
				}
			}
			switch prev := it.prev; {
			case prev == nil || prev.forgotten(s.compacted):
				if it.deleted() {
					tb.Fatalf("the oldest version of %q is a tombstone", it.kv)
				}
			case prev.modRevision >= it.modRevision || !bytes.Equal(prev.kv, it.kv) || prev.deleted() && it.deleted():
				tb.Fatalf("%q: %+v before %+v", it.kv, prev, it)
			}
			if it.modRevision <= s.compacted {
				break // what is older is forgotten, and perhaps there still
			}
		}
	}
	if changes != s.events.n {
		tb.Fatalf("%d events, %d changes", s.events.n, changes)
	}
	for i := 1; i < s.events.n; i++ {
		if a, b := s.events.at(i-1), s.events.at(i); !a.before(b.it) {
			tb.Fatalf("event of %q at %d before that of %q at %d", a.it.kv, a.revision, b.it.kv, b.revision)
		}
	}
	for _, k := range s.marks {
		sum += k.hash()
	}
	sum += checkLeases(tb, s, &ends) + checkRequests(tb, s)
	if sum != s.sum || keys != s.keys || size != s.bytes || history != s.history {
		tb.Fatalf("counted %x, %d keys, %d bytes, %d of history; kept %x, %d, %d, %d",
			sum, keys, size, history, s.sum, s.keys, s.bytes, s.history)
	}
	checkDigest(tb, m)
}

// checkLeases compares what the leases and the keys lead to with what is kept,
// and returns the sum of the leases' hashes. ends has what the keys lead to.
func checkLeases(tb testing.TB, s *state, ends *leases) (sum uint64) {
	tb.Helper()
	ls := &s.leases
	for it := range (view{root: ls.tree.root}).all() {
		l := leaseOf(it)
		sum += it.hash()
		ends.deadlines.add(l.due())
		if !validTTL(l.TTL) || l.Deadline > after(s.clock, l.TTL) {
			tb.Fatalf("lease %+v at %s", l, s.clock)
		}
	}
	for _, c := range []struct {
		name      string
		got, want *tree
	}{{"attached", &ls.attached, &ends.attached}, {"deadlines", &ls.deadlines, &ends.deadlines}} {
		c.got.check(tb)
		var want []string
		for it := range (view{root: c.want.root}).all() {
			want = append(want, string(it.kv))
		}
		i := 0
		for it := range (view{root: c.got.root}).all() {
			if i == len(want) || string(it.kv) != want[i] {
				tb.Fatalf("%s: %q is there, %q should be", c.name, it.kv, want[min(i, len(want)):])
			}
			if id := binary.BigEndian.Uint64(it.kv); c.got == &ls.attached && ls.tree.get(it.kv[:8]) == nil {
				tb.Fatalf("%q is attached to lease %x, which is not there", it.kv[8:], id)
			}
			i++
		}
		if i != len(want) || c.got.n != i {
			tb.Fatalf("%s: %d of %d, %d counted", c.name, i, len(want), c.got.n)
		}
	}
	return sum
}

// checkRequests returns the sum of the requests' hashes.
func checkRequests(tb testing.TB, s *state) (sum uint64) {
	tb.Helper()
	rs := &s.requests
	rs.records.check(tb)
	rs.index.check(tb)
	var size uint64
	number, last := rs.next-uint64(rs.records.n), rs.oldest
	for it := range (view{root: rs.records.root}).all() {
		x := recordOf(it)
		sum += it.hash()
		size += x.cost()
		if binary.BigEndian.Uint64(it.kv) != number || x.clock < last || rs.find(x.key) != it ||
			number == rs.next-uint64(rs.records.n) && x.clock != rs.oldest {
			tb.Fatalf("request %d is %+v, after one of %s", number, x, last)
		}
		x.answer()
		number, last = number+1, x.clock
	}
	if size != rs.bytes || rs.index.n != rs.records.n || size > requestBytes || rs.records.n > requestMost {
		tb.Fatalf("%d requests, %d in the index, of %d bytes, %d counted", rs.records.n, rs.index.n, size, rs.bytes)
	}
	return sum
}
