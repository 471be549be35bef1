package kvstore

import (
	"bytes"
	"fmt"
	"slices"
)

// Check returns an error that wraps ErrBadTxn for a transaction that DB.Txn
// would refuse.
func (t *Txn) Check() error {
	if n := len(t.If) + len(t.Then) + len(t.Else); n > MaxTxnOperations {
		return badTxn("%d comparisons and operations, at most %d are possible", n, MaxTxnOperations)
	}
	for i := range t.If {
		if what := t.If[i].check(); what != "" {
			return badTxn("comparison %d: %s", i+1, what)
		}
	}
	for _, b := range []struct {
		name string
		ops  []Op
	}{{"then", t.Then}, {"else", t.Else}} {
		for i := range b.ops {
			if what := b.ops[i].check(); what != "" {
				return badTxn("operation %d of %s: %s", i+1, b.name, what)
			}
		}
		if key, ok := writtenTwice(b.ops); ok {
			return badTxn("%s: two writes of key %.100q", b.name, key)
		}
	}
	return nil
}

func badTxn(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrBadTxn, fmt.Sprintf(format, args...))
}

// check returns what is wrong, if anything is.
func (c *Comparison) check() string {
	switch {
	case !validKey(c.Key):
		return fmt.Sprintf("key of %d bytes", len(c.Key))
	case c.Target < CompareModRevision || c.Target > CompareExists:
		return fmt.Sprintf("unknown target %d", c.Target)
	case c.Op < Equal || c.Op > LessOrEqual:
		return fmt.Sprintf("unknown operator %d", c.Op)
	case c.Target == CompareExists && (c.Op != Equal || c.Number > 1):
		return "a key exists or does not"
	}
	return ""
}

// check returns what is wrong, if anything is.
func (op *Op) check() string {
	switch op.Kind {
	case OpPut, OpGet, OpDelete:
		if !validKey(op.Key) {
			return fmt.Sprintf("key of %d bytes", len(op.Key))
		}
	case OpRange, OpDeleteRange:
		if !validRange(op.Key, op.End) {
			return fmt.Sprintf("range of bounds of %d and %d bytes", len(op.Key), len(op.End))
		}
	default:
		return fmt.Sprintf("unknown kind %d", op.Kind)
	}
	switch {
	case op.Kind == OpRange && op.Limit > maxTxnLimit:
		return fmt.Sprintf("limit of %d, at most %d is possible", op.Limit, maxTxnLimit)
	case op.Kind != OpPut:
		return ""
	case len(op.ContentType) > MaxContentTypeBytes:
		return fmt.Sprintf("content type of %d bytes", len(op.ContentType))
	case op.TTL != 0 && !validTTL(op.TTL):
		return fmt.Sprintf("ttl of %s", op.TTL)
	case op.TTL != 0 && op.Lease != 0:
		return "a ttl and a lease"
	}
	return ""
}

// writtenTwice returns a key that more than one of the operations would write.
func writtenTwice(ops []Op) (key []byte, ok bool) {
	type span struct{ start, end []byte } // a nil end is none
	var all []span
	for i := range ops {
		switch op := &ops[i]; op.Kind {
		case OpPut, OpDelete:
			all = append(all, span{op.Key, append(op.Key[:len(op.Key):len(op.Key)], 0)})
		case OpDeleteRange:
			if op.End == nil || bytes.Compare(op.Key, op.End) < 0 {
				all = append(all, span{op.Key, op.End})
			}
		}
	}
	slices.SortFunc(all, func(a, b span) int { return bytes.Compare(a.start, b.start) })
	for i := 1; i < len(all); i++ {
		if end := all[i-1].end; end == nil || bytes.Compare(all[i].start, end) < 0 {
			return all[i].start, true
		}
	}
	return nil, false
}
