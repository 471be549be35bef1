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
	results := make([]Result, len(cmds))
	for i, cmd := range cmds {
		results[i] = m.applyLocked(cmd)
	}
	return results, nil
}

func (m *Machine) applyLocked(b []byte) Result {
	s := &m.state
	cmd, ok := decodeCommand(b)
	if !ok {
		return Result{Code: BadCommand, Revision: s.revision}
	}
	at := s.tree.find(cmd.key)
	old := at.item()
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
	old := at.item()
	s.revision++
	it.createRevision, it.modRevision, it.version = s.revision, s.revision, 1
	r := Result{Code: Created, Revision: s.revision, ModRevision: s.revision}
	if old != nil {
		it.createRevision, it.version = old.createRevision, old.version+1
		r.Code, r.Prev = Replaced, s.drop(old, wantPrev)
	}
	s.sum += it.hash()
	s.bytes += it.size()
	s.tree.set(at, it)
	return r
}

func (s *state) delete(at place, wantPrev bool) Result {
	prev := s.drop(at.item(), wantPrev)
	s.revision++
	s.tree.remove(at)
	return Result{Code: Deleted, Revision: s.revision, Prev: prev}
}

// drop takes an item out of the totals; the caller takes it out of the tree.
func (s *state) drop(old *item, wantPrev bool) *Item {
	s.sum -= old.hash()
	s.bytes -= old.size()
	if !wantPrev {
		return nil
	}
	return new(old.export())
}
