package httpapi

import (
	"unicode/utf8"

	"kvd/internal/kvstore"
)

// itemJSON is an item in JSON: bytes that are UTF-8 stand as text, others in
// base64.
type itemJSON struct {
	Key            *string `json:"key,omitempty"`
	KeyBase64      []byte  `json:"key_base64,omitempty"`
	Value          *string `json:"value,omitempty"`
	ValueBase64    []byte  `json:"value_base64,omitempty"`
	ModRevision    uint64  `json:"mod_revision"`
	CreateRevision uint64  `json:"create_revision"`
	Version        uint64  `json:"version"`
	ContentType    string  `json:"content_type"`
	Lease          string  `json:"lease,omitempty"` // at most one of these two
	TTL            string  `json:"ttl,omitempty"`
}

func newItemJSON(item *kvstore.Item) *itemJSON {
	j := &itemJSON{
		ModRevision:    item.ModRevision,
		CreateRevision: item.CreateRevision,
		Version:        item.Version,
		ContentType:    item.ContentType,
	}
	if j.ContentType == "" {
		j.ContentType = octets
	}
	if item.Lease != 0 {
		j.Lease = item.Lease.String()
	}
	if item.TTL != 0 {
		j.TTL = item.TTL.String()
	}
	j.Key, j.KeyBase64 = textOrBytes(item.Key)
	j.Value, j.ValueBase64 = textOrBytes(item.Value)
	return j
}

// textOrBytes returns exactly one of both forms.
func textOrBytes(b []byte) (*string, []byte) {
	if utf8.Valid(b) {
		return new(string(b)), nil
	}
	return nil, b
}

// prevJSON is the answer to a write that asked for the item before it.
type prevJSON struct {
	Revision uint64    `json:"revision"`
	Created  *bool     `json:"created,omitempty"` // of a PUT
	Deleted  *int      `json:"deleted,omitempty"` // of a DELETE
	Prev     *itemJSON `json:"prev"`              // null: there was none
}

func newPrevJSON(res *kvstore.Result) *prevJSON {
	j := &prevJSON{Revision: res.Revision}
	if res.Prev != nil {
		j.Prev = newItemJSON(res.Prev)
	}
	return j
}
