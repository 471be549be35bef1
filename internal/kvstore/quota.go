package kvstore

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoSpace says that there is no room for more: the quota is used up, or what
// NoSpace speaks for. The write was surely not applied.
var ErrNoSpace = errors.New("no space left")

// room returns an ErrNoSpace when there is no room, for a write that makes the
// store larger. It is no part of the state: a member may refuse what another
// would not. A retry of what was applied goes through, since its answer must not
// be that it was not.
func (db *DB) room(ctx context.Context, idempotencyKey string) error {
	full := db.full()
	if full == nil {
		return nil
	}
	if idempotencyKey != "" {
		switch _, found, err := db.Request(ctx, idempotencyKey, ReadOptions{}); {
		case err != nil:
			return err
		case found:
			return nil
		}
	}
	return fmt.Errorf("%w: %w", ErrNoSpace, full)
}

// full says what is used up; nil: nothing is.
func (db *DB) full() error {
	if used := db.machine.Used(); db.QuotaBytes != 0 && used >= db.QuotaBytes {
		return fmt.Errorf("the quota is used up, %d of %d bytes: delete what is not needed, or raise the quota", used, db.QuotaBytes)
	}
	if db.NoSpace != nil {
		return db.NoSpace()
	}
	return nil
}
