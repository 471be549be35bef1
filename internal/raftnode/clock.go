package raftnode

import (
	"sync"
	"time"
)

// logClock reckons the log's clock: it starts from the newest stamp applied
// here and runs on by this process's monotonic clock. Every member reckons, so
// that a new leader carries on where the last one was; no wall clock is read.
//
// A reckoning must never be ahead of the leader's, or leases would end early by as
// much when this member leads. So the newest stamp always counts, however late it
// came: from an older one, which perhaps came with less delay, this clock has run
// on beside the leader's for longer, and no two run equally fast. One that is
// behind ends leases late, by no more than the newest stamp was on its way.
type logClock struct {
	mu    sync.Mutex
	base  time.Duration // the log's clock at
	at    time.Time     // this moment; zero: nothing was heard and nothing stamped
	owner entryID       // this member in this life: it follows nobody's while it leads

	monotonic func() time.Time // nil: the process's
}

// now is the log's clock as this member reckons it, and what it stamps its
// entries with while it leads.
func (c *logClock) now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

// observe takes the clock of an entry that is applied, and whose stamp that was.
// Its own must not be taken: with each, the time that it took to be applied
// would be lost.
func (c *logClock) observe(stamp time.Duration, by entryID) {
	by.Counter = 0
	c.mu.Lock()
	defer c.mu.Unlock()
	if by != c.owner || c.at.IsZero() {
		c.base, c.at = stamp, c.read()
	}
}

func (c *logClock) nowLocked() time.Duration {
	if c.at.IsZero() {
		c.at = c.read()
	}
	return c.base + c.read().Sub(c.at)
}

func (c *logClock) read() time.Time {
	if c.monotonic != nil {
		return c.monotonic()
	}
	return time.Now()
}
