package main

import (
	"context"
	"errors"
)

// pageSize is how many keys a listing asks for.
const pageSize = 100

// errCannot is for work that a way has no means for.
var errCannot = errors.New("this way cannot do that")

// session is one client of a system, with its own connection or its share of
// one. One goroutine uses it. Keys belong to the caller and change after the call.
type session interface {
	put(ctx context.Context, key []byte) error
	get(ctx context.Context, key []byte, stale bool) error

	// txn replaces a key if it exists and reads it: a comparison, a put and a
	// get. That the comparison does not hold is an error.
	txn(ctx context.Context, key []byte) error

	// list reads a page of pageSize keys with their values from key on.
	list(ctx context.Context, key []byte) error

	Close() error
}

// pool makes the sessions of one run, and holds what they share.
type pool interface {
	session(ctx context.Context, worker int) (session, error)
	Close() error
}

// way is how a system is driven.
type way struct {
	name   string
	system string

	// dial prepares a pool for a number of workers at these endpoints, who are
	// spread over them evenly; nothing of it was used before. All values
	// written are the one given.
	dial func(endpoints []string, workers int, value []byte) (pool, error)
}

// The systems and the ways to drive them.
const (
	systemKvd  = "kvd"
	systemEtcd = "etcd"
	systemBare = "bare"

	wayKvdWire = "kvd wire"
	wayKvdGo   = "kvd Go"
	wayEtcdGo  = "etcd Go"
	wayEtcdWeb = "etcd gateway"
	wayBare    = "bare"
)

// ways are all there are, in the order of a round.
func ways() []way {
	return []way{
		{wayKvdWire, systemKvd, dialKvdWire},
		{wayKvdGo, systemKvd, dialKvdGo},
		{wayEtcdGo, systemEtcd, dialEtcdGo},
		{wayEtcdWeb, systemEtcd, dialEtcdGateway},
		{wayBare, systemBare, dialBare},
	}
}

// sharers is how many workers share one client of a Go library: as many as in
// the runs that etcd's own documentation reports (100 connections, 1,000 clients).
const sharers = 10
