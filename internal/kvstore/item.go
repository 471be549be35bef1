package kvstore

import (
	"bytes"
	"time"
)

// Item is a key with one version of it, mostly the newest. Its bytes are shared with the store
// and with every other reader: nobody may write to them.
type Item struct {
	Key         []byte
	Value       []byte
	ContentType string // as stored; "" stands for application/octet-stream

	CreateRevision uint64 // revision that created the key
	ModRevision    uint64 // revision that wrote this version
	Version        uint64 // writes since creation, 1 at creation

	Lease LeaseID       // that the key ends with; 0: none
	TTL   time.Duration // of its own, as it was asked for; 0: none
}

// item is a version of a key as the tree holds it, in 64 bytes and one buffer, so
// that a key costs two allocations. It never changes once it is in a tree, because
// readers and frozen views share it.
//
// A version that says that the key was deleted, a tombstone, has a key and a
// modRevision, and traits that tell an expiry from a delete. The oldest version of
// a key never is one.
type item struct {
	kv     []byte // its length is the key's, its capacity that of key and value
	traits *traits

	createRevision uint64
	modRevision    uint64
	version        uint64

	prev *item // the version before, nil when there is none; one that is compacted may still be there
}

// newItem copies key and value: they may alias a buffer far larger than they.
func newItem(key, value []byte, tr *traits) *item {
	kv := make([]byte, len(key)+len(value))
	copy(kv, key)
	copy(kv[len(key):], value)
	return &item{kv: kv[:len(key)], traits: tr}
}

func (it *item) key() []byte   { return it.kv[:len(it.kv):len(it.kv)] }
func (it *item) value() []byte { return it.kv[len(it.kv):cap(it.kv):cap(it.kv)] }
func (it *item) size() uint64  { return uint64(cap(it.kv)) }

// versionBytes is what a version takes beside its data.
const versionBytes = 64

// cost is what the version counts as history.
func (it *item) cost() uint64 { return it.size() + versionBytes }

func (it *item) deleted() bool { return it.version == 0 }

// expired says of a tombstone that a lease or a TTL ended.
func (it *item) expired() bool { return it.traits == expired }

// live is the item, nil if it is a tombstone.
func (it *item) live() *item {
	if it == nil || it.deleted() {
		return nil
	}
	return it
}

// forgotten says of the newest version of its key at compacted that it went with the
// others: that the key was not there is told by nothing being there.
func (it *item) forgotten(compacted uint64) bool { return it.modRevision <= compacted && it.deleted() }

// asOf returns the version of a key that was there at revision, nil for none.
func (it *item) asOf(revision uint64) *item {
	for it != nil && it.modRevision > revision {
		it = it.prev
	}
	return it.live()
}

// tombstone is the version that follows it when the key is deleted, why being
// untyped, or has expired. It shares the key: the version before it stays at least as long.
func (it *item) tombstone(revision uint64, why *traits) *item {
	return &item{kv: it.key(), traits: why, modRevision: revision, prev: it}
}

func (it *item) export() Item {
	return Item{
		Key:            it.key(),
		Value:          it.value(),
		ContentType:    it.traits.contentType,
		CreateRevision: it.createRevision,
		ModRevision:    it.modRevision,
		Version:        it.version,
		Lease:          it.traits.lease,
		TTL:            it.traits.ttl,
	}
}

// equal reports whether it and b are the same in every part but the versions before.
func (it *item) equal(b *item) bool {
	return it.createRevision == b.createRevision &&
		it.modRevision == b.modRevision &&
		it.version == b.version &&
		*it.traits == *b.traits &&
		bytes.Equal(it.kv, b.kv) &&
		bytes.Equal(it.value(), b.value())
}
