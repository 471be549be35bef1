package kvstore

import (
	"bytes"
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
	for newest := range (view{root: s.tree.root}).all() {
		for it := newest; it != nil; it = it.prev {
			sum += it.hash()
			switch {
			case it == newest && !it.deleted():
				keys++
				size += it.size()
			default:
				history += it.cost()
			}
			if it.modRevision > s.compacted {
				changes++
				if at := s.events.index(it, s.events.n); at < 0 || s.events.at(at).revision != it.modRevision {
					tb.Fatalf("no event for %q at %d", it.kv, it.modRevision)
				}
			} else if it.prev != nil {
				tb.Fatalf("%q at %d has a version before, compacted to %d", it.kv, it.modRevision, s.compacted)
			}
			switch prev := it.prev; {
			case prev == nil:
				if it.deleted() {
					tb.Fatalf("the oldest version of %q is a tombstone", it.kv)
				}
			case prev.modRevision >= it.modRevision || !bytes.Equal(prev.kv, it.kv) || prev.deleted() && it.deleted():
				tb.Fatalf("%q: %+v before %+v", it.kv, prev, it)
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
	if sum != s.sum || keys != s.keys || size != s.bytes || history != s.history {
		tb.Fatalf("counted %x, %d keys, %d bytes, %d of history; kept %x, %d, %d, %d",
			sum, keys, size, history, s.sum, s.keys, s.bytes, s.history)
	}
}
