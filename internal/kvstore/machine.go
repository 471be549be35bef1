package kvstore

import (
	"sync"
	"time"
)

// Machine is the replicated state of one member: what the log's commands, in
// their order, have made of an empty store. Members that have applied the same
// entries hold the same state, which Hash lets them compare.
//
// One goroutine calls Apply, Snapshot and Restore; any number read beside it.
type Machine struct {
	types types // owned by the goroutine that applies

	// How many requests are remembered, and how many bytes of them: the same on all
	// members. Only tests change them, before the first entry.
	requestMost  int
	requestBytes uint64

	// The applying goroutine alone takes the write side, so that it may read
	// state without. It does so once an entry: after each time, it would have to
	// wait until the readers that it let in have been scheduled and are done.
	mu     sync.RWMutex
	state  state // guarded by mu
	moment View  // of the state, if one was asked for since the last entry; guarded by mu

	waiting waiters
	watches watchIndex
}

// state is all that a snapshot carries.
type state struct {
	tree      tree // of each key the newest version, which may be a tombstone
	revision  uint64
	compacted uint64        // the oldest revision that can be read
	clock     time.Duration // highest that the log has shown
	index     uint64        // last entry applied
	sum       uint64        // of the hashes of all versions, marks, leases and requests, modulo 2^64
	keys      int           // without tombstones
	bytes     uint64        // of their keys and values
	history   uint64        // cost of all other versions
	events    events        // what changed after compacted
	marks     marks         // when it did
	leases    leases
	requests  requests
}

// NewMachine returns an empty store at revision 0, before the first entry.
func NewMachine() *Machine {
	return &Machine{types: newTypes(), requestMost: requestMost, requestBytes: requestBytes, state: newState()}
}

func newState() state {
	return state{tree: newTree(), leases: newLeases(), requests: newRequests()}
}

// Get returns the key's newest version. It does not allocate.
func (m *Machine) Get(key []byte) (Item, bool) {
	it, _ := m.read(key)
	if it == nil {
		return Item{}, false
	}
	return it.export(), true
}

// Revision counts the commands that changed something.
func (m *Machine) Revision() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.revision
}

// Len returns the number of keys.
func (m *Machine) Len() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.keys
}

// Compacted returns the oldest revision that can be read. Versions that were
// superseded up to it are gone.
func (m *Machine) Compacted() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.compacted
}

// HistoryBytes returns what superseded versions and the marks of deletes take:
// their keys and values, and 64 bytes each.
func (m *Machine) HistoryBytes() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.history
}

// Bytes returns the length of all keys and values together, without history.
func (m *Machine) Bytes() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.bytes
}

// Used returns what a quota counts: the data, their history, the leases, and the
// results that are kept for retries.
func (m *Machine) Used() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.bytes + m.state.history + uint64(m.state.leases.tree.n)*leaseCost + m.state.requests.bytes
}

// RequestBytes returns what the requests that are remembered take: their
// idempotency keys and results, and 256 bytes each.
func (m *Machine) RequestBytes() uint64 {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.requests.bytes
}

// Requests returns how many requests are remembered by their idempotency keys.
func (m *Machine) Requests() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.requests.records.n
}

// LeaseCount returns the number of leases.
func (m *Machine) LeaseCount() int {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.leases.tree.n
}

// Clock returns the log's clock: the highest that an applied entry carried.
func (m *Machine) Clock() time.Duration {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.clock
}

// Hash returns the index of the last entry applied and the hash of the state
// after it. Two members with the same index and different hashes have diverged.
func (m *Machine) Hash() (index, hash uint64) {
	m.mu.RLock()
	defer m.mu.RUnlock()
	return m.state.index, m.state.hash()
}

// read returns the stored item, nil when there is none, and the revision of the
// store at the same moment.
func (m *Machine) read(key []byte) (*item, uint64) {
	m.mu.RLock()
	it, revision := m.state.tree.get(key), m.state.revision
	m.mu.RUnlock()
	return it.live(), revision
}
