package kvstore

import (
	"bytes"
	"cmp"
	"slices"
	"time"
)

// modelLease knows nothing of its keys: these are the ones that say that they are its.
type modelLease struct {
	ttl, deadline time.Duration
}

// alive reports whether the lease is there and not due.
func (m *model) alive(id LeaseID) bool {
	l, ok := m.leases[id]
	return ok && m.clock < l.deadline
}

// modelLeaseID is the n-th that the machine gives, counted from 1.
func modelLeaseID(n uint64) LeaseID {
	z := n * 0x9e3779b97f4a7c15
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return LeaseID(z ^ z>>31)
}

func (m *model) grant(ttl time.Duration) Result {
	m.granted++
	id := modelLeaseID(m.granted)
	m.leases[id] = modelLease{ttl: ttl, deadline: m.clock + ttl}
	return Result{Code: LeaseGranted, Revision: m.revision, Lease: id, TTL: ttl}
}

func (m *model) keepAlive(id LeaseID) Result {
	if !m.alive(id) {
		return Result{Code: LeaseNotFound, Revision: m.revision}
	}
	l := m.leases[id]
	l.deadline = m.clock + l.ttl
	m.leases[id] = l
	return Result{Code: LeaseKept, Revision: m.revision, Lease: id, TTL: l.ttl}
}

func (m *model) revoke(id LeaseID) Result {
	if !m.alive(id) {
		return Result{Code: LeaseNotFound, Revision: m.revision}
	}
	keys := m.keysOf(id)
	if len(keys) > 0 {
		m.raise()
	}
	for _, key := range keys {
		m.bury(string(key), EventDelete)
	}
	delete(m.leases, id)
	return Result{Code: LeaseRevoked, Revision: m.revision, Deleted: uint64(len(keys))}
}

// keysOf returns the keys that the lease has, in order.
func (m *model) keysOf(id LeaseID) (keys [][]byte) {
	for _, it := range m.list(nil, nil, m.revision) {
		if it.Lease == id {
			keys = append(keys, it.Key)
		}
	}
	return keys
}

// modelDue is a lease, or a key with a TTL of its own, that ends at a deadline.
type modelDue struct {
	deadline time.Duration
	lease    LeaseID
	key      []byte // nil of a lease
}

// deadlines returns all that there are, in the order in which they come due.
func (m *model) deadlines() (all []modelDue) {
	for id, l := range m.leases {
		all = append(all, modelDue{deadline: l.deadline, lease: id})
	}
	for key := range m.versions {
		if v, ok := m.now(key); ok && v.TTL > 0 {
			all = append(all, modelDue{deadline: v.deadline, key: v.Key})
		}
	}
	slices.SortFunc(all, func(a, b modelDue) int {
		return cmp.Or(cmp.Compare(a.deadline, b.deadline), bytes.Compare(a.key, b.key), cmp.Compare(a.lease, b.lease))
	})
	return all
}

// modelExpireStep is how many leases and keys one Expire ends.
const modelExpireStep = 4_096

func (m *model) expire() Result {
	var keys [][]byte
	for i, d := range m.deadlines() {
		if d.deadline > m.clock || i == modelExpireStep {
			break
		}
		m.tally["ended"]++
		if d.key != nil {
			keys = append(keys, d.key)
			continue
		}
		keys = append(keys, m.keysOf(d.lease)...)
		delete(m.leases, d.lease)
	}
	if len(keys) > 0 {
		m.raise()
	}
	for _, key := range keys {
		m.bury(string(key), EventExpire)
	}
	return Result{Code: Expired, Revision: m.revision, Deleted: uint64(len(keys))}
}
