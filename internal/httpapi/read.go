package httpapi

import (
	"context"
	"errors"
	"net/http"
	"time"

	"kvd/internal/kvstore"
)

// readOptions are what the parameters of a read ask of the store. A read that
// waits for a revision is one of this member's own state, stale or not.
func (p *params) readOptions() kvstore.ReadOptions {
	return kvstore.ReadOptions{
		Stale:       p.stale && p.minRevision == 0,
		MinRevision: p.minRevision,
		Revision:    p.revision,
	}
}

// beforeRead does what must come before a read of the store: it tells how old
// this member's state may be before that state is looked at, since to ask
// afterwards could make it look younger than it was.
func (h *Handler) beforeRead(ctx context.Context, w http.ResponseWriter, p *params) error {
	switch {
	case p.stale:
		age, heard := h.cfg.Cluster.Staleness()
		w.Header()["Kvd-Staleness"] = []string{stalenessText(age, heard)}
		if p.maxStale > 0 && (!heard || age > p.maxStale) {
			return &fault{cause: errTooStale, detail: "this member last heard from a leader longer ago than max_stale", parameter: "max_stale"}
		}
	case p.maxStale > 0:
		return badParameter("max_stale", "goes with consistency=stale")
	case p.linearizable && p.minRevision > 0:
		// Both were asked for: the store skips the quorum for who waits for a
		// revision, so it is asked here.
		_, err := h.cfg.Store.View(ctx, kvstore.ReadOptions{})
		return readFault(err)
	}
	return nil
}

// view freezes the store as the parameters of a read ask.
func (h *Handler) view(ctx context.Context, w http.ResponseWriter, p *params) (kvstore.View, error) {
	if err := h.beforeRead(ctx, w, p); err != nil {
		return kvstore.View{}, err
	}
	v, err := h.cfg.Store.View(ctx, p.readOptions())
	return v, p.readFault(err)
}

// readFault tells a revision that did not come in time from a leader that was
// silent.
func (p *params) readFault(err error) error {
	if p.minRevision > 0 && errors.Is(err, kvstore.ErrNoLeader) {
		return &fault{cause: kvstore.ErrNoLeader, detail: "this member has not reached min_revision in time", parameter: "min_revision"}
	}
	return readFault(err)
}

// staleness is the age of this member's state, as status shows it.
func (h *Handler) staleness() string { return stalenessText(h.cfg.Cluster.Staleness()) }

// stalenessText is the value of Kvd-Staleness.
func stalenessText(age time.Duration, heard bool) string {
	if !heard {
		return "unknown"
	}
	return age.Round(time.Microsecond).String()
}

// readFault makes the errors of a Log fit a read, which has no outcome: all that
// a read can lack is a leader to confirm it in time.
func readFault(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) || errors.Is(err, kvstore.ErrOutcomeUnknown) {
		return &fault{cause: kvstore.ErrNoLeader, detail: "no leader confirmed the read in time; consistency=stale reads this member's own state"}
	}
	return err
}
