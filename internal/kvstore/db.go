package kvstore

import "context"

// DB is the store as its users see it: writes go through the log, reads come
// from the machine. It has no state of its own and is safe for concurrent use.
//
// Errors are the Log's, as they come: they wrap ErrNoLeader, ErrStopping,
// ErrOverloaded or, of writes only, ErrOutcomeUnknown.
type DB struct {
	machine *Machine
	log     Log
}

// NewDB returns a DB over a machine and the log that feeds it.
func NewDB(m *Machine, log Log) *DB { return &DB{machine: m, log: log} }

// PutOptions are how a Put differs from a plain one.
type PutOptions struct {
	ContentType string    // at most MaxContentTypeBytes; "" stands for application/octet-stream
	Condition   Condition // what must hold of the key; the zero Condition always does
	WantPrev    bool      // ask for the item that was replaced
}

// DeleteOptions are how a Delete differs from a plain one.
type DeleteOptions struct {
	Condition Condition // what must hold of the key; the zero Condition always does
	WantPrev  bool      // ask for the item that was deleted
}

// GetOptions are how a Get differs from a linearizable one.
type GetOptions struct {
	Stale bool // answer from this member's own state, without asking anyone
}

// GetResult is what a Get found, and when.
type GetResult struct {
	Item            // the zero Item when nothing was found
	Found    bool   // whether there is such a key
	Revision uint64 // the store's, at the moment of the read
}

// Put stores value under key. It blocks until that is durable and applied, and
// keeps neither slice. Result.Code is Created, Replaced, ConditionFailed or, for
// a key or content type out of limits, BadCommand.
func (db *DB) Put(ctx context.Context, key, value []byte, o PutOptions) (Result, error) {
	if !validKey(key) || len(o.ContentType) > MaxContentTypeBytes {
		return db.refuse(), nil
	}
	return db.log.Propose(ctx, encodeCommand(commandPut, o.WantPrev, o.Condition, key, o.ContentType, value))
}

// Delete removes key. It blocks until that is durable and applied. Result.Code
// is Deleted, NotFound, ConditionFailed or, for a key out of limits, BadCommand.
func (db *DB) Delete(ctx context.Context, key []byte, o DeleteOptions) (Result, error) {
	if !validKey(key) {
		return db.refuse(), nil
	}
	return db.log.Propose(ctx, encodeCommand(commandDelete, o.WantPrev, o.Condition, key, "", nil))
}

// Get reads key. It sees every write that was acknowledged, by any member,
// before the call; with Stale it sees what this member has applied, at once and
// without an error. It does not allocate.
func (db *DB) Get(ctx context.Context, key []byte, o GetOptions) (GetResult, error) {
	if !o.Stale {
		if err := db.log.ReadBarrier(ctx); err != nil {
			return GetResult{}, err
		}
	}
	it, revision := db.machine.read(key)
	if it == nil {
		return GetResult{Revision: revision}, nil
	}
	return GetResult{Item: it.export(), Found: true, Revision: revision}, nil
}

// refuse spares the log a command that every member would refuse.
func (db *DB) refuse() Result {
	return Result{Code: BadCommand, Revision: db.machine.Revision()}
}
