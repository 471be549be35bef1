package kvstore

import (
	"bytes"
	"context"
	"errors"
)

const (
	// watchPage is how many events a watcher takes out of the log at a time. No
	// longer than it takes to copy so many pointers does a watcher that is far
	// behind hold up the next entry.
	watchPage = 256

	// watchLook is how many versions of a key are looked at for one that spares a
	// watcher to go through all events.
	watchLook = 64
)

var errWatcherClosed = errors.New("watcher is closed")

// Watcher is a position in the history of events. It holds no events: one that is
// slow costs nobody anything, and finds out when history has gone past it. One
// goroutine uses it.
type Watcher struct {
	m       *Machine
	filter  watchFilter
	prev    bool          // asked for
	calledc chan struct{} // says that a group of its seats may have been called

	// All events up to revision were seen, or with a key, of revision those up to
	// that key. A position says nothing of items: what is in the event log now may
	// be a copy of what was there before.
	revision uint64
	key      []byte
	held     *item // seen, and not returned: whether it is the last of its revision depends on what follows

	seats []watchSeat
	idle  bool // all there was has been returned and all seats are taken: see reached
	err   error
}

func newWatcher(m *Machine, o WatchOptions) *Watcher {
	w := &Watcher{m: m, filter: newWatchFilter(o), prev: o.Prev, calledc: make(chan struct{}, 1)}
	w.seats = make([]watchSeat, 0, len(w.filter.keys)+len(w.filter.prefixes))
	for _, k := range w.filter.keys {
		w.seats = append(w.seats, watchSeat{w: w, name: string(k)})
	}
	for _, p := range w.filter.prefixes {
		w.seats = append(w.seats, watchSeat{w: w, name: string(p), prefix: true})
	}
	return w
}

// Next returns the next events, at most len(buf) of them, in buf. They come in the
// order of their revisions, and those of one revision in the order of their keys.
// It blocks until there is one or ctx is done, whose error it returns then, and
// can be called again. When history has gone past the watcher, the error is a
// *CompactedError, now and ever after. Nothing is left out before it: all up to
// Progress was returned, and perhaps a part of the next revision, without its Last.
func (w *Watcher) Next(ctx context.Context, buf []Event) ([]Event, error) {
	for w.err == nil && len(buf) > 0 {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if n := w.scan(buf); n > 0 {
			return buf[:n], nil
		}
		if !w.idle {
			continue
		}
		select {
		case <-w.calledc:
		case <-ctx.Done():
			return nil, ctx.Err() // it stays seated: there may be another Next
		}
	}
	return nil, w.err
}

// Progress returns the revision up to which every event was returned. It rises
// without events too, as far as the store's when nothing waits to be returned.
func (w *Watcher) Progress() uint64 {
	w.m.mu.RLock()
	defer w.m.mu.RUnlock()
	return w.reached(&w.m.state)
}

// Close ends the watch. It may be called twice.
func (w *Watcher) Close() {
	if w.err == errWatcherClosed {
		return
	}
	w.m.mu.RLock()
	defer w.m.mu.RUnlock()
	w.revision, w.idle = w.reached(&w.m.state), false
	w.key, w.held = nil, nil
	w.m.watches.closed(w)
	w.err = errWatcherClosed
}

// scan goes through one page of events and returns how many it put into buf. It
// ends where buf has no room, with the page, idle if that was all there is, or with
// w.err.
func (w *Watcher) scan(buf []Event) (n int) {
	var page [watchPage]event
	found, whole := w.read(&page, len(buf))
	for _, e := range page[:found] {
		matches := w.filter.matches(e.it)
		if h := w.held; h != nil && (matches || e.revision > h.modRevision) {
			if n == len(buf) {
				return n
			}
			buf[n] = h.event(e.revision > h.modRevision, w.prev)
			w.held = nil
			n++
		}
		w.revision, w.key = e.revision, e.it.key()
		if matches {
			w.held = e.it
		}
	}
	if !whole {
		return n
	}
	// Entries are applied whole: no more of the last revision is to come.
	if w.held != nil {
		buf[n] = w.held.event(true, w.prev)
		w.held = nil
		n++
	}
	w.key, w.idle = nil, true
	return n
}

// read copies what follows the position. If that is the whole rest and has room
// where there is room for so many, w is seated as well: it will be called for all
// that comes.
func (w *Watcher) read(page *[watchPage]event, room int) (n int, whole bool) {
	m := w.m
	m.mu.RLock()
	defer m.mu.RUnlock()
	s := &m.state
	reached := w.reached(s)
	if w.idle {
		w.revision, w.idle = reached, false
	}
	if reached < s.compacted {
		w.err = &CompactedError{Oldest: s.compacted}
		return 0, false
	}
	w.skip(s)
	first := s.events.after(w.revision, w.key)
	n = min(s.events.n-first, len(page))
	for i := range n {
		page[i] = *s.events.at(first + i)
	}
	if w.held != nil {
		room--
	}
	if first+n < s.events.n || n > room {
		return n, false
	}
	m.watches.sit(w)
	return n, true
}

// reached is the revision up to which all was returned. While idle, that is what
// the groups say: nothing concerned w before the first of them was called. The
// caller has Machine.mu.
func (w *Watcher) reached(s *state) uint64 {
	switch {
	case w.idle:
		r := s.revision
		for i := range w.seats {
			if called := w.seats[i].group.called; called > 0 {
				r = min(r, called-1)
			}
		}
		return max(w.revision, r)
	case w.key != nil:
		return w.revision - 1
	}
	return w.revision
}

// skip moves a watcher of keys that is far behind to where one of them changed.
// The keys know that themselves, unless they changed too often.
func (w *Watcher) skip(s *state) {
	if w.key != nil || s.revision < w.revision+watchPage || len(w.filter.prefixes) > 0 || len(w.filter.keys) > watchLook {
		return
	}
	next, look := s.revision+1, watchLook
	for _, key := range w.filter.keys {
		for it := s.tree.get(key); it != nil && it.modRevision > w.revision; it = it.prev {
			if look--; look < 0 {
				return
			}
			next = min(next, it.modRevision)
		}
	}
	w.revision = next - 1
}

// after returns how many events there are up to that key of revision, or up to
// revision without one. The search goes back from the end in growing steps: most
// watchers are close to it.
func (ev *events) after(revision uint64, key []byte) int {
	isAfter := func(e *event) bool {
		if e.revision != revision || key == nil {
			return e.revision > revision
		}
		return bytes.Compare(e.it.kv, key) > 0
	}
	lo, hi, step := ev.n, ev.n, 1
	for lo > 0 && isAfter(ev.at(lo-1)) {
		hi = lo - 1
		lo = max(0, lo-step)
		step *= 2
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if isAfter(ev.at(mid)) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}
