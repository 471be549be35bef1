package raftnode

import (
	"sync"
	"time"
)

// logClock reckons the log's clock: it starts from the newest stamp applied
// here and runs on by this process's monotonic clock. Every member reckons, so
// that a new leader carries on where the last one was; no wall clock is read.
type logClock struct {
	mu   sync.Mutex
	base time.Duration // the log's clock at
	at   time.Time     // this moment
}

func (c *logClock) now() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

// observe takes a stamp from the log. One that lies behind the reckoning is
// only late, and changes nothing.
func (c *logClock) observe(stamp time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if stamp > c.nowLocked() {
		c.base, c.at = stamp, time.Now()
	}
}

func (c *logClock) nowLocked() time.Duration {
	if c.at.IsZero() {
		c.at = time.Now()
	}
	return c.base + time.Since(c.at)
}
