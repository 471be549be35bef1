package kvstore

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
)

// markEvery is how far marks lie apart: the age of a change is known this well.
const markEvery = time.Second

// mark says that revision was applied at clock, and what is below it before. A
// mark for each change would take as much memory as the changes do.
type mark struct {
	revision uint64
	clock    time.Duration
}

// marks ascend in both. A mark never changes, so that a view may share the slice.
type marks []mark

func (k mark) hash() uint64 {
	var b [16]byte
	binary.LittleEndian.PutUint64(b[0:], k.revision)
	binary.LittleEndian.PutUint64(b[8:], uint64(k.clock))
	return xxhash.Sum64(b[:])
}

// due reports whether a change at clock needs a mark of its own.
func (ks marks) due(clock time.Duration) bool {
	return len(ks) == 0 || clock-ks[len(ks)-1].clock >= markEvery
}

// before returns the highest revision that was surely applied before clock, 0
// when there is none.
func (ks marks) before(clock time.Duration) uint64 {
	lo, hi := 0, len(ks)
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if ks[mid].clock <= clock {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == 0 {
		return 0
	}
	return ks[lo-1].revision - 1
}

// useless returns how many at the front say nothing of a revision above
// compacted. The last one always stays: the next is measured from it.
func (ks marks) useless(compacted uint64) int {
	n := 0
	for n < len(ks)-1 && ks[n].revision <= compacted+1 {
		n++
	}
	return n
}
