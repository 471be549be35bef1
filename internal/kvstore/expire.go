package kvstore

import (
	"bytes"
	"encoding/binary"
	"slices"
	"time"
)

// expireMost is how many keys one command ends, a lease without any counting as
// one, so that it does not hold up the writes behind it for long. Only the last
// lease may pass it: the keys of one lease go together.
const expireMost = 4096

// NextExpiry returns the earliest deadline of all leases and TTLs, on the log's
// clock, and false when there is none. What is due stays until an Expire.
func (m *Machine) NextExpiry() (deadline time.Duration, ok bool) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	ascend(m.state.leases.deadlines.root, nil, nil, func(it *item) bool {
		deadline, ok = time.Duration(binary.BigEndian.Uint64(it.kv)), true
		return false
	})
	return deadline, ok
}

// expire ends what is due at the log's clock, the oldest deadlines first, and
// deletes the keys in one revision.
func (s *state) expire() Result {
	var due []*item
	var keys [][]byte
	n := 0
	ascend(s.leases.deadlines.root, nil, nil, func(it *item) bool {
		end := it.key()
		if time.Duration(binary.BigEndian.Uint64(end)) > s.clock || n >= expireMost {
			return false
		}
		before := len(keys)
		if end[8] == dueKey {
			keys = append(keys, end[9:])
		} else {
			keys = append(keys, attachedKeys(s.leases.attached.root, LeaseID(binary.BigEndian.Uint64(end[9:])))...)
			due = append(due, it)
		}
		n += max(1, len(keys)-before)
		return true
	})
	slices.SortFunc(keys, bytes.Compare)
	s.buryAll(keys, expired)
	for _, it := range due {
		s.dropLease(leaseOf(s.leases.tree.get(it.key()[9:])))
	}
	return Result{Code: Expired, Revision: s.revision, Deleted: uint64(len(keys))}
}
