package client

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// attempt sends the call once and reads the whole answer.
func (t *tries) attempt(ctx context.Context) (*answer, *Error) {
	ctx, cancel := context.WithTimeout(ctx, t.limit())
	defer cancel()
	res, err := t.send(ctx)
	if err != nil {
		return nil, err
	}
	return t.read(res)
}

// send sends the call once to the endpoint whose turn it is, and returns the
// answer when its header is there.
func (t *tries) send(ctx context.Context) (*http.Response, *Error) {
	q := t.call
	err := ctx.Err()
	if err == nil {
		err = q.check()
	}
	if err != nil {
		e := q.failure(err)
		if q.kind != reading {
			e.Outcome = NotApplied
		}
		return nil, e
	}
	var asked, got atomic.Bool
	if q.kind != reading {
		ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
			GetConn: func(string) { asked.Store(true) },
			GotConn: func(httptrace.GotConnInfo) { got.Store(true) },
		})
	}
	res, err := t.c.http.Do(t.request(ctx))
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

// check finds what net/http would refuse to send, as often as it is asked.
func (q *call) check() error {
	for name, values := range q.header {
		for _, v := range values {
			if strings.ContainsFunc(v, func(r rune) bool { return r < ' ' && r != '\t' || r == 0x7f }) {
				return fmt.Errorf("%w: %s: %.40q cannot be sent", ErrBadRequest, name, v)
			}
		}
	}
	return nil
}

// request makes the request of one attempt. The member gets a little less time
// than it takes us to lose patience.
func (t *tries) request(ctx context.Context) *http.Request {
	q := t.call
	u := *t.c.endpoints[t.at].base
	u.Path, u.RawPath = q.path, q.raw
	u.RawQuery = q.query.Encode()
	wait := t.wait()
	if wait > 0 {
		u.RawQuery += "&wait=" + url.QueryEscape(wait.String())
	}
	if q.timed {
		d := t.limit() - wait
		d = max((d - min(d/8, time.Second)).Round(time.Millisecond), time.Millisecond)
		u.RawQuery += "&timeout=" + d.String()
	}
	u.RawQuery = strings.TrimPrefix(u.RawQuery, "&")
	req := &http.Request{
		Method:        q.method,
		URL:           &u,
		Host:          u.Host,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        q.header.Clone(),
		Body:          http.NoBody,
		ContentLength: int64(len(q.body)),
	}
	if len(q.body) > 0 {
		req.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(q.body)), nil }
		req.Body, _ = req.GetBody()
	}
	req.Header.Set("User-Agent", t.c.cfg.UserAgent)
	return req.WithContext(ctx)
}

// read takes the whole answer, and tells errors from the rest.
func (t *tries) read(res *http.Response) (*answer, *Error) {
	q := t.call
	body, err := readBody(res.Body, t.c.cfg.MaxAnswerBytes)
	if err != nil {
		e := q.failure(fmt.Errorf("read the answer: %w", err))
		e.Endpoint = t.endpoint()
		if errors.Is(err, ErrTooLarge) {
			e.Status = res.StatusCode
		}
		return nil, e
	}
	if res.StatusCode/100 == 2 || res.StatusCode == http.StatusNotModified {
		t.stay()
		return &answer{res.StatusCode, res.Header, body}, nil
	}
	e := q.problem(res, body)
	e.Endpoint = t.endpoint()
	return nil, e
}

// readBody reads a body to its end, without which no connection is used again,
// and closes it.
func readBody(body io.ReadCloser, limit int64) ([]byte, error) {
	defer body.Close()
	b, err := io.ReadAll(io.LimitReader(body, limit+1))
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("%w: more than %d bytes", ErrTooLarge, limit)
	}
	return b, nil
}
