package kvstore

import (
	"errors"
	"fmt"
	"time"
)

// ErrIndexOrder is wrapped by Apply's error for an entry that is not behind the
// last one: applying it again would part this member from the others.
var ErrIndexOrder = errors.New("entry applied already")

// Apply applies the commands of the log entry at index and returns a result for
// each, in order. Indexes rise from call to call, perhaps with gaps. clock is
// the entry's; the log's clock never goes back, whatever entries say.
//
// A command that makes no sense is a BadCommand result. An error means that the
// member must stop: it wraps ErrNewerVersion or ErrIndexOrder, and nothing of the
// entry was applied.
//
// Nothing that Apply keeps aliases cmds.
func (m *Machine) Apply(index uint64, clock time.Duration, cmds [][]byte) ([]Result, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := &m.state
	if index <= s.index {
		return nil, fmt.Errorf("apply entry %d after %d: %w", index, s.index, ErrIndexOrder)
	}
	for i, cmd := range cmds {
		if newer(cmd) {
			return nil, fmt.Errorf("apply command %d of entry %d: %w: version %d, known is %d",
				i, index, ErrNewerVersion, cmd[0], commandVersion)
		}
	}
	s.index = index
	s.clock = max(s.clock, clock)
	m.moment = View{}
	results := make([]Result, len(cmds))
	for i, cmd := range cmds {
		results[i] = m.applyLocked(cmd)
	}
	m.waiting.wake(s.revision)
	return results, nil
}

func (m *Machine) applyLocked(b []byte) Result {
	s := &m.state
	cmd, ok := decodeCommand(b)
	if !ok {
		return Result{Code: BadCommand, Revision: s.revision}
	}
	switch cmd.kind {
	case commandDeleteRange:
		return s.deleteRange(cmd.key, cmd.end)
	case commandCompact:
		return s.compact(cmd.revision)
	}
	at := s.tree.find(cmd.key)
	old := at.item().live()
	if !cmd.condition.holds(old) {
		return s.unchanged(ConditionFailed, old)
	}
	if cmd.kind == commandDelete {
		if old == nil {
			return s.unchanged(NotFound, nil)
		}
		return s.delete(at, cmd.wantPrev)
	}
	return s.put(at, newItem(cmd.key, cmd.value, m.types.of(cmd.contentType)), cmd.wantPrev)
}

func (s *state) unchanged(code Code, old *item) Result {
	r := Result{Code: code, Revision: s.revision}
	if old != nil {
		r.ModRevision = old.modRevision
	}
	return r
}

func (s *state) put(at place, it *item, wantPrev bool) Result {
	s.raise()
	it.prev = at.item()
	it.createRevision, it.modRevision, it.version = s.revision, s.revision, 1
	r := Result{Code: Created, Revision: s.revision, ModRevision: s.revision}
	if old := it.prev.live(); old != nil {
		it.createRevision, it.version = old.createRevision, old.version+1
		s.supersede(old)
		r.Code = Replaced
		if wantPrev {
			r.Prev = new(old.export())
		}
	}
	s.sum += it.hash()
	s.keys++
	s.bytes += it.size()
	s.tree.set(at, it)
	s.events.add(it)
	return r
}

func (s *state) delete(at place, wantPrev bool) Result {
	s.raise()
	old := at.item()
	s.tree.set(at, s.bury(old))
	r := Result{Code: Deleted, Revision: s.revision}
	if wantPrev {
		r.Prev = new(old.export())
	}
	return r
}

func (s *state) deleteRange(start, end []byte) Result {
	r := Result{Code: NotFound}
	s.tree.rewrite(start, end, func(it *item) *item {
		if it.deleted() {
			return it
		}
		if r.Deleted == 0 {
			s.raise()
			r.Code = Deleted
		}
		r.Deleted++
		return s.bury(it)
	})
	r.Revision = s.revision
	return r
}

// raise begins the next revision. Only a command that changes something may.
func (s *state) raise() {
	s.revision++
	if s.marks.due(s.clock) {
		k := mark{s.revision, s.clock}
		s.sum += k.hash()
		s.marks = append(s.marks, k)
	}
}

// bury returns the tombstone of the live item old, which the caller puts in its
// place.
func (s *state) bury(old *item) *item {
	it := old.tombstone(s.revision)
	s.supersede(old)
	s.sum += it.hash()
	s.history += it.cost()
	s.events.add(it)
	return it
}

// supersede makes what was the newest version of a key a part of its history.
func (s *state) supersede(old *item) {
	s.keys--
	s.bytes -= old.size()
	s.history += old.cost()
}
