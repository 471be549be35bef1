package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kvd/internal/kvstore"
)

// poll is a wait for a key to become something else than what its reader knows.
type poll struct {
	first kvstore.GetResult // what was read when the wait began
	known *tags             // from If-None-Match; nil: nothing is known
}

// over tells whether got is news. Tags say that the reader knows those versions
// and no others, so that a key that is gone is news as well. "*" says that it
// knows whatever there was.
func (p *poll) over(got *kvstore.GetResult) bool {
	switch {
	case p.known != nil && !p.known.any:
		return !got.Found || !p.known.match(got.ModRevision)
	case got.Found && p.known == nil:
		return true
	default:
		return got.Found != p.first.Found || got.ModRevision != p.first.ModRevision
	}
}

// await holds a read back until there is news, its time is up, its client is
// gone or this member stops, and brings got up to date. It tells whether there
// was news.
func (h *Handler) await(w http.ResponseWriter, r *http.Request, p *params, key string, known *tags, got *kvstore.GetResult) (bool, error) {
	wait := &poll{first: *got, known: known}
	if wait.over(got) {
		return true, nil
	}
	serving, err := h.serving()
	if err != nil {
		return false, err
	}
	if err := h.enterWatch(); err != nil {
		return false, err
	}
	defer h.leaveWatch()
	until := time.Now().Add(p.wait)
	answering(w, until.Add(answerTime))
	ctx, cancel := context.WithDeadline(r.Context(), until)
	defer cancel()
	stop := context.AfterFunc(serving, cancel)
	defer stop()

	for !wait.over(got) {
		err := h.watchKey(ctx, key, wait, got)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			h.refreshStaleness(w, p)
			return false, h.guarded()
		case errors.Is(err, kvstore.ErrCompacted):
			// A snapshot was installed, or history is very short: what the key
			// has become can still be read.
			now, err := h.cfg.Store.Get(ctx, []byte(key), kvstore.GetOptions{Stale: true})
			if err != nil {
				return false, p.readFault(err)
			}
			*got = now
		default:
			return false, p.readFault(err)
		}
	}
	h.refreshStaleness(w, p)
	return true, h.guarded()
}

// watchKey follows a key from got on, and got with it, until the wait is over.
func (h *Handler) watchKey(ctx context.Context, key string, wait *poll, got *kvstore.GetResult) error {
	watcher, err := h.cfg.Store.Watch(ctx, kvstore.WatchOptions{Keys: [][]byte{[]byte(key)}, Since: got.Revision, Stale: true})
	if err != nil {
		return err
	}
	defer watcher.Close()
	var buf [fewEvents]kvstore.Event
	for !wait.over(got) {
		events, err := watcher.Next(ctx, buf[:])
		got.Revision = max(got.Revision, watcher.Progress())
		if err != nil {
			return err
		}
		last := &events[len(events)-1]
		got.Item, got.Found = kvstore.Item{}, last.Type == kvstore.EventPut
		if got.Found {
			got.Item = last.Item
		}
	}
	return nil
}

// refreshStaleness tells the age of this member's state as it is after a wait.
func (h *Handler) refreshStaleness(w http.ResponseWriter, p *params) {
	if p.stale {
		w.Header()["Kvd-Staleness"] = []string{h.staleness()}
	}
}

// answering gives a request that takes as long as it likes to answer the time
// for that, and for being read: past that deadline net/http would take a client
// that only listens for one that has gone. A ResponseWriter without deadlines
// needs none.
func answering(w http.ResponseWriter, until time.Time) {
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(until)
	_ = rc.SetWriteDeadline(until)
}
