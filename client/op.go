package client

import (
	"time"
)

// Op is one operation of a transaction.
type Op struct {
	kind string
	body any
}

// MarshalJSON gives the form that the API takes.
func (op Op) MarshalJSON() ([]byte, error) { return marshal(map[string]any{op.kind: op.body}) }

// PutOpOptions are those of PutOp. nil means none.
type PutOpOptions struct {
	ContentType string
	TTL         time.Duration // the key ends by itself; 0: it does not
	Lease       LeaseID       // the key ends with this lease; not together with TTL
	Prev        bool          // return the item before
}

type putOpJSON struct {
	keyJSON
	Value       *string  `json:"value,omitempty"`
	ValueBase64 []byte   `json:"value_base64,omitempty"`
	ContentType string   `json:"content_type,omitempty"`
	TTL         duration `json:"ttl,omitzero"`
	Lease       LeaseID  `json:"lease,omitzero"`
	Prev        bool     `json:"prev,omitempty"`
}

// PutOp writes a key.
func PutOp(key string, value []byte, o *PutOpOptions) Op {
	if o == nil {
		o = &PutOpOptions{}
	}
	v := newText(value)
	return Op{"put", putOpJSON{newKeyJSON(key), v.plain, v.base64, o.ContentType, duration(o.TTL), o.Lease, o.Prev}}
}

// GetOp reads a key.
func GetOp(key string) Op { return Op{"get", newKeyJSON(key)} }

type deleteOpJSON struct {
	keyJSON
	spanJSON
	Prev    bool   `json:"prev,omitempty"`
	Confirm string `json:"confirm,omitempty"`
}

// DeleteOp deletes a key; prev returns the item before.
func DeleteOp(key string, prev bool) Op {
	return Op{"delete", deleteOpJSON{keyJSON: newKeyJSON(key), Prev: prev}}
}

// DeletePrefixOp deletes all keys that begin with prefix, which is not empty.
func DeletePrefixOp(prefix string) Op {
	return Op{"delete", deleteOpJSON{spanJSON: newSpanJSON(prefix, "", "")}}
}

// DeleteRangeOp deletes the keys from start to before end; an empty end is no
// bound.
func DeleteRangeOp(start, end string) Op {
	return Op{"delete", deleteOpJSON{spanJSON: newSpanJSON("", start, end)}}
}

// DeleteAllOp deletes every key.
func DeleteAllOp() Op {
	return Op{"delete", deleteOpJSON{spanJSON: spanJSON{Prefix: new("")}, Confirm: "all"}}
}

// RangeOpOptions say which keys a RangeOp reads. nil means all of them.
type RangeOpOptions struct {
	Prefix     string // all keys that begin with it
	Start, End string // from Start to before End; "": no bound. Not together with Prefix
	Limit      int    // 0: the member's default, 1,000
	Reverse    bool
	KeysOnly   bool // without values
	CountOnly  bool // without items
}

type rangeOpJSON struct {
	spanJSON
	Limit   int  `json:"limit,omitempty"`
	Reverse bool `json:"reverse,omitempty"`
	Keys    bool `json:"keys,omitempty"`
	Count   bool `json:"count,omitempty"`
}

// RangeOp reads many keys.
func RangeOp(o *RangeOpOptions) Op {
	if o == nil {
		o = &RangeOpOptions{}
	}
	return Op{"range", rangeOpJSON{newSpanJSON(o.Prefix, o.Start, o.End), o.Limit, o.Reverse, o.KeysOnly, o.CountOnly}}
}

// spanJSON is a range of keys in a request.
type spanJSON struct {
	Prefix       *string `json:"prefix,omitempty"`
	PrefixBase64 []byte  `json:"prefix_base64,omitempty"`
	Start        *string `json:"start,omitempty"`
	StartBase64  []byte  `json:"start_base64,omitempty"`
	End          *string `json:"end,omitempty"`
	EndBase64    []byte  `json:"end_base64,omitempty"`
}

// newSpanJSON leaves out what is empty.
func newSpanJSON(prefix, start, end string) spanJSON {
	var p, s, e text
	if prefix != "" {
		p = newText(prefix)
	}
	if start != "" {
		s = newText(start)
	}
	if end != "" {
		e = newText(end)
	}
	return spanJSON{p.plain, p.base64, s.plain, s.base64, e.plain, e.base64}
}
