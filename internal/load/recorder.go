package load

import (
	"sync"
	"time"
)

// maxErrorKinds is how many different errors are told apart; the rest are
// counted together.
const (
	maxErrorKinds = 20
	otherErrors   = "other errors"
)

// tally is what was done in some time.
type tally struct {
	latency []Latency // by class
	failed  int64
	errors  map[string]int64 // by text
}

func newTally(classes int) *tally {
	return &tally{latency: make([]Latency, classes), errors: map[string]int64{}}
}

func (t *tally) add(class int, took time.Duration, err error) {
	if err != nil {
		t.failed++
		t.count(err.Error(), 1)
		return
	}
	t.latency[class].Record(took)
}

func (t *tally) count(kind string, n int64) {
	if _, known := t.errors[kind]; !known && len(t.errors) >= maxErrorKinds {
		kind = otherErrors
	}
	t.errors[kind] += n
}

// moveTo adds all of t to o and leaves t empty.
func (t *tally) moveTo(o *tally) {
	for i := range t.latency {
		o.latency[i].Merge(&t.latency[i])
		t.latency[i].Reset()
	}
	o.failed += t.failed
	t.failed = 0
	for kind, n := range t.errors {
		o.count(kind, n)
	}
	clear(t.errors)
}

// all is the latency of all classes together.
func (t *tally) all() *Latency {
	var l Latency
	for i := range t.latency {
		l.Merge(&t.latency[i])
	}
	return &l
}

// recorder is where one worker writes. Its lock is free almost always: others
// take it once for each report.
type recorder struct {
	mu sync.Mutex
	t  *tally // since it was last emptied
	_  [64]byte
}

func (r *recorder) add(class int, took time.Duration, err error) {
	r.mu.Lock()
	r.t.add(class, took, err)
	r.mu.Unlock()
}

func (r *recorder) moveTo(o *tally) {
	r.mu.Lock()
	r.t.moveTo(o)
	r.mu.Unlock()
}
