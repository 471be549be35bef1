package kvstore

import (
	"bytes"
	"slices"
)

// events are the changes since the last compaction in the order of their
// revisions, and those of one revision in the order of their keys. Each points
// to the very version that the key's chain has: compaction finds by it what to
// cut, and keeps it so.
type events struct {
	chunks []*eventChunk
	first  int // how many of the first chunk's are gone
	n      int
}

// event is here with its revision, so that a search does not have to read the item.
type event struct {
	revision uint64
	it       *item
}

// eventChunk is a page of 4 KiB: the log grows and shrinks without being copied.
type eventChunk [256]event

func (ev *events) at(i int) *event {
	i += ev.first
	return &ev.chunks[i/len(eventChunk{})][i%len(eventChunk{})]
}

func (ev *events) add(it *item) {
	if ev.first+ev.n == len(ev.chunks)*len(eventChunk{}) {
		ev.chunks = append(ev.chunks, new(eventChunk))
	}
	ev.n++
	*ev.at(ev.n - 1) = event{it.modRevision, it}
}

// sort puts the changes of one revision, which begin at from, in the order of
// their keys.
func (ev *events) sort(from int) {
	tail := make([]event, ev.n-from)
	for i := range tail {
		tail[i] = *ev.at(from + i)
	}
	slices.SortFunc(tail, func(a, b event) int { return bytes.Compare(a.it.kv, b.it.kv) })
	for i := range tail {
		*ev.at(from + i) = tail[i]
	}
}

// cut forgets all but the n oldest.
func (ev *events) cut(n int) {
	for i := n; i < ev.n; i++ {
		*ev.at(i) = event{}
	}
	ev.n = n
}

// drop forgets the n oldest.
func (ev *events) drop(n int) {
	for i := range n {
		*ev.at(i) = event{}
	}
	ev.first += n
	ev.n -= n
	whole := ev.first / len(eventChunk{})
	clear(ev.chunks[:whole])
	ev.chunks = ev.chunks[whole:]
	ev.first -= whole * len(eventChunk{})
}

// upTo returns how many have a revision of at most revision.
func (ev *events) upTo(revision uint64) int {
	lo, hi := 0, ev.n
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if ev.at(mid).revision <= revision {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// index returns where the change that made it is, which must be before hi; -1
// when there is none, since it was made before the last compaction. The search
// goes back from hi in growing steps: the versions of a key that is written all
// the time lie side by side.
func (ev *events) index(it *item, hi int) int {
	lo, step := hi, 1
	for lo > 0 && !ev.at(lo-1).before(it) {
		hi = lo - 1
		lo = max(0, lo-step)
		step *= 2
	}
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if ev.at(mid).before(it) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == ev.n || ev.at(lo).it != it {
		return -1
	}
	return lo
}

func (e *event) before(it *item) bool {
	if e.revision != it.modRevision {
		return e.revision < it.modRevision
	}
	return bytes.Compare(e.it.kv, it.kv) < 0
}
