package client

import (
	"context"
	"errors"
	"iter"
	"net/http"
	"strings"
	"time"
)

// watchPatience is how long a stream may be silent: members send progress every
// 15 s.
const watchPatience = 45 * time.Second

// WatchOptions say what a watch delivers. nil means every change from now on.
type WatchOptions struct {
	// Keys and Prefixes are what is watched; without either, the whole store.
	Keys, Prefixes []string

	Since uint64 // events above this revision; 0: from now on
	All   bool   // from the beginning of the history, where Since is 0

	Types    []EventType // put, delete, expire; nil: all three
	Prev     bool        // with the item before
	Progress bool        // deliver progress too: it comes every 15 s, so that a reader can keep Revision

	// MaxOutage is how long the watch tries to find a member that goes on with
	// it before it gives up; 0: as long as its context lives.
	MaxOutage time.Duration
}

func (o *WatchOptions) call() *call {
	q := newCall(reading, http.MethodGet, "/v1/watch")
	q.timed = true
	q.set("Accept", "text/event-stream")
	for _, key := range o.Keys {
		q.addParam("key", key)
	}
	for _, prefix := range o.Prefixes {
		q.addParam("prefix", prefix)
	}
	var types []string
	for _, t := range o.Types {
		types = append(types, string(t))
	}
	if types != nil {
		q.param("events", strings.Join(types, ","))
	}
	if o.Prev {
		q.param("prev", "true")
	}
	return q
}

// Watcher follows the changes of keys, over any number of streams from any
// members: each event once, in order, without a gap. One goroutine uses it.
//
// It has no goroutine and no queue of its own. Who is slow to call Next is so at
// no one's cost; who falls behind the history gets a *CompactedError.
type Watcher struct {
	// Set by Watch.
	ctx      context.Context
	tries    *tries
	outage   time.Duration
	patience time.Duration
	progress bool

	stream *stream // nil: there is none at the moment
	frames *frames // of stream
	opened time.Time

	known bool   // since is: false until the first answer to a watch from now
	since uint64 // all events up to it were taken

	// Of a revision above since, of which not all events were taken: which one,
	// how many, and the key of the last of them. Their order is the same on
	// every member, so the next stream's first ones are these.
	partial uint64
	taken   int
	lastKey string
	repeats int // how many of them the current stream has still to repeat

	moved bool   // the current stream has brought events
	first *Event // taken by Watch, for the first Next
	err   error  // the end
}

// Watch begins a watch, which lives until Close, or the end of ctx. When it
// returns, the place where the watch begins is settled: with Since 0, every
// write that begins afterwards is delivered.
func (c *Client) Watch(ctx context.Context, o *WatchOptions) (*Watcher, error) {
	if o == nil {
		o = &WatchOptions{}
	}
	w := &Watcher{
		ctx:      ctx,
		tries:    c.tries(o.call(), c.cfg.Timeout),
		outage:   o.MaxOutage,
		patience: watchPatience,
		progress: o.Progress,
		known:    o.Since > 0 || o.All,
		since:    o.Since,
	}
	if err := w.begin(); err != nil {
		w.Close()
		return nil, err
	}
	return w, nil
}

// begin connects, and stays until it is known where the watch begins.
func (w *Watcher) begin() error {
	for w.stream == nil || !w.known {
		ev, ok, err := w.step()
		if err != nil {
			return err
		}
		if ok {
			w.first = &ev
			break
		}
	}
	w.tries.renew(w.outage)
	return nil
}

// Next returns the next event; it waits for one. An error is the end: a
// *CompactedError where the watch could only go on with a gap, the context's,
// or an *Error of a member that refuses it.
func (w *Watcher) Next() (Event, error) {
	if w.first != nil {
		ev := *w.first
		w.first = nil
		return ev, nil
	}
	for {
		ev, ok, err := w.step()
		if err != nil {
			w.Close()
			return Event{}, err
		}
		if ok {
			return ev, nil
		}
	}
}

// Events returns what Next does, to the error that ends it. A loop that is left
// early may be followed by another one.
func (w *Watcher) Events() iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		for {
			ev, err := w.Next()
			if !yield(ev, err) || err != nil {
				return
			}
		}
	}
}

// Revision is the highest revision of which, and below which, Next has returned
// all events: WatchOptions.Since of a watch that goes on after this one.
func (w *Watcher) Revision() uint64 { return w.since }

// Close ends the watch. It may be called twice.
func (w *Watcher) Close() {
	w.disconnect()
	if w.err == nil {
		w.err = errors.New("client: the watch is closed")
	}
}

func (w *Watcher) disconnect() {
	if w.stream != nil {
		w.stream.close()
		w.stream, w.frames = nil, nil
	}
}
