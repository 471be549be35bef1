package clustertest

import (
	"context"
	"sync"
	"time"

	"kvd/internal/kvstore"
)

// truth is the committed history: what each revision changed, as the first member
// that applied it has it. That all others have the same is checked by the hash of
// their states.
type truth struct {
	mu    sync.Mutex
	revs  []revision // the n-th is revision n+1
	floor uint64     // the highest revision that any answer has told
	holes int        // revisions whose changes were compacted before they could be seen
}

// revision is one step of the history.
type revision struct {
	at      time.Time     // when it was first applied
	clock   time.Duration // the log's
	changes []change      // nil: a hole
}

// change is one change of one key.
type change struct {
	typ   kvstore.EventType
	key   string
	value string
}

// record takes over what a machine has just applied, beginning after revision
// since, unless it is known.
func (t *truth) record(m *kvstore.Machine, since uint64, clock time.Duration) {
	now := m.Revision()
	t.mu.Lock()
	defer t.mu.Unlock()
	known := uint64(len(t.revs))
	if now <= known || since > known {
		return
	}
	for range now - known {
		t.revs = append(t.revs, revision{at: time.Now(), clock: clock})
	}
	w, err := kvstore.NewDB(m, nil).Watch(context.Background(), kvstore.WatchOptions{Since: known, Stale: true})
	if err == nil {
		defer w.Close()
		var buf [16]kvstore.Event
		for err == nil {
			var events []kvstore.Event
			events, err = w.Next(impatient{context.Background()}, buf[:])
			if len(events) == 0 {
				break
			}
			for _, e := range events {
				r := &t.revs[e.ModRevision-1]
				r.changes = append(r.changes, change{e.Type, string(e.Key), string(e.Value)})
			}
		}
	}
	for _, r := range t.revs[known:] {
		if r.changes == nil {
			t.holes++
		}
	}
}

// impatient is the context of who takes what there is and waits for nothing.
type impatient struct{ context.Context }

var over = func() chan struct{} { c := make(chan struct{}); close(c); return c }()

func (impatient) Done() <-chan struct{} { return over }

// told raises the revision that later reads must not be behind.
func (t *truth) told(revision uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.floor = max(t.floor, revision)
}

// newest is the revision that a read which begins now must not be behind.
func (t *truth) newest() uint64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.floor
}
