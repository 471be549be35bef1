package kvstore

import (
	"context"
	"errors"
	"fmt"
)

// ErrNoSpace says that the quota is used up. The write was surely not applied.
var ErrNoSpace = errors.New("the store's quota is used up")

// room returns an ErrNoSpace when the quota is used up, for a write that makes
// the store larger. It is no part of the state: a member may refuse what another
// would not. A retry of what was applied goes through, since its answer must not
// be that it was not.
func (db *DB) room(ctx context.Context, idempotencyKey string) error {
	if db.QuotaBytes == 0 {
		return nil
	}
	used := db.machine.Used()
	if used < db.QuotaBytes {
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
	return fmt.Errorf("%w: %d of %d bytes", ErrNoSpace, used, db.QuotaBytes)
}
