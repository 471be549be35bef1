package kvstore

// walker passes the items with start <= key < end to yield until that says
// false, which it returns then. A nil bound is none.
type walker func(nd node, start, end []byte, yield func(*item) bool) bool

func ascend(nd node, start, end []byte, yield func(*item) bool) bool {
	switch x := nd.(type) {
	case *leaf:
		i, j := x.span(start, end)
		for ; i < j; i++ {
			if !yield(x.items[i]) {
				return false
			}
		}
	case *inner:
		first, last := x.span(start, end)
		for i := first; i <= last; i++ {
			if !ascend(x.kids[i], bound(start, i == first), bound(end, i == last), yield) {
				return false
			}
		}
	}
	return true
}

func descend(nd node, start, end []byte, yield func(*item) bool) bool {
	switch x := nd.(type) {
	case *leaf:
		i, j := x.span(start, end)
		for j--; j >= i; j-- {
			if !yield(x.items[j]) {
				return false
			}
		}
	case *inner:
		first, last := x.span(start, end)
		for i := last; i >= first; i-- {
			if !descend(x.kids[i], bound(start, i == first), bound(end, i == last), yield) {
				return false
			}
		}
	}
	return true
}

// rewrite puts fn(it) in the place of each item with start <= key < end, in the
// order of their keys. The keys stay what they are. What fn leaves as it is, is
// not copied.
func (t *tree) rewrite(start, end []byte, fn func(*item) *item) {
	t.root = rewrite(t.root, t.gen, start, end, fn)
}

func rewrite(nd node, gen uint64, start, end []byte, fn func(*item) *item) node {
	switch x := nd.(type) {
	case *leaf:
		i, j := x.span(start, end)
		for ; i < j; i++ {
			if it := fn(x.items[i]); it != x.items[i] {
				x = x.own(gen)
				x.items[i] = it
			}
		}
		return x
	case *inner:
		first, last := x.span(start, end)
		for i := first; i <= last; i++ {
			kid := rewrite(x.kids[i], gen, bound(start, i == first), bound(end, i == last), fn)
			if kid != x.kids[i] {
				x = x.own(gen)
				x.kids[i] = kid
			}
		}
		return x
	}
	panic("kvstore: a node that is neither leaf nor inner")
}

// span returns the positions from i to before j that lie within the bounds.
func (l *leaf) span(start, end []byte) (i, j int) {
	j = l.n
	if start != nil {
		i = l.search(start)
	}
	if end != nil {
		j = l.search(end)
	}
	return i, j
}

// span returns the first and the last kid that can have keys within the bounds.
// The others between have nothing else.
func (in *inner) span(start, end []byte) (first, last int) {
	last = int(in.n) - 1
	if start != nil {
		first = in.search(start)
	}
	if end != nil {
		last = in.search(end)
	}
	return first, last
}

// bound is b where it can matter.
func bound(b []byte, here bool) []byte {
	if here {
		return b
	}
	return nil
}
