package kvstore

import (
	"context"
	"time"
)

// GrantLease makes a lease that ends ttl from now, by the log's clock, and again
// from each KeepAlive. Result.Code is LeaseGranted, with Lease and TTL or, for a
// ttl out of limits, BadCommand.
func (db *DB) GrantLease(ctx context.Context, ttl time.Duration, o WriteOptions) (Result, error) {
	if !validTTL(ttl) {
		return db.refuse(), nil
	}
	if err := db.room(ctx, o.IdempotencyKey); err != nil {
		return Result{}, err
	}
	return db.propose(ctx, encodeLease(commandGrant, uint64(ttl)), o.IdempotencyKey)
}

// RevokeLease ends a lease and deletes its keys, all in one revision. Result.Code
// is LeaseRevoked, with the number of keys in Deleted, or LeaseNotFound.
func (db *DB) RevokeLease(ctx context.Context, id LeaseID, o WriteOptions) (Result, error) {
	return db.propose(ctx, encodeLease(commandRevoke, uint64(id)), o.IdempotencyKey)
}

// KeepAlive puts a lease's deadline off to its TTL from now. Result.Code is
// LeaseKept, with TTL, or LeaseNotFound, also for one whose deadline has passed.
func (db *DB) KeepAlive(ctx context.Context, id LeaseID, o WriteOptions) (Result, error) {
	return db.propose(ctx, encodeLease(commandKeepAlive, uint64(id)), o.IdempotencyKey)
}

// Expire ends what is due at the log's clock, up to some thousands of keys: ask
// NextExpiry again. It is meant for the leader. Result.Code is Expired, with the
// number of keys in Deleted.
func (db *DB) Expire(ctx context.Context) (Result, error) {
	return db.log.Propose(ctx, encodeExpire())
}

// Lease reads a lease with its keys; found is false for one whose deadline has
// passed too. Of o, Revision does not matter.
func (db *DB) Lease(ctx context.Context, id LeaseID, o ReadOptions) (l Lease, found bool, err error) {
	if err := db.await(ctx, o); err != nil {
		return Lease{}, false, err
	}
	l, found = db.machine.lease(id)
	return l, found, nil
}

// Leases reads all leases, without keys, in the order of their ids.
func (db *DB) Leases(ctx context.Context, o ReadOptions) ([]Lease, error) {
	if err := db.await(ctx, o); err != nil {
		return nil, err
	}
	return db.machine.allLeases(), nil
}

func (m *Machine) lease(id LeaseID) (Lease, bool) {
	m.mu.Lock()
	l, ok := m.state.leases.find(id, m.state.clock)
	if !ok {
		m.mu.Unlock()
		return Lease{}, false
	}
	attached := m.state.leases.attached.freeze()
	m.mu.Unlock()
	if l.Keys = attachedKeys(attached.root, id); l.Keys == nil {
		l.Keys = [][]byte{}
	}
	return l, true
}

func (m *Machine) allLeases() (all []Lease) {
	m.mu.Lock()
	leases, clock := m.state.leases.tree.freeze(), m.state.clock
	m.mu.Unlock()
	for it := range leases.all() {
		if l := leaseOf(it); clock < l.Deadline {
			all = append(all, l)
		}
	}
	return all
}
