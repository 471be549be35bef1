package kvstore

import (
	"encoding/binary"

	"github.com/cespare/xxhash/v2"
)

// hash covers all of a version. The lengths keep ("ab", "c") and ("a", "bc") apart.
func (it *item) hash() uint64 {
	var b [56]byte
	binary.LittleEndian.PutUint64(b[0:], xxhash.Sum64(it.kv[:cap(it.kv)]))
	binary.LittleEndian.PutUint64(b[8:], uint64(len(it.kv)))
	binary.LittleEndian.PutUint64(b[16:], it.size())
	binary.LittleEndian.PutUint64(b[24:], it.traits.hash)
	binary.LittleEndian.PutUint64(b[32:], it.createRevision)
	binary.LittleEndian.PutUint64(b[40:], it.modRevision)
	binary.LittleEndian.PutUint64(b[48:], it.version)
	return xxhash.Sum64(b[:])
}

// hash is the same for the same state, however it came about: versions, leases
// and requests go in as a sum, which does not depend on their order and follows each change at the
// cost of what came or went. The index is in it so that the hash at the end
// of a snapshot vouches for all of the snapshot.
func (s *state) hash() uint64 {
	var b [64]byte
	binary.LittleEndian.PutUint64(b[0:], s.sum)
	binary.LittleEndian.PutUint64(b[8:], uint64(s.keys))
	binary.LittleEndian.PutUint64(b[16:], s.revision)
	binary.LittleEndian.PutUint64(b[24:], uint64(s.clock))
	binary.LittleEndian.PutUint64(b[32:], s.index)
	binary.LittleEndian.PutUint64(b[40:], s.compacted)
	binary.LittleEndian.PutUint64(b[48:], s.leases.granted)
	binary.LittleEndian.PutUint64(b[56:], s.requests.next)
	return xxhash.Sum64(b[:])
}
