package client

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"
)

// kind says when a call may be sent again.
type kind uint8

const (
	reading    kind = iota // at any time
	repeatable             // a write that does no more when it is done twice: at any time
	keyed                  // a write under an idempotency key: at any time
	once                   // a write without: when it was surely not applied
)

// call is one request, to be sent to any member and as often as it takes.
type call struct {
	kind   kind
	method string
	route  string     // for errors
	path   string     // decoded
	raw    string     // path as it is sent; "": as net/url escapes it
	query  url.Values // nil: empty
	header []field
	body   []byte
	timed  bool          // the route knows timeout=
	wait   time.Duration // how long the member is asked to wait: a long poll
	haste  time.Duration // limit of one attempt, where it is below Config.AttemptTimeout; 0: it is not
	slow   bool          // one attempt may take all of Config.Timeout
	only   string        // this endpoint, and one attempt; "": any
}

// field is a line of a header.
type field struct{ name, value string }

// newCall prepares a call to a route without a key in its path.
func newCall(k kind, method, path string) *call {
	return &call{kind: k, method: method, route: path, path: path}
}

// write makes the call one under an idempotency key: the caller's, or a fresh
// one.
func (q *call) write(c *Client, key string) {
	if key == "" && c.cfg.NoIdempotencyKeys {
		q.kind = once
		return
	}
	if key == "" {
		key = rand.Text() // 130 bits
	}
	q.kind = keyed
	q.set("Idempotency-Key", key)
}

// param gives a parameter its value.
func (q *call) param(name, value string) {
	if q.query == nil {
		q.query = url.Values{}
	}
	q.query.Set(name, value)
}

// addParam gives a parameter one more value.
func (q *call) addParam(name, value string) {
	if q.query == nil {
		q.query = url.Values{}
	}
	q.query.Add(name, value)
}

// set adds a field to the header, which does not have it.
func (q *call) set(name, value string) { q.header = append(q.header, field{name, value}) }

// get returns a field of the header; "": there is none.
func (q *call) get(name string) string {
	for _, f := range q.header {
		if f.name == name {
			return f.value
		}
	}
	return ""
}

// json makes v the body.
func (q *call) json(v any) error {
	body, err := marshal(v)
	if err != nil {
		return fmt.Errorf("client: encode the body of %s %s: %w", q.method, q.route, err)
	}
	q.body = body
	q.set("Content-Type", "application/json")
	return nil
}

// marshal is json.Marshal, but for the escapes that are meant for web pages.
func marshal(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// do sends a call until there is an answer, or none is to be expected. Its
// errors are of type *Error.
func (c *Client) do(ctx context.Context, q *call) (*answer, error) {
	t := c.tries(q, c.cfg.Timeout+q.wait)
	for {
		a, err := t.attempt(ctx)
		if err == nil {
			return a, nil
		}
		if err := t.again(ctx, err); err != nil {
			return nil, err
		}
	}
}

// doJSON is do for an answer in JSON.
func (c *Client) doJSON(ctx context.Context, q *call, v any) (*answer, error) {
	a, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(a.body, v); err != nil {
		return nil, q.badAnswer(a.status, err)
	}
	return a, nil
}

// badAnswer is for an answer that says yes and cannot be read.
func (q *call) badAnswer(status int, err error) *Error {
	e := q.failure(fmt.Errorf("%w: %w", ErrBadAnswer, err))
	e.Status = status
	return e
}

// failure is an attempt without an answer to rely on.
func (q *call) failure(err error) *Error {
	// A url.Error would tell the key.
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		err = wrapped.Err
	}
	e := &Error{Method: q.method, Route: q.route, Err: err}
	if q.kind != reading {
		e.Outcome = OutcomeUnknown
	}
	return e
}
