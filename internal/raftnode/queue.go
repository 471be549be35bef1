package raftnode

import "sync"

// queue is an unbounded mailbox with one reader, who takes all of it at once.
type queue[T any] struct {
	wake chan struct{} // holds a token while items may be waiting

	mu    sync.Mutex
	items []T
}

func newQueue[T any]() *queue[T] {
	return &queue[T]{wake: make(chan struct{}, 1)}
}

func (q *queue[T]) put(items ...T) {
	q.mu.Lock()
	q.items = append(q.items, items...)
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// take returns all that waits and leaves spare (emptied) in its place, so that
// two slices serve for ever.
func (q *queue[T]) take(spare []T) []T {
	clear(spare)
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items = spare[:0]
	return items
}
