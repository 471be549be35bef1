package kvstore

import (
	"context"
	"fmt"
	"sync"
)

// waiters are the reads that wait for a revision. Nothing of the state depends
// on them.
type waiters struct {
	mu     sync.Mutex // locked inside Machine.mu, never the other way round
	all    []waiter   // guarded by mu
	lowest uint64     // of all; guarded by mu
}

type waiter struct {
	revision uint64
	donec    chan struct{} // closed when the revision was applied
}

// waitFor blocks until revision was applied here.
func (m *Machine) waitFor(ctx context.Context, revision uint64) error {
	donec := m.await(revision)
	if donec == nil {
		return nil
	}
	select {
	case <-donec:
		return nil
	case <-ctx.Done():
		m.waiting.leave(donec)
		return fmt.Errorf("wait for revision %d: %w: %w", revision, ErrNoLeader, ctx.Err())
	}
}

// await returns nil when there is nothing to wait for. Nothing is applied
// between the look at the revision and the entry in the list.
func (m *Machine) await(revision uint64) chan struct{} {
	m.mu.RLock()
	defer m.mu.RUnlock()
	if m.state.revision >= revision {
		return nil
	}
	return m.waiting.join(revision)
}

func (w *waiters) join(revision uint64) chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 || revision < w.lowest {
		w.lowest = revision
	}
	donec := make(chan struct{})
	w.all = append(w.all, waiter{revision, donec})
	return donec
}

func (w *waiters) leave(donec chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.keep(func(x waiter) bool { return x.donec != donec })
}

// wake lets all go that wait for revision or less.
func (w *waiters) wake(revision uint64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.all) == 0 || revision < w.lowest {
		return
	}
	w.keep(func(x waiter) bool {
		if x.revision <= revision {
			close(x.donec)
			return false
		}
		return true
	})
}

func (w *waiters) keep(stays func(waiter) bool) {
	kept := w.all[:0]
	for _, x := range w.all {
		if stays(x) {
			if len(kept) == 0 || x.revision < w.lowest {
				w.lowest = x.revision
			}
			kept = append(kept, x)
		}
	}
	clear(w.all[len(kept):])
	w.all = kept
}
