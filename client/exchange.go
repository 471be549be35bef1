package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// maxEverydayBody is the longest body that a connection of our own sends: a member
// takes that much at once, so that nobody needs to read and write at a time in
// order not to miss an early answer.
const maxEverydayBody = 64 << 10

// everyday tells whether a call is of the many: a short request to the keys, whose
// answer comes at once and whole. These have connections of their own, on which
// members see nothing else and serve them with less effort. All other calls are
// net/http's.
func (q *call) everyday() bool {
	if q.wait > 0 || q.slow || len(q.body) > maxEverydayBody {
		return false
	}
	return strings.HasPrefix(q.path, listPath) || q.path == txnPath || strings.HasPrefix(q.path, leasesPath)
}

// exchange is attempt over a connection of p.
//
// A connection that was used before may have been closed by the member just now.
// Where nothing came back over one, the request is sent once more over a new one:
// if none of it was written, or if it may be sent again at any time. What the answer
// to that says of a write is then not all there is to know: the first sending may
// have been applied.
func (t *tries) exchange(ctx context.Context, p *pool) (*answer, *Error) {
	if e := t.sendable(ctx); e != nil {
		return nil, e
	}
	deadline := time.Now().Add(t.limit())
	if d, ok := ctx.Deadline(); ok && d.Before(deadline) {
		deadline = d
	}
	sent := false // a byte of the request may have reached the member
	for fresh := false; ; fresh = true {
		c, err := p.get(ctx, deadline, fresh)
		if err != nil {
			return nil, t.unsent(reason(ctx, err), sent)
		}
		limit := t.limit()
		if fresh {
			limit = min(limit, time.Until(deadline)) // the first sending has had some of it
		}
		c.out = t.appendRequest(c.out[:0], p.host, limit)
		a, err := c.exchange(ctx, t.call.method, t.c.cfg.MaxAnswerBytes)
		sent = sent || c.sent
		if err == nil {
			p.put(c)
			return t.judge(a)
		}
		c.close()
		again := c.used && !c.begun && !errors.Is(err, os.ErrDeadlineExceeded) && ctx.Err() == nil
		switch {
		case again && (!sent || t.call.kind != once):
			t.unknown = t.unknown || sent && t.call.kind != reading
		case !c.begun:
			return nil, t.unsent(reason(ctx, err), sent)
		default:
			return nil, t.unread(a.status, reason(ctx, err))
		}
	}
}

// unsent is for an attempt that got no answer: sent tells whether any of the
// request may have reached the member.
func (t *tries) unsent(err error, sent bool) *Error {
	e := t.call.failure(err)
	e.Endpoint = t.endpoint()
	if !sent && t.call.kind != reading {
		e.Outcome = NotApplied
	}
	return e
}

// reason is why an exchange failed with err: the end of the context and that of the
// attempt's time come as errors of the connection.
func reason(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no answer in time: %w", context.DeadlineExceeded)
	}
	return err
}

// appendRequest appends the request as it is sent, which may take up to limit.
func (t *tries) appendRequest(b []byte, host string, limit time.Duration) []byte {
	q := t.call
	b = append(append(b, q.method...), ' ')
	if q.raw != "" {
		b = append(b, q.raw...)
	} else {
		b = append(b, (&url.URL{Path: q.path}).EscapedPath()...)
	}
	b = append(b, '?')
	path := len(b)
	if b = t.appendQuery(b, limit); len(b) == path {
		b = b[:path-1]
	}
	b = append(append(b, " HTTP/1.1\r\nHost: "...), host...)
	b = append(append(b, "\r\nUser-Agent: "...), t.c.cfg.UserAgent...)
	for _, f := range q.header {
		b = append(append(b, "\r\n"...), f.name...)
		b = append(append(b, ": "...), f.value...)
	}
	if len(q.body) > 0 || q.method != http.MethodGet && q.method != http.MethodDelete {
		b = strconv.AppendInt(append(b, "\r\nContent-Length: "...), int64(len(q.body)), 10)
	}
	return append(append(b, "\r\n\r\n"...), q.body...)
}
