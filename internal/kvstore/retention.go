package kvstore

import "time"

// Retention says how much history is worth keeping. What is above any of its
// limits may go, the oldest first. In a field, zero stands for the default.
type Retention struct {
	Revisions uint64        // newest revisions that can be read; 100,000
	Age       time.Duration // by the log's clock; 1h
	Bytes     uint64        // as HistoryBytes counts; 64 MiB
}

const (
	// stepEvents is how many changes must be over a limit for a compaction to be
	// worth a log entry; a tenth of all will do where there are fewer.
	stepEvents = 1_000

	// stepMost bounds how long one compaction holds up the writes behind it: 3 µs
	// for each change of a key of its own among a million. All changes of one
	// revision go together, however many.
	stepMost = 2 << 10
)

func (r Retention) withDefaults() Retention {
	if r.Revisions == 0 {
		r.Revisions = 100_000
	}
	if r.Age == 0 {
		r.Age = time.Hour
	}
	if r.Bytes == 0 {
		r.Bytes = 64 << 20
	}
	return r
}

// CompactionDue tells up to which revision history may go, and whether that is
// worth a Compact now. It is meant for the leader; what it finds is no part of
// the state until Compact brings it to all members. One answer covers a bounded
// number of changes, some thousands: ask again after each Compact while it says
// true, or a store that is written to all the time gets ahead.
func (m *Machine) CompactionDue(r Retention) (revision uint64, due bool) {
	r = r.withDefaults()
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := &m.state
	revision = s.compacted
	if s.revision > r.Revisions {
		revision = max(revision, s.revision-r.Revisions)
	}
	if s.clock > r.Age {
		revision = max(revision, s.marks.before(s.clock-r.Age))
	}
	if s.history > r.Bytes {
		revision = max(revision, s.frees(s.history-r.Bytes))
	}
	over := s.events.upTo(revision)
	if over == 0 || over < min(stepEvents, s.events.n/10) {
		return s.compacted, false
	}
	if over > stepMost {
		revision = max(s.events.at(stepMost).revision-1, s.events.at(0).revision)
	}
	return revision, true
}

// frees returns up to which revision history must go to be smaller by size, or
// as far as one step may go. A change frees the version that it superseded and,
// if it was a delete, itself.
func (s *state) frees(size uint64) uint64 {
	var freed uint64
	n := min(s.events.n, stepMost+1)
	for i := range n {
		e := s.events.at(i)
		if prev := e.it.prev; prev != nil && !prev.deleted() {
			freed += prev.cost()
		}
		if e.it.deleted() {
			freed += e.it.cost()
		}
		if freed >= size {
			return e.revision
		}
	}
	if n == 0 {
		return s.compacted
	}
	return s.events.at(n - 1).revision
}
