package raftnode

import (
	"sync"
	"time"
)

// logClock reckons the log's clock: it starts from the newest stamp applied
// here and runs on by this process's monotonic clock. Every member reckons, so
// that a new leader carries on where the last one was; no wall clock is read.
//
// A reckoning must never be ahead of the leader's, or leases would end early by
// as much when this member leads. Of one leader's stamps the one that came with
// the least delay is the nearest; those of another leader begin anew, since it
// may have begun later, or from an older stamp.
type logClock struct {
	mu    sync.Mutex
	base  time.Duration // the log's clock at
	at    time.Time     // this moment; zero: nothing was heard and nothing stamped
	by    entryID       // whose stamps it follows; the counter is not looked at
	owner entryID       // this member in this life: it follows nobody's while it leads
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
	if by == c.owner && !c.at.IsZero() {
		c.by = by
		return
	}
	if by != c.by || stamp > c.nowLocked() {
		c.base, c.at, c.by = stamp, time.Now(), by
	}
}

func (c *logClock) nowLocked() time.Duration {
	if c.at.IsZero() {
		c.at = time.Now()
	}
	return c.base + time.Since(c.at)
}
