package kvstore

import "encoding/binary"

// innerMax is how many kids an inner node can have.
const innerMax = 64

// inner leads to the nodes below it. heads[i] is the eight bytes of seps[i]
// that follow what all seps begin with: a search runs over these numbers, which
// lie side by side, and reads the strings themselves only where numbers tie.
type inner struct {
	gen    uint64
	n      int32 // kids; there is one separator less
	common int32 // bytes that all separators begin with
	heads  [innerMax - 1]uint64
	seps   [innerMax - 1]string
	kids   [innerMax]node
}

func (*inner) isNode() {}

// own returns the node itself when it is of generation gen, else a copy that is.
func (in *inner) own(gen uint64) *inner {
	if in.gen == gen {
		return in
	}
	c := *in
	c.gen = gen
	return &c
}

// search returns which kid key belongs to: how many separators are <= key.
func (in *inner) search(key []byte) int {
	last := int(in.n) - 1
	if c := int(in.common); c > 0 {
		prefix := in.seps[0][:c]
		if k := key[:min(c, len(key))]; string(k) != prefix {
			// A proper prefix of prefix is below it, as it should be.
			if string(k) < prefix {
				return 0
			}
			return last
		}
		key = key[c:]
	}
	h := head(key)
	lo, hi := 0, last
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if in.heads[mid] < h {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	if lo == last || in.heads[lo] != h {
		return lo
	}
	hi = last
	for lo < hi {
		mid := int(uint(lo+hi) / 2)
		if in.heads[mid] == h && in.seps[mid][in.common:] <= string(key) {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// insert puts right after kid i, with sep between them.
func (in *inner) insert(i int, sep string, right node) {
	copy(in.seps[i+1:], in.seps[i:in.n-1])
	copy(in.kids[i+2:], in.kids[i+1:in.n])
	in.seps[i], in.kids[i+1] = sep, right
	in.n++
	in.index()
}

// split inserts into a full node, and returns the new one to its right and
// what separates the two. Neither gets fewer than two kids.
func (in *inner) split(i int, sep string, right node) (string, *inner) {
	at := innerMax / 2
	if i == innerMax-1 {
		at = innerMax - 1 // ascending keys leave full nodes behind
	}
	r := &inner{gen: in.gen}
	up := in.seps[at-1]
	r.fill(in.kids[at:], in.seps[at:])
	in.fill(in.kids[:at], in.seps[:at-1])
	if i < at {
		in.insert(i, sep, right)
	} else {
		r.insert(i-at, sep, right)
	}
	return up, r
}

// mend has kid i, which has become small, share with a neighbour.
func (in *inner) mend(i int, gen uint64) {
	if i == int(in.n)-1 {
		i--
	}
	merged := false
	switch a := in.kids[i].(type) {
	case *leaf:
		a, b := a.own(gen), in.kids[i+1].(*leaf).own(gen)
		in.kids[i], in.kids[i+1] = a, b
		if merged = a.level(b); !merged {
			in.seps[i] = separator(a.items[a.n-1].kv, b.items[0].kv)
		}
	case *inner:
		a, b := a.own(gen), in.kids[i+1].(*inner).own(gen)
		in.kids[i], in.kids[i+1] = a, b
		in.seps[i], merged = a.level(in.seps[i], b)
	}
	if merged {
		copy(in.seps[i:], in.seps[i+1:in.n-1])
		copy(in.kids[i+1:], in.kids[i+2:in.n])
		in.n--
		in.seps[in.n-1], in.kids[in.n] = "", nil
	}
	in.index()
}

// level merges b, which sep divides from in, into in when that leaves room, and
// otherwise shares the kids out evenly: then it returns the new separator.
func (in *inner) level(sep string, b *inner) (string, bool) {
	var kids [2 * innerMax]node
	var seps [2 * innerMax]string
	n := copy(kids[:], in.kids[:in.n])
	copy(seps[:], in.seps[:n-1])
	seps[n-1] = sep
	copy(kids[n:], b.kids[:b.n])
	copy(seps[n:], b.seps[:b.n-1])
	n += int(b.n)
	if n <= innerMax*3/4 {
		in.fill(kids[:n], seps[:n-1])
		return "", true
	}
	h := n / 2
	in.fill(kids[:h], seps[:h-1])
	b.fill(kids[h:n], seps[h:n-1])
	return seps[h-1], false
}

// fill makes kids the whole content.
func (in *inner) fill(kids []node, seps []string) {
	in.n = int32(copy(in.kids[:], kids))
	copy(in.seps[:], seps)
	clear(in.kids[in.n:])
	clear(in.seps[in.n-1:])
	in.index()
}

// index computes what search relies on. It runs once per split below, which is
// once in some thirty inserts.
func (in *inner) index() {
	if in.n < 2 {
		in.common = 0
		return
	}
	first, last := in.seps[0], in.seps[in.n-2]
	i := 0
	for i < len(first) && i < len(last) && first[i] == last[i] {
		i++
	}
	in.common = int32(i)
	for j, s := range in.seps[:in.n-1] {
		var b [8]byte
		copy(b[:], s[i:])
		in.heads[j] = binary.BigEndian.Uint64(b[:])
	}
}

// head is a string's first eight bytes as a number, with zeros for what it
// lacks: order is kept, though strings that differ may have one head.
func head(b []byte) uint64 {
	if len(b) >= 8 {
		return binary.BigEndian.Uint64(b)
	}
	var h uint64
	for i, c := range b {
		h |= uint64(c) << (56 - 8*i)
	}
	return h
}
