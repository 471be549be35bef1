package kvstore

import (
	"context"
	"errors"
	"fmt"
)

// ReadOptions say which moment a read sees. The zero value is the newest: all
// writes acknowledged, by any member, before the read began.
type ReadOptions struct {
	// Stale reads what this member has applied, at once and without asking anyone.
	Stale bool

	// MinRevision waits until this member has applied that revision, and then
	// asks nobody either. If the context ends first, the error is ErrNoLeader.
	MinRevision uint64

	// Revision reads the store as it was at that revision; 0 is the newest. It
	// does not by itself spare the question what the newest is: give Stale or
	// MinRevision where it is known that the revision exists.
	Revision uint64
}

var (
	// ErrCompacted says that a revision cannot be read any more. The error that
	// wraps it is a *CompactedError.
	ErrCompacted = errors.New("history is compacted")

	// ErrFutureRevision says that a revision is above the store's.
	ErrFutureRevision = errors.New("revision is in the future")
)

// CompactedError is ErrCompacted with what can still be read.
type CompactedError struct {
	Oldest uint64 // the oldest revision that can be read
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("%v: the oldest revision is %d", ErrCompacted, e.Oldest)
}

// Unwrap makes it an ErrCompacted.
func (e *CompactedError) Unwrap() error { return ErrCompacted }

// View returns a frozen moment, for as many reads as one likes. It takes no
// longer than a Get, whatever the store's size. Errors are the Log's, an
// ErrFutureRevision or a *CompactedError.
func (db *DB) View(ctx context.Context, o ReadOptions) (View, error) {
	if err := db.await(ctx, o); err != nil {
		return View{}, err
	}
	return db.machine.view(o.Revision)
}

// await blocks until this member may answer.
func (db *DB) await(ctx context.Context, o ReadOptions) error {
	switch {
	case o.MinRevision > 0:
		return db.machine.waitFor(ctx, o.MinRevision)
	case o.Stale:
		return nil
	}
	return db.log.ReadBarrier(ctx)
}

// view returns the store as it was at revision, 0 for as it is.
func (m *Machine) view(revision uint64) (View, error) {
	m.mu.RLock()
	v, err := m.moment, m.state.readable(revision)
	m.mu.RUnlock()
	if err == nil && v.tree.root == nil {
		v, err = m.freeze(revision)
	}
	if err != nil {
		return View{}, err
	}
	if revision > 0 {
		v.revision = revision
	}
	return v, nil
}

// freeze keeps the moment for others that ask before the next change, since each
// freezing has the writes after it copy what they touch.
func (m *Machine) freeze(revision uint64) (View, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if err := m.state.readable(revision); err != nil {
		return View{}, err
	}
	if m.moment.tree.root == nil {
		m.moment = View{tree: m.state.tree.freeze(), revision: m.state.revision}
	}
	return m.moment, nil
}

// readable refuses a revision that is to come or gone.
func (s *state) readable(revision uint64) error {
	switch {
	case revision == 0:
		return nil
	case revision > s.revision:
		return fmt.Errorf("read at revision %d of %d: %w", revision, s.revision, ErrFutureRevision)
	case revision < s.compacted:
		return &CompactedError{Oldest: s.compacted}
	}
	return nil
}

// readAt is read at a revision of the past.
func (m *Machine) readAt(key []byte, revision uint64) (*item, error) {
	m.mu.RLock()
	it, err := m.state.tree.get(key), m.state.readable(revision)
	m.mu.RUnlock()
	if err != nil {
		return nil, err
	}
	return it.asOf(revision), nil
}
