package load

import (
	"fmt"
	"sync"
	"time"

	"kvd/test/chaos/history"
)

// Tally counts operations as they end. Any goroutine may use it.
type Tally struct {
	mu        sync.Mutex
	counts    map[history.Kind]map[history.Outcome]int
	seconds   map[int64]int // good operations by second
	events    int           // that watchers were told of
	surprises []string      // answers that nothing explains; the first few
	surprised int
	waiting   []chan struct{} // closed by the next good write
}

func newTally() *Tally {
	return &Tally{counts: map[history.Kind]map[history.Outcome]int{}, seconds: map[int64]int{}}
}

// count counts an operation that has ended.
func (t *Tally) count(o *history.Op) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.counts[o.Kind] == nil {
		t.counts[o.Kind] = map[history.Outcome]int{}
	}
	t.counts[o.Kind][o.Outcome]++
	if o.Outcome != history.OK {
		return
	}
	t.seconds[time.Now().Unix()]++
	if isWrite(o.Kind) {
		for _, c := range t.waiting {
			close(c)
		}
		t.waiting = nil
	}
}

func (t *Tally) event() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events++
}

// surprise notes an answer that no fault explains.
func (t *Tally) surprise(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.surprised++
	if len(t.surprises) < 20 {
		t.surprises = append(t.surprises, fmt.Sprintf(format, args...))
	}
}

// GoodWrite is closed by the next write that is answered with success.
func (t *Tally) GoodWrite() <-chan struct{} {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := make(chan struct{})
	t.waiting = append(t.waiting, c)
	return c
}

// Rate is how many operations were answered in the last full second.
func (t *Tally) Rate() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.seconds[time.Now().Unix()-1]
}

// Counts are the operations by kind and outcome.
func (t *Tally) Counts() map[string]map[string]int {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := map[string]map[string]int{}
	for kind, by := range t.counts {
		all[string(kind)] = map[string]int{}
		for outcome, n := range by {
			all[string(kind)][string(outcome)] = n
		}
	}
	return all
}

// Events is how many events watchers were told of.
func (t *Tally) Events() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events
}

// Surprises are the first answers that no fault explains, and how many there were.
func (t *Tally) Surprises() ([]string, int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return append([]string(nil), t.surprises...), t.surprised
}

func isWrite(k history.Kind) bool { return k != history.Get && k != history.List }
