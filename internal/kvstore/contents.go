package kvstore

import (
	"iter"
	"time"
)

// Version is a version of a key, as the state has it.
type Version struct {
	Type     EventType
	Item                   // of a delete or expiry: Key and ModRevision alone
	Deadline time.Duration // on the log's clock, of an item with a TTL
}

// Remembered is a write with an idempotency key, and what came of it.
type Remembered struct {
	Key         []byte
	Fingerprint string        // as Command has it
	Clock       time.Duration // at which it was applied
	Result      Result
}

// The following show all that a state is made of: what was at Compacted, what
// has changed since, leases and requests. Nobody may apply meanwhile.

// Base returns the keys as they were at Compacted, in their order.
func (m *Machine) Base() iter.Seq[Version] {
	return func(yield func(Version) bool) {
		s := &m.state
		ascend(s.tree.root, nil, nil, func(it *item) bool {
			if it = it.asOf(s.compacted); it == nil {
				return true
			}
			return yield(it.whole())
		})
	}
}

// Changes returns what has changed after a revision, or since Compacted where
// that is later, in the order of revisions and of keys.
func (m *Machine) Changes(after uint64) iter.Seq[Version] {
	return func(yield func(Version) bool) {
		ev := &m.state.events
		for i := ev.upTo(after); i < ev.n; i++ {
			if !yield(ev.at(i).it.whole()) {
				return
			}
		}
	}
}

// Granted returns all leases, without keys; those too that are due.
func (m *Machine) Granted() iter.Seq[Lease] {
	return func(yield func(Lease) bool) {
		ascend(m.state.leases.tree.root, nil, nil, func(it *item) bool { return yield(leaseOf(it)) })
	}
}

// Remembered returns the writes that had an idempotency key, the oldest first.
func (m *Machine) Remembered() iter.Seq[Remembered] {
	return func(yield func(Remembered) bool) {
		ascend(m.state.requests.records.root, nil, nil, func(it *item) bool {
			x := recordOf(it)
			return yield(Remembered{x.key, fingerprint(x.sum, x.size), x.clock, x.answer()})
		})
	}
}

// whole is the version with all that there is to tell of it.
func (it *item) whole() Version {
	if it.deleted() {
		return Version{Type: it.eventType(), Item: Item{Key: it.key(), ModRevision: it.modRevision}}
	}
	return Version{Type: EventPut, Item: it.export(), Deadline: it.traits.deadline}
}
