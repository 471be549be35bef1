package kvstore

import (
	"bytes"
	"unique"
)

// Item is a key with its newest version. Its bytes are shared with the store
// and with every other reader: nobody may write to them.
type Item struct {
	Key         []byte
	Value       []byte
	ContentType string // as stored; "" stands for application/octet-stream

	CreateRevision uint64 // revision that created the key
	ModRevision    uint64 // revision that wrote this version
	Version        uint64 // writes since creation, 1 at creation
}

// item is an Item as the tree holds it, in 56 bytes and one buffer, so that a
// key costs two allocations. It never changes once it is in a tree, because
// readers and frozen views share it.
type item struct {
	kv          []byte // its length is the key's, its capacity that of key and value
	contentType unique.Handle[string]

	createRevision uint64
	modRevision    uint64
	version        uint64
}

// newItem copies key and value: they may alias a buffer far larger than they.
func newItem(key, value []byte, contentType unique.Handle[string]) *item {
	kv := make([]byte, len(key)+len(value))
	copy(kv, key)
	copy(kv[len(key):], value)
	return &item{kv: kv[:len(key)], contentType: contentType}
}

func (it *item) key() []byte   { return it.kv[:len(it.kv):len(it.kv)] }
func (it *item) value() []byte { return it.kv[len(it.kv):cap(it.kv):cap(it.kv)] }
func (it *item) size() uint64  { return uint64(cap(it.kv)) }

func (it *item) export() Item {
	return Item{
		Key:            it.key(),
		Value:          it.value(),
		ContentType:    it.contentType.Value(),
		CreateRevision: it.createRevision,
		ModRevision:    it.modRevision,
		Version:        it.version,
	}
}

// equal reports whether a and b are the same in every part.
func (it *item) equal(b *item) bool {
	return it.createRevision == b.createRevision &&
		it.modRevision == b.modRevision &&
		it.version == b.version &&
		it.contentType == b.contentType &&
		bytes.Equal(it.kv, b.kv) &&
		bytes.Equal(it.value(), b.value())
}

// types turns content types into shared strings: a store has a handful of
// them, and a million keys. It remembers one, since neighbours mostly agree.
type types struct {
	last unique.Handle[string]
}

func newTypes() types { return types{last: unique.Make("")} }

func (t *types) of(b []byte) unique.Handle[string] {
	if string(b) != t.last.Value() {
		t.last = unique.Make(string(b))
	}
	return t.last
}
