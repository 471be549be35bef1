package main

import (
	"context"
	"fmt"

	"kvd/internal/load"
)

// classes are the kinds of operations that a loop tells apart.
const (
	classRead = iota
	classWrite
)

func classNames() []string { return []string{"read", "write"} }

// readsOfTen is how many operations of mixed work are reads.
const readsOfTen = 9

// worker does the work of a scenario with a session of any way.
type worker struct {
	session
	keys *chooser
	do   func(ctx context.Context) (int, error)
}

func newWorker(s session, kind string, keys *chooser) (load.Worker, error) {
	w := &worker{session: s, keys: keys}
	switch kind {
	case kindPut:
		w.do = w.write
	case kindGet:
		w.do = func(ctx context.Context) (int, error) { return classRead, s.get(ctx, keys.next(), false) }
	case kindStale:
		w.do = func(ctx context.Context) (int, error) { return classRead, s.get(ctx, keys.next(), true) }
	case kindMixed:
		w.do = func(ctx context.Context) (int, error) {
			if keys.rng.IntN(10) < readsOfTen {
				return classRead, s.get(ctx, keys.next(), false)
			}
			return w.write(ctx)
		}
	case kindTxn:
		w.do = func(ctx context.Context) (int, error) { return classWrite, s.txn(ctx, keys.next()) }
	case kindList:
		w.do = func(ctx context.Context) (int, error) { return classRead, s.list(ctx, keys.next()) }
	default:
		return nil, fmt.Errorf("no work of kind %q", kind)
	}
	return w, nil
}

func (w *worker) write(ctx context.Context) (int, error) {
	return classWrite, w.put(ctx, w.keys.next())
}

// Do does one operation.
func (w *worker) Do(ctx context.Context) (int, error) { return w.do(ctx) }
