package kvstore

import (
	"iter"

	"github.com/cespare/xxhash/v2"
)

// tree holds items in the order of their keys: a B+tree whose nodes are copied
// before they change whenever a view may still read them.
//
// Invariants:
//
//  1. All leaves are at one depth; a leaf's keys ascend, and all leaves' do.
//  2. In an inner node, every key below kids[i+1] is >= seps[i], and every key
//     below kids[i] is < seps[i].
//  3. Every inner node has two kids or more; a leaf is empty only as the root.
//  4. A node whose gen is the tree's is reachable from no view, and neither is
//     any node above it. Only such a node is ever written to.
type tree struct {
	root node
	gen  uint64 // raised by freeze; nodes of an older generation may be shared
	n    int    // items
}

// node is a *leaf or an *inner.
type node interface{ isNode() }

func newTree() tree { return tree{root: &leaf{}} }

// view is the tree as it was at one moment. It may be read by any goroutine
// while the tree goes on changing.
type view struct {
	root node
	n    int
}

// place is where a key is, or would be, as long as the tree does not change.
type place struct {
	leaf *leaf
	i    int // -1: the key is not there
	tag  byte
}

func (p place) item() *item {
	if p.i < 0 {
		return nil
	}
	return p.leaf.items[p.i]
}

// freeze costs nothing now; later writes copy each node that they are the
// first to touch.
func (t *tree) freeze() view {
	t.gen++
	return view{root: t.root, n: t.n}
}

func (t *tree) get(key []byte) *item { return t.find(key).item() }

func (t *tree) find(key []byte) place { return find(t.root, key) }

func find(nd node, key []byte) place {
	tag := tagOf(key)
	for {
		switch x := nd.(type) {
		case *inner:
			nd = x.kids[x.search(key)]
		case *leaf:
			return place{leaf: x, i: x.find(key, tag), tag: tag}
		}
	}
}

// set puts it where find said that its key belongs.
func (t *tree) set(p place, it *item) {
	if p.i < 0 {
		t.n++
	}
	// By invariant 4 all above such a leaf is ours too, and none of it would
	// change: no need to go down a second time.
	if p.leaf.gen == t.gen {
		if p.i >= 0 {
			p.leaf.items[p.i] = it
			return
		}
		if p.leaf.n < leafMax {
			p.leaf.insert(p.leaf.search(it.kv), it, p.tag)
			return
		}
	}
	left, sep, right := t.put(t.root, it, p.tag)
	if right == nil {
		t.root = left
		return
	}
	root := &inner{gen: t.gen}
	root.fill([]node{left, right}, []string{sep})
	t.root = root
}

// put returns what takes nd's place: one node, or two and what separates them.
func (t *tree) put(nd node, it *item, tag byte) (left node, sep string, right node) {
	switch x := nd.(type) {
	case *leaf:
		l := x.own(t.gen)
		if i := l.find(it.kv, tag); i >= 0 {
			l.items[i] = it
			return l, "", nil
		}
		i := l.search(it.kv)
		if l.n < leafMax {
			l.insert(i, it, tag)
			return l, "", nil
		}
		r := l.split(i, it, tag)
		return l, separator(l.items[l.n-1].kv, r.items[0].kv), r
	case *inner:
		in := x.own(t.gen)
		i := in.search(it.kv)
		kid, sep, right := t.put(in.kids[i], it, tag)
		in.kids[i] = kid
		if right == nil {
			return in, "", nil
		}
		if in.n < innerMax {
			in.insert(i, sep, right)
			return in, "", nil
		}
		up, r := in.split(i, sep, right)
		return in, up, r
	}
	panic("kvstore: a node that is neither leaf nor inner")
}

// remove takes away the item that find found.
func (t *tree) remove(p place) {
	key := p.item().kv
	t.n--
	t.root = t.cut(t.root, key, p.tag)
	for {
		in, ok := t.root.(*inner)
		if !ok || in.n > 1 {
			return
		}
		t.root = in.kids[0]
	}
}

func (t *tree) cut(nd node, key []byte, tag byte) node {
	switch x := nd.(type) {
	case *leaf:
		l := x.own(t.gen)
		l.remove(l.find(key, tag))
		return l
	case *inner:
		in := x.own(t.gen)
		i := in.search(key)
		in.kids[i] = t.cut(in.kids[i], key, tag)
		if small(in.kids[i]) {
			in.mend(i, t.gen)
		}
		return in
	}
	panic("kvstore: a node that is neither leaf nor inner")
}

// all yields the items in key order.
func (v view) all() iter.Seq[*item] {
	return func(yield func(*item) bool) { ascend(v.root, nil, nil, yield) }
}

// tagOf is the byte by which a leaf knows a key before it looks at the key.
func tagOf(key []byte) byte { return byte(xxhash.Sum64(key)) }

// small says that a node holds so little that it should share with a neighbour.
func small(nd node) bool {
	switch x := nd.(type) {
	case *leaf:
		return x.n < leafMax/4
	case *inner:
		return x.n < innerMax/4
	}
	return false
}

// separator is the shortest string above a and not above b. It is a copy: a
// slice of b would keep b's value in memory long after the key was rewritten.
func separator(a, b []byte) string {
	i := 0
	for i < len(a) && a[i] == b[i] {
		i++
	}
	return string(b[:i+1])
}
