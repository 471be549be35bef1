package kvstore

import "iter"

// View is the store as it was at one moment. It never changes, and any number
// may read it at once. What it alone still refers to stays in memory until the
// last copy of it is gone. The zero View is an empty store.
type View struct {
	tree     view
	revision uint64
}

// Revision is the moment: all changes up to it are in the view, and no later ones.
func (v View) Revision() uint64 { return v.revision }

// Get returns the version that the key had at the moment.
func (v View) Get(key []byte) (Item, bool) {
	if v.tree.root == nil {
		return Item{}, false
	}
	it := find(v.tree.root, key).item().asOf(v.revision)
	if it == nil {
		return Item{}, false
	}
	return it.export(), true
}

// Ascend yields the keys from start on that are below end, in their order. A nil
// start is the first key; with a nil end there is no upper bound. Finding the
// first key costs as much as a Get.
func (v View) Ascend(start, end []byte) iter.Seq[Item] { return v.walk(start, end, ascend) }

// Descend yields the same keys in the opposite order.
func (v View) Descend(start, end []byte) iter.Seq[Item] { return v.walk(start, end, descend) }

func (v View) walk(start, end []byte, walk walker) iter.Seq[Item] {
	return func(yield func(Item) bool) {
		walk(v.tree.root, start, end, func(it *item) bool {
			it = it.asOf(v.revision)
			return it == nil || yield(it.export())
		})
	}
}

// PrefixEnd returns the end of the keys that begin with prefix, as Ascend and
// DeleteRange take it; nil when these reach to the end of all keys, as they do
// for an empty prefix.
func PrefixEnd(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] < 0xff {
			end := append([]byte(nil), prefix[:i+1]...)
			end[i]++
			return end
		}
	}
	return nil
}
