package kvstore

import "bytes"

// leafMax makes a leaf 576 bytes, a size class of the allocator.
const leafMax = 62

// leaf holds up to leafMax items in key order. tags[i] is one byte of the hash
// of items[i]'s key: a look-up scans the tags, which lie side by side, and
// reads a key from memory only where the tag fits. A binary search over the
// keys would wait for memory six times.
type leaf struct {
	gen   uint64
	n     int
	tags  [leafMax]byte
	items [leafMax]*item
}

func (*leaf) isNode() {}

// own returns the leaf itself when it is of generation gen, else a copy that is.
func (l *leaf) own(gen uint64) *leaf {
	if l.gen == gen {
		return l
	}
	c := *l
	c.gen = gen
	return &c
}

// find returns where key is, or -1.
func (l *leaf) find(key []byte, tag byte) int {
	for i := 0; i < l.n; i++ {
		j := bytes.IndexByte(l.tags[i:l.n], tag)
		if j < 0 {
			return -1
		}
		i += j
		if bytes.Equal(l.items[i].kv, key) {
			return i
		}
	}
	return -1
}

// search returns the position of the first key that is not below key.
func (l *leaf) search(key []byte) int {
	lo, hi := 0, l.n
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if bytes.Compare(l.items[mid].kv, key) < 0 {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

func (l *leaf) insert(i int, it *item, tag byte) {
	copy(l.items[i+1:], l.items[i:l.n])
	copy(l.tags[i+1:], l.tags[i:l.n])
	l.items[i], l.tags[i] = it, tag
	l.n++
}

func (l *leaf) remove(i int) {
	copy(l.items[i:], l.items[i+1:l.n])
	copy(l.tags[i:], l.tags[i+1:l.n])
	l.n--
	l.items[l.n] = nil
}

// split inserts into a full leaf and returns the new one to its right. Keys
// that come in ascending order leave full leaves behind, not halves.
func (l *leaf) split(i int, it *item, tag byte) *leaf {
	at := leafMax / 2
	if i == leafMax {
		at = leafMax
	}
	r := &leaf{gen: l.gen}
	r.fill(l.items[at:], l.tags[at:])
	l.fill(l.items[:at], l.tags[:at])
	if i <= at && at < leafMax {
		l.insert(i, it, tag)
	} else {
		r.insert(i-at, it, tag)
	}
	return r
}

// level merges b into l when that leaves room, and otherwise shares the items
// out evenly. It reports whether it merged.
func (l *leaf) level(b *leaf) bool {
	var items [2 * leafMax]*item
	var tags [2 * leafMax]byte
	n := copy(items[:], l.items[:l.n])
	copy(tags[:], l.tags[:l.n])
	copy(items[n:], b.items[:b.n])
	copy(tags[n:], b.tags[:b.n])
	n += b.n
	if n <= leafMax*3/4 {
		l.fill(items[:n], tags[:n])
		return true
	}
	l.fill(items[:n/2], tags[:n/2])
	b.fill(items[n/2:n], tags[n/2:n])
	return false
}

// fill makes items the whole content.
func (l *leaf) fill(items []*item, tags []byte) {
	l.n = copy(l.items[:], items)
	copy(l.tags[:], tags)
	clear(l.items[l.n:])
}
