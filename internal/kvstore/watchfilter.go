package kvstore

import (
	"bytes"
	"slices"
)

// watchFilter is what a watcher gets. Its lists are in order, without doubles, and
// nothing in them begins with one of the prefixes but these themselves.
type watchFilter struct {
	keys, prefixes [][]byte
	types          uint8 // a bit for each
}

// newWatchFilter keeps nothing of o.
func newWatchFilter(o WatchOptions) watchFilter {
	var f watchFilter
	for _, p := range ordered(o.Prefixes) {
		// In order, what covers p is the last that was kept, or nothing.
		if n := len(f.prefixes); n == 0 || !bytes.HasPrefix(p, f.prefixes[n-1]) {
			f.prefixes = append(f.prefixes, p)
		}
	}
	for _, k := range ordered(o.Keys) {
		if !f.covers(k) {
			f.keys = append(f.keys, k)
		}
	}
	if len(o.Keys) == 0 && len(o.Prefixes) == 0 {
		f.prefixes = [][]byte{{}}
	}
	for _, t := range o.Types {
		f.types |= 1 << t
	}
	if len(o.Types) == 0 {
		f.types = 1<<EventPut | 1<<EventDelete | 1<<EventExpire
	}
	return f
}

func ordered(list [][]byte) [][]byte {
	out := make([][]byte, len(list))
	for i, b := range list {
		out[i] = bytes.Clone(b)
	}
	slices.SortFunc(out, bytes.Compare)
	return slices.CompactFunc(out, bytes.Equal)
}

func (f *watchFilter) matches(it *item) bool {
	if f.types>>it.eventType()&1 == 0 {
		return false
	}
	if f.covers(it.kv) {
		return true
	}
	_, found := slices.BinarySearchFunc(f.keys, it.kv, bytes.Compare)
	return found
}

// covers reports whether key begins with one of the prefixes. Of these only the
// last that is not above key can be it: others between the two would begin with
// it, and such are not in the list.
func (f *watchFilter) covers(key []byte) bool {
	i, found := slices.BinarySearchFunc(f.prefixes, key, bytes.Compare)
	return found || i > 0 && bytes.HasPrefix(key, f.prefixes[i-1])
}
