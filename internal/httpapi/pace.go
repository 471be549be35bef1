package httpapi

import (
	"sync/atomic"
	"time"
)

const (
	// paceWindow is how long writes are counted before what they are is known.
	paceWindow = 100 * time.Millisecond

	// paceWrites is how many writes a window may have before they are too many: a
	// tenth of a core's work.
	paceWrites = 400

	// pacePause is how far the writes of one watch then lie apart.
	pacePause = 30 * time.Millisecond
)

// pace keeps many watches of what changes all the time from taking the member's
// processors for themselves. A write to a socket costs some 20 µs however little it
// carries, and a thousand watches of a key that changes a hundred times a second
// come to two cores: PUTs then waited 69 ms (p99). When all watches together write
// too often, each of them gathers for a moment after a write what comes, and sends
// it in one: PUTs wait 18 ms, and events come 33 ms after them instead of 71 (make
// bench-watch; 2 cores for three members and the clients, 2026-11-23). Below that every
// event is sent at once.
type pace struct {
	began  atomic.Int64 // when the window did, in nanoseconds since the first one
	writes atomic.Int64 // in the window
	high   atomic.Bool  // there were too many in the last one
}

// wrote counts a write at a moment, and returns how long to wait for the next.
func (p *pace) wrote(now time.Duration) time.Duration {
	p.writes.Add(1)
	if began := p.began.Load(); now-time.Duration(began) >= paceWindow && p.began.CompareAndSwap(began, int64(now)) {
		// A window that nobody ended in time was a quiet one.
		writes := p.writes.Swap(0)
		p.high.Store(writes*int64(paceWindow) > paceWrites*(int64(now)-began))
	}
	if p.high.Load() {
		return pacePause
	}
	return 0
}
