package httpapi

import (
	"context"

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
}

// Stats are the figures of this member's own state; *kvstore.Machine has them.
// They never block for long and are asked for by status and metrics only.
type Stats interface {
	Len() int
	Bytes() uint64
	Revision() uint64
}
