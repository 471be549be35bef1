package httpapi

import (
	"context"
	"net/http"
	"sync/atomic"
	"time"

	"kvd/internal/kvstore"
)

// Handler serves the API. It is safe for concurrent use.
type Handler struct {
	// Set by New.
	cfg      Config
	stopping context.Context // done once draining: ends what would go on for long
	stop     context.CancelFunc
	router   *router
	hosts    hostSet
	origins  *http.CrossOriginProtection
	usual    deadlines // of requests that do not say how long they wait
	asked    deadlines // of those that do: clients ask for the same again and again
	metrics  metrics
	gatherer http.Handler

	born time.Time

	digests digests
	era     atomic.Pointer[era]

	pace     pace // of all watches
	draining atomic.Bool
	listings atomic.Int64 // in lines, being written
}

// New returns a Handler that is ready to serve.
func New(cfg Config) (*Handler, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	h := &Handler{
		cfg:     cfg,
		router:  newRouter(cfg.Compat),
		hosts:   newHostSet(cfg.Hosts),
		origins: http.NewCrossOriginProtection(),
		digests: newDigests(),
		born:    time.Now(),
	}
	h.stopping, h.stop = context.WithCancel(context.Background())
	h.era.Store(newEra(h.stopping))
	h.gatherer = h.newGatherer()
	return h, nil
}

// Drain makes every request that would change something fail with 503 stopping,
// and readyz with it; those under way go on, and reads are served to the end.
// Watches end at once, and long polls as if their time were up. It may be called
// more than once.
func (h *Handler) Drain() {
	h.draining.Store(true)
	h.stop()
}

// ServeHTTP routes on the escaped path, runs the checks that hold on every
// route, and turns what the action returns into an answer. The order matters:
// a foreign Host learns nothing, not even which paths exist.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.metrics.inFlight.Add(1)
	defer h.metrics.inFlight.Add(-1) // net/http survives a panic, and so should the gauge

	status, err := 0, error(nil)
	escaped := r.URL.RawPath
	if escaped == "" {
		escaped = r.URL.Path // no escapes but those that say nothing new
	}
	res := h.router.resource(escaped, r.URL.Path)
	act := res.action(r.Method)
	switch {
	case !h.hosts.allows(r):
		err = &fault{cause: errBadHost, detail: "this member does not answer to that name; see --allowed-hosts"}
	case act == nil && res == h.router.missing:
		err = &fault{cause: errNotFound, detail: "no such path"}
	case act == nil:
		err = &fault{cause: errMethodNotAllowed, detail: "this path takes " + res.allow, allow: res.allow}
	default:
		if err = h.admit(act, r); err == nil {
			status, err = act.run(h, w, r)
		}
	}
	if err != nil {
		status = h.fail(w, r, err)
	}
	h.metrics.done(r.Method, status, err)
}

// admit runs the checks that hold on routes of one kind.
func (h *Handler) admit(act *action, r *http.Request) error {
	if act.kind&writes != 0 {
		if cross := h.origins.Check(r); cross != nil {
			return &fault{cause: errCrossOrigin, detail: cross.Error()}
		}
		if h.draining.Load() {
			return &fault{cause: kvstore.ErrStopping, detail: "no new writes are taken; another member takes them"}
		}
		if err := refuseHeaders(r.Header); err != nil {
			return err
		}
	}
	if act.kind&state != 0 {
		return h.guarded()
	}
	return nil
}

// context returns the context of a request that asked for timeout (0: did not
// say), and what releases it.
func (h *Handler) context(w http.ResponseWriter, r *http.Request, timeout time.Duration) (context.Context, context.CancelFunc) {
	switch {
	case timeout == 0:
		return h.usual.context(h.cfg.Timeout), release
	case timeout >= time.Second && timeout <= shortTime:
		if ctx := h.asked.context(timeout); ctx != nil {
			return ctx, release
		}
	}
	if timeout > h.cfg.Timeout {
		// The server's own deadlines are made for the default. Past the one for
		// reading, net/http would take the silent client for one that has gone.
		// A ResponseWriter without deadlines needs no longer ones.
		rc, until := http.NewResponseController(w), time.Now().Add(timeout+answerTime)
		_ = rc.SetReadDeadline(until)
		_ = rc.SetWriteDeadline(until)
	}
	return context.WithTimeout(r.Context(), timeout)
}

// release is for contexts that hold nothing.
func release() {}

// refuseHeaders refuses what a client counts on and kvd would pass over: half a
// value would be stored as a whole one. Idempotency-Key is each route's own
// affair.
func refuseHeaders(header http.Header) error {
	if header["Content-Range"] != nil {
		return badParameter("Content-Range", "a value is written whole")
	}
	return nil
}
