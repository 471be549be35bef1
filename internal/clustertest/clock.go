package clustertest

import (
	"sync"
	"time"
)

// clock is the monotonic clock of one machine. It may run faster or slower than
// the others', and stand still for a time, as it does while a virtual machine is
// suspended. It never goes back.
type clock struct {
	mu   sync.Mutex
	rate float64
	base time.Time // what it shows
	at   time.Time // at this moment, and until it
}

func newClock(rate float64) *clock {
	now := time.Now()
	return &clock{rate: rate, base: now, at: now}
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.nowLocked()
}

func (c *clock) nowLocked() time.Time {
	return c.base.Add(time.Duration(c.rate * float64(max(0, time.Since(c.at)))))
}

// set changes how fast it runs from now on.
func (c *clock) set(rate float64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.rate = c.nowLocked(), rate
	if now := time.Now(); now.After(c.at) {
		c.at = now
	}
}

// stand makes it stand still for d.
func (c *clock) stand(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.at = c.nowLocked(), time.Now().Add(d)
}

// good makes it run as all others do.
func (c *clock) good() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.base, c.at, c.rate = c.nowLocked(), time.Now(), 1
}
