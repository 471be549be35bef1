package transport

import (
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
)

// queue holds what waits for one stream. Many put, one takes all of it at
// once; nobody ever waits for room.
type queue struct {
	limit int // bytes

	mu    sync.Mutex
	items []outgoing
	bytes int
}

func newQueue(limit int) *queue {
	return &queue{limit: limit}
}

// push adds a message of size bytes. If there is no room it drops all that
// waits, and the message, and returns how many that were: half a queue would
// be of no use, since raft must be told to start over in any case. A message
// alone may be larger than the limit.
func (q *queue) push(m *pb.Message, size int) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.items) > 0 && q.bytes+size > q.limit {
		return q.dropLocked() + 1
	}
	q.items = append(q.items, outgoing{m, size})
	q.bytes += size
	return 0
}

// waiting is how many bytes wait to be taken.
func (q *queue) waiting() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.bytes
}

// take returns all that waits and leaves spare, which it empties, in its place.
func (q *queue) take(spare []outgoing) []outgoing {
	clear(spare) // do not keep sent messages alive
	if cap(spare) > maxBatchMessages {
		spare = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	items := q.items
	q.items, q.bytes = spare[:0], 0
	return items
}

// drop throws away all that waits and returns how many that were.
func (q *queue) drop() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropLocked()
}

func (q *queue) dropLocked() int {
	n := len(q.items)
	q.items, q.bytes = nil, 0
	return n
}
