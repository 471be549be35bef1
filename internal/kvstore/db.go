package kvstore

import (
	"context"
	"time"
)

// DB is the store as its users see it: writes go through the log, reads come
// from the machine. It has no state of its own and is safe for concurrent use.
//
// Errors are the Log's, as they come: they wrap ErrNoLeader, ErrStopping,
// ErrOverloaded or, of writes only, ErrOutcomeUnknown. A read at a revision may
// also find ErrFutureRevision or a *CompactedError, and a write ErrNoSpace.
type DB struct {
	// QuotaBytes is how much Machine.Used may come to before puts, transactions
	// with puts and grants of leases are refused with ErrNoSpace; 0 is no limit. It
	// holds for what is asked of this DB, to about a write each that is on its way.
	// To be set before the DB is used.
	QuotaBytes uint64
	// NoSpace is asked before the same writes, and by its error refuses them with
	// ErrNoSpace: a disk is short of room, for example. It must not block. To be set
	// before the DB is used; nil: nothing is asked.
	NoSpace func() error

	machine *Machine
	log     Log
}

// NewDB returns a DB over a machine and the log that feeds it.
func NewDB(m *Machine, log Log) *DB { return &DB{machine: m, log: log} }

// PutOptions are how a Put differs from a plain one.
type PutOptions struct {
	ContentType string        // at most MaxContentTypeBytes; "" stands for application/octet-stream
	Condition   Condition     // what must hold of the key; the zero Condition always does
	WantPrev    bool          // ask for the item that was replaced
	TTL         time.Duration // after which the key is deleted, MinTTL to MaxTTL; 0: none
	Lease       LeaseID       // with which the key is deleted; 0: none; not beside a TTL

	IdempotencyKey string // as WriteOptions has it
}

// DeleteOptions are how a Delete differs from a plain one.
type DeleteOptions struct {
	Condition Condition // what must hold of the key; the zero Condition always does
	WantPrev  bool      // ask for the item that was deleted

	IdempotencyKey string // as WriteOptions has it
}

// WriteOptions are what any other write takes.
type WriteOptions struct {
	// IdempotencyKey names the request, so that it can be made again when its
	// outcome is unknown: for ten minutes of the log's clock, and the newest
	// 1,000,000 at most, the same request gets the Result of the first with Replayed
	// and changes nothing, and another gets IdempotencyMismatch. At most
	// MaxIdempotencyKeyBytes, or the Result is a BadCommand; "" is none.
	IdempotencyKey string
}

// GetOptions are how a Get differs from a linearizable one of the newest version.
type GetOptions ReadOptions

// GetResult is what a Get found, and when.
type GetResult struct {
	Item            // the zero Item when nothing was found
	Found    bool   // whether there is such a key
	Revision uint64 // the moment: the store's, or the one that was asked for
}

// Put stores value under key. It blocks until that is durable and applied, and
// keeps neither slice. Result.Code is Created, Replaced, ConditionFailed,
// LeaseNotFound or, for a key, content type or TTL out of limits, BadCommand.
func (db *DB) Put(ctx context.Context, key, value []byte, o PutOptions) (Result, error) {
	if !validKey(key) || len(o.ContentType) > MaxContentTypeBytes ||
		o.TTL != 0 && (!validTTL(o.TTL) || o.Lease != 0) {
		return db.refuse(), nil
	}
	if err := db.room(ctx, o.IdempotencyKey); err != nil {
		return Result{}, err
	}
	return db.propose(ctx, encodeWrite(commandPut, key, value, o), o.IdempotencyKey)
}

// Delete removes key. It blocks until that is durable and applied. Result.Code
// is Deleted, NotFound, ConditionFailed or, for a key out of limits, BadCommand.
func (db *DB) Delete(ctx context.Context, key []byte, o DeleteOptions) (Result, error) {
	if !validKey(key) {
		return db.refuse(), nil
	}
	return db.propose(ctx, encodeCommand(commandDelete, o.WantPrev, o.Condition, key, "", nil), o.IdempotencyKey)
}

// DeleteRange removes the keys from start on that are below end, all in one
// revision; with a nil end there is no upper bound. Result.Code is Deleted, with
// their number in Result.Deleted, NotFound if there was none or, for a bound
// longer than a key can be, BadCommand.
func (db *DB) DeleteRange(ctx context.Context, start, end []byte, o WriteOptions) (Result, error) {
	if !validRange(start, end) {
		return db.refuse(), nil
	}
	return db.propose(ctx, encodeDeleteRange(start, end), o.IdempotencyKey)
}

// Compact forgets what cannot be seen at revision or later; older revisions can
// then not be read any more. It does not raise the store's revision. Result.Code
// is Compacted, also if that much was gone already, or FutureRevision.
func (db *DB) Compact(ctx context.Context, revision uint64, o WriteOptions) (Result, error) {
	return db.propose(ctx, encodeCompact(revision), o.IdempotencyKey)
}

// Get reads key, as o says. Without options it sees every write that was
// acknowledged, by any member, before the call. It does not allocate.
func (db *DB) Get(ctx context.Context, key []byte, o GetOptions) (GetResult, error) {
	if err := db.await(ctx, ReadOptions(o)); err != nil {
		return GetResult{}, err
	}
	it, revision := (*item)(nil), o.Revision
	if revision == 0 {
		it, revision = db.machine.read(key)
	} else {
		var err error
		if it, err = db.machine.readAt(key, revision); err != nil {
			return GetResult{}, err
		}
	}
	if it == nil {
		return GetResult{Revision: revision}, nil
	}
	return GetResult{Item: it.export(), Found: true, Revision: revision}, nil
}

// propose passes a command on, with an idempotency key if there is one.
func (db *DB) propose(ctx context.Context, cmd []byte, idempotencyKey string) (Result, error) {
	if idempotencyKey != "" {
		if !validRequestKey(idempotencyKey) {
			return db.refuse(), nil
		}
		cmd = encodeRequest(idempotencyKey, cmd)
	}
	return db.log.Propose(ctx, cmd)
}

// refuse spares the log a command that every member would refuse.
func (db *DB) refuse() Result {
	return Result{Code: BadCommand, Revision: db.machine.Revision()}
}
