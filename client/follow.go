package client

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"time"
)

// step connects, or reads one frame. True: it was an event for the caller.
func (w *Watcher) step() (Event, bool, error) {
	if w.err != nil {
		return Event{}, false, w.err
	}
	if w.stream == nil {
		return Event{}, false, w.end(w.connect())
	}
	f, err := w.frames.next()
	if err != nil {
		if errors.Is(err, ErrTooLarge) {
			return Event{}, false, w.end(w.failure(err))
		}
		return Event{}, false, w.end(w.cut(err))
	}
	m, ok, err := parseMessage(f)
	if err != nil {
		return Event{}, false, w.end(w.failure(err))
	}
	if !ok {
		return Event{}, false, nil
	}
	if m.Type == eventReset {
		return Event{}, false, w.end(w.reset(m.oldest))
	}
	ok, err = w.take(&m.Event)
	return m.Event, ok, w.end(err)
}

// end keeps the error that ends the watch.
func (w *Watcher) end(err error) error {
	if err != nil {
		w.err = err
	}
	return err
}

// connect tries once to open a stream from where the watch stands.
func (w *Watcher) connect() error {
	if w.known {
		w.tries.call.param("since", strconv.FormatUint(w.since, 10))
	}
	s, e := w.tries.open(w.ctx, w.patience)
	switch {
	case e == nil:
		w.stream, w.frames, w.opened = s, newFrames(s, s.limit), time.Now()
		w.repeats, w.moved = w.taken, false
		return nil
	case e.Code == "compacted":
		return &CompactedError{Since: w.since, Oldest: e.OldestRevision, Err: e}
	}
	return w.tries.again(w.ctx, e)
}

// cut goes on after the end of a stream. One that has lived for a while, or has
// brought events, is a success, after which all patience is there again.
func (w *Watcher) cut(err error) error {
	if err == io.EOF {
		err = errors.New("the member has ended the stream")
	}
	w.disconnect()
	if w.known && (w.moved || time.Since(w.opened) > lastPause) {
		w.tries.renew(w.outage)
	}
	return w.tries.again(w.ctx, w.failure(err))
}

// failure is an error of the current stream.
func (w *Watcher) failure(err error) *Error {
	e := w.tries.call.failure(err)
	e.Endpoint, e.Attempts = w.tries.endpoint(), w.tries.made
	return e
}

// reset ends the watch, unless the history reaches back far enough: then the
// member has only lost patience with a slow reader.
func (w *Watcher) reset(oldest uint64) error {
	if w.known && oldest > 0 && oldest <= w.since {
		return w.cut(errors.New("the member has reset the stream"))
	}
	return &CompactedError{Since: w.since, Oldest: oldest}
}

// take notes an event and tells whether the caller gets it: once.
func (w *Watcher) take(ev *Event) (bool, error) {
	progress := ev.Type == EventProgress
	switch {
	case w.known && ev.Revision < w.since, w.known && ev.Revision == w.since && !progress:
		return false, nil // taken before
	case progress && ev.Revision < w.partial:
		// From before events that were taken already, by which a new stream begins.
		w.known, w.since = true, max(w.since, ev.Revision)
		return false, nil
	case w.repeats > 0 && ev.Revision == w.partial && !progress:
		if w.repeats--; w.repeats == 0 && ev.Item.Key != w.lastKey {
			return false, w.failure(fmt.Errorf("%w: another event than before at revision %d", ErrBadAnswer, ev.Revision))
		}
		return false, nil
	case w.repeats > 0:
		return false, w.failure(fmt.Errorf("%w: revision %d has fewer events than before", ErrBadAnswer, w.partial))
	}
	if !progress {
		w.moved = true
		if !w.known {
			w.known, w.since = true, ev.Revision-1 // nothing was between now and this one
		}
	}
	switch {
	case ev.Last:
		w.known, w.since = true, ev.Revision
		w.partial, w.taken, w.lastKey = 0, 0, ""
	case ev.Revision != w.partial:
		w.since = max(w.since, w.partial) // which is over: a later one has begun
		w.partial, w.taken, w.lastKey = ev.Revision, 1, ev.Item.Key
	default:
		w.taken++
		w.lastKey = ev.Item.Key
	}
	return !progress || w.progress, nil
}
