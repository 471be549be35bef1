package httpapi

import (
	"context"
	"time"

	"kvd/internal/kvstore"
)

// Store reads and writes keys; *kvstore.DB is one.
//
// Its methods block until the outcome is known or ctx is done. They keep
// neither key nor value once they have returned: the buffers are used again.
// What they return is immutable. Errors are, or wrap, kvstore's sentinels.
type Store interface {
	Get(ctx context.Context, key []byte, o kvstore.GetOptions) (kvstore.GetResult, error)
	Put(ctx context.Context, key, value []byte, o kvstore.PutOptions) (kvstore.Result, error)
	Delete(ctx context.Context, key []byte, o kvstore.DeleteOptions) (kvstore.Result, error)
	// Watch begins to watch. It blocks until it is known from which revision on.
	// Closing the watcher is the caller's.
	Watch(ctx context.Context, o kvstore.WatchOptions) (*kvstore.Watcher, error)
	// View freezes the store at one moment. It is immutable and costs nothing
	// to hold, but for the history that it holds on to.
	View(ctx context.Context, o kvstore.ReadOptions) (kvstore.View, error)
	// DeleteRange deletes start <= key < end in one revision; a nil end is no
	// upper bound.
	DeleteRange(ctx context.Context, start, end []byte, o kvstore.WriteOptions) (kvstore.Result, error)
	// Compact gives up the history up to revision.
	Compact(ctx context.Context, revision uint64, o kvstore.WriteOptions) (kvstore.Result, error)
	// Txn applies one of the transaction's branches, in one revision. The
	// transaction may share memory with what it was read from.
	Txn(ctx context.Context, t kvstore.Txn, o kvstore.WriteOptions) (kvstore.Result, error)

	GrantLease(ctx context.Context, ttl time.Duration, o kvstore.WriteOptions) (kvstore.Result, error)
	KeepAlive(ctx context.Context, id kvstore.LeaseID, o kvstore.WriteOptions) (kvstore.Result, error)
	RevokeLease(ctx context.Context, id kvstore.LeaseID, o kvstore.WriteOptions) (kvstore.Result, error)
	Lease(ctx context.Context, id kvstore.LeaseID, o kvstore.ReadOptions) (kvstore.Lease, bool, error)
	// Leases returns all of them by id, without their keys.
	Leases(ctx context.Context, o kvstore.ReadOptions) ([]kvstore.Lease, error)
	// Request tells what became of the write with an idempotency key.
	Request(ctx context.Context, key string, o kvstore.ReadOptions) (kvstore.Request, bool, error)
}

// Stats are the figures of this member's own state; *kvstore.Machine has them.
// They never block for long and are asked for by status and metrics only.
type Stats interface {
	Len() int
	Bytes() uint64
	Revision() uint64
	Compacted() uint64    // the oldest revision that can be read; 0: all of them
	HistoryBytes() uint64 // of versions that were replaced or deleted
	Used() uint64         // bytes that a quota counts
	LeaseCount() int
	Requests() int // idempotency keys that are remembered
}
