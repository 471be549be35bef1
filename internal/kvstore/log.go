package kvstore

import (
	"context"
	"errors"
)

// Log puts commands into one order, makes them durable and has them applied
// to the Machine of every member. A DB needs nothing else of replication.
//
// Errors of both methods wrap one of the sentinels below, which say what
// became of the command.
type Log interface {
	// Propose blocks until cmd was applied, here or at the leader, and returns
	// its result. cmd belongs to the log from the call on. A result may come
	// before this member has applied the command.
	Propose(ctx context.Context, cmd []byte) (Result, error)

	// ReadBarrier blocks until this member has applied every write that was
	// acknowledged, anywhere, before the call. It has no effect, so that its
	// errors leave nothing unknown: it never returns ErrOutcomeUnknown.
	ReadBarrier(ctx context.Context) error
}

// What a Log answers when it has no result.
var (
	// ErrNoLeader says that no leader could be reached in time. A command was
	// never proposed, and is not and will not be applied.
	ErrNoLeader = errors.New("no leader")

	// ErrStopping says that this member is shutting down. A command was never
	// proposed, and is not and will not be applied.
	ErrStopping = errors.New("stopping")

	// ErrOverloaded says that too much waits to be proposed, or too many to read. A
	// command was never proposed, and is not and will not be applied.
	ErrOverloaded = errors.New("too many requests are waiting")

	// ErrOutcomeUnknown says that a command was proposed and that no answer
	// came in time: it may have been applied, or be applied later, or never.
	ErrOutcomeUnknown = errors.New("outcome of the write is unknown")
)
