package client

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"time"
)

const (
	firstPause = 20 * time.Millisecond // before the second attempt; twice that before the third
	lastPause  = time.Second
)

// tries are the attempts of one call: where the next one goes, and when, and
// what the earlier ones may have done.
type tries struct {
	c    *Client
	call *call

	at       int         // the endpoint whose turn it is
	made     int         // attempts
	begun    time.Time   // the first of them, or the latest success
	until    time.Time   // no attempt begins later; zero: no limit
	unknown  bool        // an attempt may have been applied
	closedTo []time.Time // by endpoint: when it asked to be tried again; nil before a first failure
}

// tries returns the attempts of a call, which end after patience (0: never).
func (c *Client) tries(q *call, patience time.Duration) *tries {
	t := &tries{c: c, call: q, at: int(c.current.Load())}
	if q.only != "" {
		t.at, _ = c.endpointIndex(q.only)
	}
	t.renew(patience)
	return t
}

// renew begins anew after a success: of a call that goes on for long.
func (t *tries) renew(patience time.Duration) {
	t.made, t.begun, t.until = 0, time.Now(), time.Time{}
	if patience > 0 {
		t.until = t.begun.Add(patience)
	}
}

// endpoint is the URL of the endpoint whose turn it is.
func (t *tries) endpoint() string { return t.c.endpoints[t.at].text }

// stay makes later calls begin with the endpoint that has answered well.
func (t *tries) stay() {
	if t.call.only == "" {
		t.c.stay(t.at)
	}
}

// limit is how long the next attempt may take.
func (t *tries) limit() time.Duration {
	limit := t.c.cfg.AttemptTimeout
	if t.call.slow {
		limit = max(limit, t.c.cfg.Timeout)
	}
	if t.call.haste > 0 {
		limit = min(limit, t.call.haste)
	}
	limit += t.wait()
	if !t.until.IsZero() {
		limit = min(limit, time.Until(t.until))
	}
	return max(limit, time.Millisecond)
}

// wait is what is left of the time that the call asks the member to wait.
func (t *tries) wait() time.Duration {
	return max(t.call.wait-time.Since(t.begun).Truncate(time.Millisecond), 0)
}

// again waits until the next attempt is due. When there is to be none, it
// returns e, complete.
func (t *tries) again(ctx context.Context, e *Error) error {
	t.made++
	e.Attempts = t.made
	e.Outcome = t.outcome(e)
	t.unknown = t.unknown || e.Outcome == OutcomeUnknown
	if t.call.only == "" && ill(e) && !errors.Is(e.Err, context.Canceled) {
		// Whether or not this call goes on: others shall not find out anew. That
		// a caller gave up says nothing, that he lost patience does.
		t.c.leave(t.at)
	}
	switch {
	case !t.worthwhile(e):
		return e
	case ctx.Err() != nil:
		return ended(e, ctx.Err())
	}
	due := t.next(e)
	if !t.until.IsZero() && !due.Before(t.until) {
		return ended(e, context.DeadlineExceeded)
	}
	timer := time.NewTimer(time.Until(due))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ended(e, ctx.Err())
	}
}

// ended adds why there is no further attempt.
func ended(e *Error, why error) *Error {
	if !errors.Is(e.Err, why) {
		e.Err = errors.Join(e.Err, why)
	}
	return e
}

// outcome is what is known after an attempt that failed with e, with regard to
// those before it. A result that was judged where writes are applied settles
// the matter: under one key, it is the result of all of them. A refusal
// elsewhere says nothing about an attempt that may still be on its way.
func (t *tries) outcome(e *Error) Outcome {
	if !t.unknown {
		return e.Outcome
	}
	switch e.Code {
	case "precondition_failed", "idempotency_mismatch":
		return e.Outcome
	}
	return OutcomeUnknown
}

// worthwhile tells whether another attempt may end better, and is safe.
func (t *tries) worthwhile(e *Error) bool {
	switch {
	case t.call.only != "":
		return false
	case t.call.kind == once && e.Outcome != NotApplied:
		return false
	}
	return ill(e)
}

// ill tells whether an attempt has failed for a reason that another member may
// not have.
func ill(e *Error) bool {
	switch e.Status {
	case 0:
		return !errors.Is(e.Err, ErrBadRequest)
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return !errors.Is(e.Err, ErrTooLarge)
	}
	return false
}

// next chooses the endpoint for the next attempt, and its time: the next in
// turn that has not asked for more time, else the one that asked for least.
func (t *tries) next(e *Error) time.Time {
	now := time.Now()
	if t.closedTo == nil {
		t.closedTo = make([]time.Time, len(t.c.endpoints))
	}
	if e.RetryAfter > 0 {
		t.closedTo[t.at] = now.Add(e.RetryAfter)
	}
	if e.Status == http.StatusTooManyRequests && t.call.kind != reading {
		// One leader writes for all of them: the others would say the same.
		for i := range t.closedTo {
			t.closedTo[i] = now.Add(e.RetryAfter)
		}
	}
	n := len(t.closedTo)
	best := (t.at + 1) % n
	for i := range n {
		k := (t.at + 1 + i) % n
		if !t.closedTo[k].After(now) {
			best = k
			break
		}
		if t.closedTo[k].Before(t.closedTo[best]) {
			best = k
		}
	}
	due := now.Add(pause(t.made))
	if open := t.closedTo[best]; open.After(due) {
		due = open.Add(pause(1)) // not all at the same moment
	}
	t.at = best
	return due
}

// pause is the time between attempt n and the one after it: from half to all of
// twice the one before.
func pause(n int) time.Duration {
	d := lastPause
	if n < 7 {
		d = min(firstPause<<(n-1), lastPause)
	}
	return d/2 + rand.N(d/2)
}
