package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"strings"
	"sync/atomic"
	"time"
)

// attempt sends the call once and reads the whole answer.
func (t *tries) attempt(ctx context.Context) (*answer, *Error) {
	if p := t.c.endpoints[t.at].pool; p != nil && t.call.everyday() {
		return t.exchange(ctx, p)
	}
	ctx, cancel := context.WithTimeout(ctx, t.limit())
	defer cancel()
	res, err := t.send(ctx)
	if err != nil {
		return nil, err
	}
	return t.read(res)
}

// send sends the call once to the endpoint whose turn it is, by net/http, and
// returns the answer when its header is there.
//
// net/http itself sends a request with an Idempotency-Key again when a connection
// that was used before breaks under it. The answer is to the last sending; what was
// on its way before may have been applied.
func (t *tries) send(ctx context.Context) (*http.Response, *Error) {
	if e := t.sendable(ctx); e != nil {
		return nil, e
	}
	q := t.call
	var asked, got, wrote, resent atomic.Bool
	if q.kind != reading {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GetConn: func(string) { asked.Store(true) },
			GotConn: func(httptrace.GotConnInfo) {
				got.Store(true)
				if wrote.Load() {
					resent.Store(true)
				}
			},
			// Not WroteRequest, which may come when a member has answered already.
			WroteHeaders: func() { wrote.Store(true) },
		})
	}
	res, err := t.c.http.Do(t.request(ctx))
	t.unknown = t.unknown || resent.Load()
	if err == nil {
		return res, nil
	}
	e := q.failure(err)
	e.Endpoint = t.endpoint()
	if asked.Load() && !got.Load() {
		e.Outcome = NotApplied // nothing was sent for want of a connection
	}
	return nil, e
}

// sendable finds what keeps the call from being sent at all.
func (t *tries) sendable(ctx context.Context) *Error {
	err := ctx.Err()
	if err == nil {
		err = t.call.check()
	}
	if err == nil {
		return nil
	}
	e := t.call.failure(err)
	if t.call.kind != reading {
		e.Outcome = NotApplied
	}
	return e
}

// check finds what net/http would refuse to send, as often as it is asked, and
// what would be something else on a connection of our own.
func (q *call) check() error {
	for _, f := range q.header {
		if !sendableValue(f.value) {
			return fmt.Errorf("%w: %s: %.40q cannot be sent", ErrBadRequest, f.name, f.value)
		}
	}
	return nil
}

// sendableValue tells whether s may be the value of a header field.
func sendableValue(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f })
}

// request makes the request of one attempt by net/http.
func (t *tries) request(ctx context.Context) *http.Request {
	q := t.call
	u := *t.c.endpoints[t.at].base
	u.Path, u.RawPath = q.path, q.raw
	u.RawQuery = string(t.appendQuery(nil, t.limit()))
	header := http.Header{"User-Agent": {t.c.cfg.UserAgent}}
	for _, f := range q.header {
		header.Set(f.name, f.value)
	}
	req := &http.Request{
		Method:        q.method,
		URL:           &u,
		Host:          u.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        header,
		Body:          http.NoBody,
		ContentLength: int64(len(q.body)),
	}
	if len(q.body) > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(q.body)), nil }
		req.Body, _ = req.GetBody()
	}
	return req.WithContext(ctx)
}

// appendQuery appends the query of one sending, which may take up to limit. The
// member gets a little less time than it takes us to lose patience.
func (t *tries) appendQuery(b []byte, limit time.Duration) []byte {
	q, begin := t.call, len(b)
	if len(q.query) > 0 {
		b = append(b, q.query.Encode()...)
	}
	set := func(name string, d time.Duration) {
		if len(b) > begin {
			b = append(b, '&')
		}
		b = append(append(b, name...), d.String()...) // "1.5s" needs no escapes
	}
	wait := t.wait()
	if wait > 0 {
		set("wait=", wait)
	}
	if q.timed {
		d := limit - wait
		set("timeout=", max((d-min(d/8, time.Second)).Round(time.Millisecond), time.Millisecond))
	}
	return b
}

// read takes the whole answer.
func (t *tries) read(res *http.Response) (*answer, *Error) {
	body, err := readBody(res.Body, t.c.cfg.MaxAnswerBytes)
	if err != nil {
		return nil, t.unread(res.StatusCode, err)
	}
	return t.judge(&answer{res.StatusCode, fieldsOf(res.Header), body})
}

// unread is for an answer with a status that could not be read whole.
func (t *tries) unread(status int, err error) *Error {
	e := t.call.failure(fmt.Errorf("read the answer: %w", err))
	e.Endpoint = t.endpoint()
	if errors.Is(err, ErrTooLarge) {
		e.Status = status
	}
	return e
}

// judge tells errors from the rest.
func (t *tries) judge(a *answer) (*answer, *Error) {
	if a.status/100 == 2 || a.status == http.StatusNotModified {
		t.stay()
		return a, nil
	}
	e := t.call.problem(a)
	e.Endpoint = t.endpoint()
	return nil, e
}

// readBody reads a body to its end, without which no connection is used again,
// and closes it.
func readBody(body io.ReadCloser, limit int64) ([]byte, error) {
	defer body.Close()
	return readAll(body, limit)
}

// readAll reads r to its end.
func readAll(r io.Reader, limit int64) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(r, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, tooLarge(limit)
	}
	return b, nil
}

func tooLarge(limit int64) error { return fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit) }
