package main

import (
	"sync"
	"sync/atomic"
	"time"
)

// enough is how many acknowledgements a cycle must compare to mean something.
const enough = 10

// tally counts what happens to one cluster.
type tally struct {
	cuts    atomic.Int64 // file systems whose power was cut
	early   atomic.Int64 // times it was cut while members started
	dropped atomic.Int64 // cuts that took with them what was not synced
	starts  atomic.Int64 // processes

	mu     sync.Mutex
	cycles int // that were compared
	rich   int // of these, with enough acknowledgements
	acks   int
	lost   int
	ready  []time.Duration // from the start to the last member that is ready
}

// cycle counts one power failure and what was found after it.
func (t *tally) cycle(c *comparison) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cycles++
	t.acks += c.acks
	t.lost += c.lost
	if c.acks >= enough {
		t.rich++
	}
}

func (t *tally) started(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ready = append(t.ready, d)
}
