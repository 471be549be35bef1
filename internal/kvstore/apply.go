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
	defer m.watches.tell()
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
	s.forgetRequests()
	m.moment = View{}
	results := make([]Result, len(cmds))
	for i, cmd := range cmds {
		results[i] = m.applyLocked(cmd)
	}
	m.waiting.wake(s.revision)
	m.watches.note(s)
	return results, nil
}

func (m *Machine) applyLocked(b []byte) Result {
	cmd, ok := decodeCommand(b)
	switch {
	case !ok:
		return Result{Code: BadCommand, Revision: m.state.revision}
	case cmd.kind == commandRequest:
		return m.request(&cmd)
	}
	return m.command(&cmd)
}

func (m *Machine) command(cmd *command) Result {
	s := &m.state
	switch cmd.kind {
	case commandPut, commandDelete:
		return m.write(cmd)
	case commandDeleteRange:
		return s.deleteRange(cmd.key, cmd.end)
	case commandCompact:
		return s.compact(cmd.revision)
	case commandGrant:
		return s.grantLease(cmd.ttl)
	case commandKeepAlive:
		return s.keepLease(cmd.lease)
	case commandRevoke:
		return s.revokeLease(cmd.lease)
	case commandExpire:
		return s.expire()
	case commandTxn:
		return m.txn(cmd.txn)
	}
	panic("kvstore: a command of no kind")
}

// write applies a put or a delete.
func (m *Machine) write(cmd *command) Result {
	s := &m.state
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
	if cmd.lease != 0 {
		if _, ok := s.leases.find(cmd.lease, s.clock); !ok {
			return s.unchanged(LeaseNotFound, old)
		}
	}
	s.raise()
	return s.put(at, newItem(cmd.key, cmd.value, m.traits(cmd.contentType, cmd.ttl, cmd.lease)), cmd.wantPrev)
}

// traits of a version that a put writes now.
func (m *Machine) traits(contentType []byte, ttl time.Duration, lease LeaseID) *traits {
	if ttl > 0 {
		return m.types.mortal(contentType, ttl, after(m.state.clock, ttl))
	}
	return m.types.of(contentType, lease)
}

func (s *state) unchanged(code Code, old *item) Result {
	r := Result{Code: code, Revision: s.revision}
	if old != nil {
		r.ModRevision = old.modRevision
	}
	return r
}

// put belongs to the revision that raise began.
func (s *state) put(at place, it *item, wantPrev bool) Result {
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
	if !it.traits.lasting() {
		s.leases.attach(it)
	}
	s.events.add(it)
	return r
}

func (s *state) delete(at place, wantPrev bool) Result {
	s.raise()
	old := at.item()
	s.tree.set(at, s.bury(old, untyped))
	r := Result{Code: Deleted, Revision: s.revision}
	if wantPrev {
		r.Prev = new(old.export())
	}
	return r
}

func (s *state) deleteRange(start, end []byte) Result {
	r := Result{Code: NotFound}
	if r.Deleted = s.buryRange(start, end, s.raise); r.Deleted > 0 {
		r.Code = Deleted
	}
	r.Revision = s.revision
	return r
}

// buryRange returns how many keys it deleted, and calls raise before the first.
func (s *state) buryRange(start, end []byte, raise func()) (deleted uint64) {
	s.tree.rewrite(start, end, func(it *item) *item {
		if it.deleted() {
			return it
		}
		if deleted == 0 {
			raise()
		}
		deleted++
		return s.bury(it, untyped)
	})
	return deleted
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
func (s *state) bury(old *item, why *traits) *item {
	it := old.tombstone(s.revision, why)
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
	if !old.traits.lasting() {
		s.leases.detach(old)
	}
}
