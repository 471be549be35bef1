package client

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"
)

// GetOptions are those of Get. nil means none.
type GetOptions struct {
	ReadOptions

	// Full asks for all of the item. Without, CreateRevision, Version, Lease
	// and TTL stay zero, and the member has less to do.
	Full bool

	// Unless is a revision of the key that the caller has: a key that still has
	// it is not sent again, and GetResult.NotModified is set. 0: none.
	Unless uint64

	// Wait makes the call wait until the key is at another revision than Unless,
	// or exists at all: for so long at most, and less when a member stops.
	Wait time.Duration
}

// GetResult is a key as Get has found it.
type GetResult struct {
	Item
	ReadInfo
	NotModified bool // the key is at GetOptions.Unless still; Item is empty
}

// Get reads a key. One that does not exist is ErrNotFound.
func (c *Client) Get(ctx context.Context, key string, o *GetOptions) (*GetResult, error) {
	if o == nil {
		o = &GetOptions{}
	}
	q := keyCall(reading, http.MethodGet, key)
	o.parameters(q)
	q.wait = o.Wait
	if o.Full {
		q.set("Accept", "application/json")
	}
	if o.Unless != 0 {
		q.set("If-None-Match", etag(o.Unless))
	}
	a, err := c.do(ctx, q)
	if err != nil {
		return nil, err
	}
	res := &GetResult{ReadInfo: readInfo(a)}
	switch {
	case a.status == http.StatusNotModified:
		res.NotModified = true
	case o.Full:
		var j itemJSON
		if err := json.Unmarshal(a.body, &j); err != nil {
			return nil, q.badAnswer(a.status, err)
		}
		res.Item = j.item()
	default:
		res.Item = Item{
			Key:         key,
			Value:       a.body,
			ContentType: a.contentType,
			ModRevision: a.etag,
		}
	}
	return res, nil
}

// Condition says when a write is done. The zero value is always.
type Condition struct {
	kind     conditionKind
	revision uint64
}

type conditionKind uint8

const (
	ifAlways conditionKind = iota
	ifAbsent
	ifPresent
	ifRevision
)

// IfAbsent writes only a key that does not exist.
func IfAbsent() Condition { return Condition{kind: ifAbsent} }

// IfPresent writes only a key that exists.
func IfPresent() Condition { return Condition{kind: ifPresent} }

// IfRevision writes only over this ModRevision of the key; 0 stands for no key,
// as IfAbsent does.
func IfRevision(revision uint64) Condition {
	if revision == 0 {
		return IfAbsent()
	}
	return Condition{ifRevision, revision}
}

// headers adds what the condition says to a request.
func (cond Condition) headers(q *call) {
	switch cond.kind {
	case ifAbsent:
		q.set("If-None-Match", "*")
	case ifPresent:
		q.set("If-Match", "*")
	case ifRevision:
		q.set("If-Match", etag(cond.revision))
	}
}

func etag(revision uint64) string { return `"` + strconv.FormatUint(revision, 10) + `"` }

// PutOptions are those of Put. nil means none.
type PutOptions struct {
	ContentType string
	If          Condition     // ErrPrecondition where it does not hold
	TTL         time.Duration // the key ends by itself; 0: it does not
	Lease       LeaseID       // the key ends with this lease; not together with TTL
	Prev        bool          // return the item before

	// IdempotencyKey is the caller's own: 1 to 128 visible characters. With it,
	// the same Put is done once even if the whole program starts anew in
	// between. "": a random one.
	IdempotencyKey string
}

// PutResult is what Put has done.
type PutResult struct {
	Revision    uint64 // of the store, by this write
	ModRevision uint64 // of the key
	Created     bool   // it did not exist
	Prev        *Item  // the item before, where asked for; nil: there was none
	Replayed    bool   // an earlier attempt, or call with this IdempotencyKey, had done it
}

// Put writes a key.
func (c *Client) Put(ctx context.Context, key string, value []byte, o *PutOptions) (*PutResult, error) {
	if o == nil {
		o = &PutOptions{}
	}
	q := keyCall(keyed, http.MethodPut, key)
	q.body = value
	q.write(c, o.IdempotencyKey)
	o.If.headers(q)
	if o.ContentType != "" {
		q.set("Content-Type", o.ContentType)
	}
	if o.TTL != 0 {
		q.param("ttl", durationText(o.TTL))
	}
	if o.Lease != 0 {
		q.param("lease", o.Lease.String())
	}
	a, prev, err := c.writeKey(ctx, q, o.Prev)
	if err != nil {
		return nil, err
	}
	return &PutResult{
		Revision:    a.revision,
		ModRevision: a.etag,
		Created:     a.status == http.StatusCreated || prev.Created,
		Prev:        itemOf(prev.Prev),
		Replayed:    a.replayed,
	}, nil
}

// DeleteOptions are those of Delete. nil means none.
type DeleteOptions struct {
	If             Condition // IfPresent or IfRevision
	Prev           bool      // return the item before
	IdempotencyKey string    // see PutOptions
}

// DeleteResult is what Delete has done.
type DeleteResult struct {
	Revision uint64 // of the store, after it
	Deleted  bool   // false: there was no such key, and nothing changed
	Prev     *Item  // the item before, where asked for; nil: there was none
	Replayed bool   // an earlier attempt, or call with this IdempotencyKey, had done it
}

// Delete deletes a key. To delete one that does not exist is no error.
func (c *Client) Delete(ctx context.Context, key string, o *DeleteOptions) (*DeleteResult, error) {
	if o == nil {
		o = &DeleteOptions{}
	}
	q := keyCall(keyed, http.MethodDelete, key)
	q.write(c, o.IdempotencyKey)
	o.If.headers(q)
	a, prev, err := c.writeKey(ctx, q, o.Prev)
	if err != nil {
		return nil, err
	}
	return &DeleteResult{
		Revision: a.revision,
		Deleted:  a.deleted == 1,
		Prev:     itemOf(prev.Prev),
		Replayed: a.replayed,
	}, nil
}

// prevJSON is the answer to a write of a key that asks for the item before it.
type prevJSON struct {
	Created bool      `json:"created"`
	Prev    *itemJSON `json:"prev"`
}

// writeKey does what Put and Delete have in common.
func (c *Client) writeKey(ctx context.Context, q *call, wantPrev bool) (*answer, prevJSON, error) {
	var prev prevJSON
	if !wantPrev {
		a, err := c.do(ctx, q)
		return a, prev, err
	}
	q.param("prev", "true")
	a, err := c.doJSON(ctx, q, &prev)
	return a, prev, err
}
