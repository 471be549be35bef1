package httpapi

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"strconv"
	"sync"
	"time"

	"kvd/internal/kvstore"
)

const (
	defaultMaxWatches    = 20_000
	defaultProgressEvery = 15 * time.Second
)

var (
	eventStreamType = []string{"text/event-stream"}
	unbuffered      = []string{"no"}
)

// watch serves GET and HEAD of the changes of keys. Errors are answers only up
// to the first byte of the stream; after that there is nothing to be told but a
// reset.
func (h *Handler) watch(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramsWatch)
	if err != nil {
		return 0, err
	}
	o, err := p.watchOptions(r.Header)
	if err != nil {
		return 0, err
	}
	if err := h.enterWatch(); err != nil {
		return 0, err
	}
	defer h.leaveWatch()
	serving, err := h.serving()
	if err != nil {
		return 0, err
	}
	watcher, err := h.beginWatch(w, r, &p, o)
	if err != nil {
		return 0, err
	}
	defer watcher.Close()

	f := newFeed(w, wantsEvents(r.Header["Accept"]), p.prev)
	header := w.Header()
	header["Content-Type"] = ndjsonType
	if f.sse {
		header["Content-Type"] = eventStreamType
	}
	header["Cache-Control"] = noStore
	header["Vary"] = varyAccept
	header["X-Content-Type-Options"] = nosniff
	header["X-Accel-Buffering"] = unbuffered // proxies would gather events for a page
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return http.StatusOK, nil
	}
	h.follow(r.Context(), serving, f, watcher)
	return http.StatusOK, nil
}

// enterWatch takes one of the places for watches and long polls, which
// leaveWatch gives back.
func (h *Handler) enterWatch() error {
	if h.metrics.watches.Add(1) > int64(h.cfg.MaxWatches) {
		h.leaveWatch()
		return &fault{cause: errTooManyWatches, detail: "at most " + strconv.Itoa(h.cfg.MaxWatches) + " watches and long polls are open at once; another member may have room"}
	}
	return nil
}

func (h *Handler) leaveWatch() { h.metrics.watches.Add(-1) }

// beginWatch finds the place in the history where a watch begins. That is a
// read like any other, and in bounds of time as any other.
func (h *Handler) beginWatch(w http.ResponseWriter, r *http.Request, p *params, o kvstore.WatchOptions) (*kvstore.Watcher, error) {
	if h.draining.Load() {
		return nil, &fault{cause: kvstore.ErrStopping, detail: "no new watches are taken; another member takes them"}
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if err := h.beforeRead(ctx, w, p); err != nil {
		return nil, err
	}
	watcher, err := h.cfg.Store.Watch(ctx, o)
	return watcher, p.readFault(err)
}

// follow sends what comes until the client is gone, this member stops or stops
// to serve, or the history has gone past the watcher.
func (h *Handler) follow(ctx, serving context.Context, f *feed, watcher *kvstore.Watcher) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(serving, func() {
		cancel()
		f.hurry()
	})
	defer stop()
	defer f.end()

	f.progress(watcher.Progress())
	f.flush()
	for !f.failed {
		tick, done := context.WithTimeout(ctx, h.cfg.ProgressEvery)
		err := h.copyEvents(tick, f, watcher)
		due := tick.Err() != nil
		done()
		gone, compacted := errors.AsType[*kvstore.CompactedError](err)
		switch {
		case ctx.Err() != nil || f.failed:
			return
		case compacted:
			h.metrics.watchResets.Add(1)
			f.reset(gone.Oldest)
			f.flush()
			return
		case !due:
			return // the store has no more to give
		case h.guarded() != nil:
			return
		case !f.torn:
			f.progress(watcher.Progress())
			f.flush()
		}
	}
}

// How many events are taken at once: few while they come one by one, since
// thousands of watchers may wait for them, more when there is a backlog.
const (
	fewEvents  = 4
	manyEvents = 64
)

var backlogs = sync.Pool{New: func() any { return new([manyEvents]kvstore.Event) }}

// copyEvents sends events until ctx ends, or for good. It returns the watcher's
// error, or ctx's as soon as that can be told between two revisions; nil: the
// client does not read any more.
func (h *Handler) copyEvents(ctx context.Context, f *feed, watcher *kvstore.Watcher) error {
	few := make([]kvstore.Event, fewEvents)
	gather := time.NewTimer(time.Hour)
	defer gather.Stop()
	buf, many := few, (*[manyEvents]kvstore.Event)(nil)
	defer func() {
		if many != nil {
			backlogs.Put(many)
		}
	}()
	for {
		events, err := watcher.Next(ctx, buf)
		if err != nil {
			return err
		}
		if err := h.guarded(); err != nil {
			return err // these may be what nobody wrote
		}
		for i := range events {
			f.event(&events[i])
		}
		h.metrics.watchEvents.Add(uint64(len(events)))
		backlog := len(events) == len(buf)
		clear(events) // their items may be compacted before the next come
		f.flush()
		switch {
		case f.failed:
			return nil
		case ctx.Err() != nil && !f.torn:
			return ctx.Err()
		case backlog && many == nil:
			many = backlogs.Get().(*[manyEvents]kvstore.Event)
			buf = many[:]
		case !backlog && many != nil:
			backlogs.Put(many)
			buf, many = few, nil
		}
		if pause := h.pace.wrote(time.Since(h.born)); pause > 0 && !backlog {
			gather.Reset(pause - rand.N(pause/3))
			select {
			case <-gather.C:
			case <-ctx.Done(): // Next tells
			}
		}
	}
}
