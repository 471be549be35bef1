package kvstore

import (
	"encoding/binary"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Limits of a TTL, of a key's own and of a lease's.
const (
	MinTTL = time.Second
	MaxTTL = 87_600 * time.Hour // ten years
)

func validTTL(ttl time.Duration) bool { return ttl >= MinTTL && ttl <= MaxTTL }

// LeaseID names a lease; 0 is none.
type LeaseID uint64

// String returns 16 lower-case hexadecimal digits.
func (id LeaseID) String() string { return fmt.Sprintf("%016x", uint64(id)) }

// ParseLeaseID is String's inverse. It reports false for anything else, and for 0.
func ParseLeaseID(s string) (LeaseID, bool) {
	n, err := strconv.ParseUint(s, 16, 64)
	id := LeaseID(n)
	if err != nil || n == 0 || id.String() != s {
		return 0, false
	}
	return id, true
}

// Lease is the common life of some keys, as a read shows it.
type Lease struct {
	ID       LeaseID
	TTL      time.Duration // that a keepalive gives it anew
	Deadline time.Duration // on the log's clock
	Keys     [][]byte      // in order; nil when not asked for
}

// leases are all leases, what is attached to them, and what ends when. They are
// kept in trees as small items, so that a view of them costs nothing either and
// all have an order:
//
//	leases     id                  ttl and deadline as the value
//	attached   id, key
//	deadlines  deadline, 0, id     of a lease
//	           deadline, 1, key    of a key with a TTL of its own
//
// Numbers are eight bytes, big-endian. Only the newest version of a key, and only
// while it is no tombstone, is in the latter two: all that follows from the leases and the keys.
type leases struct {
	tree      tree
	attached  tree
	deadlines tree
	granted   uint64 // leases granted ever, which the ids are made of
}

func newLeases() leases {
	return leases{tree: newTree(), attached: newTree(), deadlines: newTree()}
}

// leaseCost is what a lease takes, for the quota.
const leaseCost = 256

const (
	dueLease = 0
	dueKey   = 1
)

// leaseID returns the nth lease's. It looks like a random number, so that nobody takes
// it for one that can be counted up, and no two are the same: each step can be
// undone (Steele, Lea, Flood: Fast Splittable Pseudorandom Number Generators, 2014).
func leaseID(n uint64) LeaseID {
	n *= 0x9e3779b97f4a7c15
	n = (n ^ n>>30) * 0xbf58476d1ce4e5b9
	n = (n ^ n>>27) * 0x94d049bb133111eb
	return LeaseID(n ^ n>>31)
}

// leaseOf reads what Lease.item makes.
func leaseOf(it *item) Lease {
	v := it.value()
	return Lease{
		ID:       LeaseID(binary.BigEndian.Uint64(it.kv)),
		TTL:      time.Duration(binary.BigEndian.Uint64(v)),
		Deadline: time.Duration(binary.BigEndian.Uint64(v[8:])),
	}
}

func (l *Lease) item() *item {
	b := make([]byte, 0, 24)
	b = binary.BigEndian.AppendUint64(b, uint64(l.ID))
	b = binary.BigEndian.AppendUint64(b, uint64(l.TTL))
	b = binary.BigEndian.AppendUint64(b, uint64(l.Deadline))
	return &item{kv: b[:8], traits: untyped}
}

func (l *Lease) due() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 17), uint64(l.Deadline))
	return binary.BigEndian.AppendUint64(append(b, dueLease), uint64(l.ID))
}

// due is the key's place among the deadlines.
func (it *item) due() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 9+len(it.kv)), uint64(it.traits.deadline))
	return append(append(b, dueKey), it.kv...)
}

// attachment is the key's place among what is attached to leases.
func (it *item) attachment() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(it.kv)), uint64(it.traits.lease))
	return append(b, it.kv...)
}

// add puts a small item into a tree; drop takes it out.
func (t *tree) add(key []byte) {
	t.set(t.find(key), &item{kv: key[:len(key):len(key)], traits: untyped})
}
func (t *tree) drop(key []byte) { t.remove(t.find(key)) }

// attach notes when the live item it ends, detach forgets that.
func (ls *leases) attach(it *item) {
	if it.traits.lease != 0 {
		ls.attached.add(it.attachment())
	} else {
		ls.deadlines.add(it.due())
	}
}

func (ls *leases) detach(it *item) {
	if it.traits.lease != 0 {
		ls.attached.drop(it.attachment())
	} else {
		ls.deadlines.drop(it.due())
	}
}

// find returns the lease, if it is there and its deadline has not passed.
func (ls *leases) find(id LeaseID, clock time.Duration) (Lease, bool) {
	if id == 0 || ls.tree.n == 0 {
		return Lease{}, false
	}
	var key [8]byte
	binary.BigEndian.PutUint64(key[:], uint64(id))
	it := ls.tree.get(key[:])
	if it == nil {
		return Lease{}, false
	}
	l := leaseOf(it)
	return l, clock < l.Deadline
}

// attachedKeys returns the keys attached to a lease, in their order.
func attachedKeys(attached node, id LeaseID) (keys [][]byte) {
	start := binary.BigEndian.AppendUint64(nil, uint64(id))
	ascend(attached, start, PrefixEnd(start), func(it *item) bool {
		keys = append(keys, it.key()[8:])
		return true
	})
	return keys
}

// after is clock+ttl, or the end of time.
func after(clock, ttl time.Duration) time.Duration {
	if clock > math.MaxInt64-ttl {
		return math.MaxInt64
	}
	return clock + ttl
}

// setLease adds a lease, or puts it in the place of the one of its id.
func (s *state) setLease(l Lease) {
	at := s.leases.tree.find(l.item().kv)
	if old := at.item(); old != nil {
		was := leaseOf(old)
		s.leases.deadlines.drop(was.due())
		s.sum -= old.hash()
	}
	it := l.item()
	s.sum += it.hash()
	s.leases.tree.set(at, it)
	s.leases.deadlines.add(l.due())
}

func (s *state) dropLease(l Lease) {
	it := l.item()
	s.sum -= it.hash()
	s.leases.tree.drop(it.kv)
	s.leases.deadlines.drop(l.due())
}

func (s *state) grantLease(ttl time.Duration) Result {
	s.leases.granted++
	l := Lease{ID: leaseID(s.leases.granted), TTL: ttl, Deadline: after(s.clock, ttl)}
	s.setLease(l)
	return Result{Code: LeaseGranted, Revision: s.revision, Lease: l.ID, TTL: ttl}
}

func (s *state) keepLease(id LeaseID) Result {
	l, ok := s.leases.find(id, s.clock)
	if !ok {
		return s.unchanged(LeaseNotFound, nil)
	}
	l.Deadline = after(s.clock, l.TTL)
	s.setLease(l)
	return Result{Code: LeaseKept, Revision: s.revision, Lease: id, TTL: l.TTL}
}

func (s *state) revokeLease(id LeaseID) Result {
	l, ok := s.leases.find(id, s.clock)
	if !ok {
		return s.unchanged(LeaseNotFound, nil)
	}
	keys := attachedKeys(s.leases.attached.root, id)
	s.buryAll(keys, untyped)
	s.dropLease(l)
	return Result{Code: LeaseRevoked, Revision: s.revision, Deleted: uint64(len(keys))}
}

// buryAll deletes keys that are there, given in their order, in one revision.
func (s *state) buryAll(keys [][]byte, why *traits) {
	if len(keys) > 0 {
		s.raise()
	}
	for _, key := range keys {
		at := s.tree.find(key)
		s.tree.set(at, s.bury(at.item(), why))
	}
}
