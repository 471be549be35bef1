package kvstore

import (
	"context"
	"fmt"
)

// EventType says how a key changed.
type EventType uint8

const (
	EventPut    EventType = 1 + iota
	EventDelete           // by a request
	EventExpire           // by the end of a lease or TTL
)

var eventNames = [...]string{EventPut: "put", EventDelete: "delete", EventExpire: "expire"}

func (t EventType) String() string {
	if int(t) < len(eventNames) && t != 0 {
		return eventNames[t]
	}
	return fmt.Sprintf("event type %d", uint8(t))
}

// Event is one change of one key.
type Event struct {
	Type EventType
	Item       // of a delete or expiry: Key, ModRevision (the revision that did it), and nothing else
	Prev *Item // the version before, if asked for; nil if the key was not there
	Last bool  // no other event that this watcher gets has the same revision
}

// WatchOptions say what a watcher gets. Without Keys and Prefixes that is
// everything.
type WatchOptions struct {
	Keys, Prefixes [][]byte
	Since          uint64      // events above this revision; ignored with FromNow
	FromNow        bool        // events after the newest revision at the call
	Types          []EventType // none: all
	Prev           bool        // with the version before
	Stale          bool        // do not ask anyone what the newest revision is
}

// Watch begins to watch. The watcher takes up memory, and after each change of
// what it watches a moment of the member's time, until it is closed. Errors are
// the Log's, a *CompactedError for a Since that the history does not reach back
// to, and ErrFutureRevision for one above the store's revision.
func (db *DB) Watch(ctx context.Context, o WatchOptions) (*Watcher, error) {
	if !o.Stale && (o.FromNow || o.Since > db.machine.Revision()) {
		if err := db.log.ReadBarrier(ctx); err != nil {
			return nil, err
		}
	}
	return db.machine.watch(o)
}

func (m *Machine) watch(o WatchOptions) (*Watcher, error) {
	w := newWatcher(m, o)
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := &m.state
	switch {
	case o.FromNow:
		w.revision = s.revision
	case o.Since > s.revision:
		return nil, fmt.Errorf("watch from revision %d of %d: %w", o.Since, s.revision, ErrFutureRevision)
	case o.Since < s.compacted:
		return nil, &CompactedError{Oldest: s.compacted}
	default:
		w.revision = o.Since
	}
	m.watches.opened()
	return w, nil
}

// Watchers returns the number of open watchers.
func (m *Machine) Watchers() int { return m.watches.count() }

// eventType is what the event that made the version shows as.
func (it *item) eventType() EventType {
	switch {
	case !it.deleted():
		return EventPut
	case it.expired():
		return EventExpire
	}
	return EventDelete
}

// event is the change that made the version. What came before it is right for any
// version that the event log has: compaction leaves each of them the one before,
// unless that is a tombstone.
func (it *item) event(last, withPrev bool) Event {
	e := Event{Type: it.eventType(), Last: last}
	if it.deleted() {
		e.Item = Item{Key: it.key(), ModRevision: it.modRevision}
	} else {
		e.Item = it.export()
	}
	if prev := it.prev.live(); prev != nil && withPrev {
		e.Prev = new(prev.export())
	}
	return e
}
