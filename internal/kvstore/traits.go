package kvstore

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
)

// traits are what many versions have in common, so that a million keys of one
// content type cost a pointer each. They never change. Those of a version with a
// TTL are its own, since nearly each has another deadline.
type traits struct {
	contentType string
	lease       LeaseID       // 0: none
	ttl         time.Duration // as it was asked for; 0: none
	deadline    time.Duration // on the log's clock; only with a ttl
	hash        uint64        // of all above
}

// Versions that nothing is to be said of; expired are the tombstones that expiry left.
var (
	untyped = newTraits("", 0, 0, 0)
	expired = &traits{hash: ^untyped.hash}
)

func newTraits(contentType string, lease LeaseID, ttl, deadline time.Duration) *traits {
	return &traits{contentType, lease, ttl, deadline, hashTraits(contentType, lease, ttl, deadline)}
}

func hashTraits(contentType string, lease LeaseID, ttl, deadline time.Duration) uint64 {
	var b [32]byte
	binary.LittleEndian.PutUint64(b[0:], xxhash.Sum64String(contentType))
	binary.LittleEndian.PutUint64(b[8:], uint64(lease))
	binary.LittleEndian.PutUint64(b[16:], uint64(ttl))
	binary.LittleEndian.PutUint64(b[24:], uint64(deadline))
	return xxhash.Sum64(b[:])
}

// lasting says that the version ends by a write only.
func (t *traits) lasting() bool { return t.lease == 0 && t.ttl == 0 }

// types finds traits that are there already: a store has a handful of content
// types. It remembers some, and what it forgot it makes anew; nothing but memory
// depends on that.
type types struct {
	last  *traits
	known [64]*traits
}

func newTypes() types { return types{last: untyped} }

// of returns the traits of versions without a TTL.
func (t *types) of(contentType []byte, lease LeaseID) *traits {
	switch {
	case len(contentType) == 0 && lease == 0:
		return untyped
	case string(contentType) == t.last.contentType && lease == t.last.lease:
		return t.last
	}
	slot := &t.known[(xxhash.Sum64(contentType)^uint64(lease))%uint64(len(t.known))]
	if *slot == nil || (*slot).contentType != string(contentType) || (*slot).lease != lease {
		*slot = newTraits(string(contentType), lease, 0, 0)
	}
	t.last = *slot
	return t.last
}

// mortal returns the traits of a version with a TTL.
func (t *types) mortal(contentType []byte, ttl, deadline time.Duration) *traits {
	return newTraits(t.of(contentType, 0).contentType, 0, ttl, deadline)
}
