package kvstore

import (
	"bytes"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
)

// check fails the test unless all of the tree's invariants hold.
func (t *tree) check(tb testing.TB) {
	tb.Helper()
	depth, n := -1, 0
	var last *item
	var visit func(nd node, level int, low, high string, ours bool)
	visit = func(nd node, level int, low, high string, ours bool) {
		switch x := nd.(type) {
		case *leaf:
			if depth >= 0 && level != depth {
				tb.Fatalf("leaf at depth %d, others at %d", level, depth)
			}
			depth = level
			if x.n == 0 && level > 0 {
				tb.Fatal("empty leaf")
			}
			if x.gen == t.gen && !ours || x.gen > t.gen {
				tb.Fatalf("leaf of generation %d below a shared node, tree %d", x.gen, t.gen)
			}
			for i, it := range x.items[:x.n] {
				if last != nil && bytes.Compare(last.kv, it.kv) >= 0 {
					tb.Fatalf("%q before %q", last.kv, it.kv)
				}
				if string(it.kv) < low || high != "" && string(it.kv) >= high {
					tb.Fatalf("%q outside of %q to %q", it.kv, low, high)
				}
				if x.tags[i] != tagOf(it.kv) {
					tb.Fatalf("%q has another key's tag", it.kv)
				}
				last = it
				n++
			}
			for _, it := range x.items[x.n:] {
				if it != nil {
					tb.Fatalf("%q kept behind the end of a leaf", it.kv)
				}
			}
		case *inner:
			if x.n < 2 {
				tb.Fatalf("inner node with %d kids", x.n)
			}
			if x.gen == t.gen && !ours || x.gen > t.gen {
				tb.Fatalf("node of generation %d below a shared node, tree %d", x.gen, t.gen)
			}
			for i, kid := range x.kids[:x.n] {
				l, h := low, high
				if i > 0 {
					l = x.seps[i-1]
				}
				if i < int(x.n)-1 {
					h = x.seps[i]
				}
				visit(kid, level+1, l, h, x.gen == t.gen)
			}
		}
	}
	visit(t.root, 0, "", "", true)
	if n != t.n {
		tb.Fatalf("%d items, n is %d", n, t.n)
	}
}

// keyMakers are families of keys, each hard on another part of the tree.
var keyMakers = map[string]func(r *rand.Rand) []byte{
	"counter": func(r *rand.Rand) []byte { return fmt.Appendf(nil, "bench/key/%022d", r.IntN(20_000)) },
	"hex":     func(r *rand.Rand) []byte { return fmt.Appendf(nil, "%08x", r.IntN(20_000)*2654435761) },
	"zeros":   func(r *rand.Rand) []byte { return make([]byte, 1+r.IntN(600)) },
	"letters": func(r *rand.Rand) []byte {
		b := make([]byte, 1+r.IntN(14))
		for i := range b {
			b[i] = "\x00\x01a\xff"[r.IntN(4)]
		}
		return b
	},
	// Eight bytes alike behind the common prefix: only whole keys tell.
	"ties": func(r *rand.Rand) []byte {
		if r.IntN(500) == 0 {
			return fmt.Appendf(nil, "%d", r.IntN(100))
		}
		return fmt.Appendf(nil, "the same long beginning %05d", r.IntN(20_000))
	},
}

func TestTreeAgainstMap(t *testing.T) {
	for _, name := range slices.Sorted(maps.Keys(keyMakers)) {
		t.Run(name, func(t *testing.T) {
			seed := uint64(len(name))
			r := rand.New(rand.NewPCG(seed, 0))
			testTree(t, r, keyMakers[name])
		})
	}
}

func testTree(t *testing.T, r *rand.Rand, key func(*rand.Rand) []byte) {
	tr := newTree()
	model := map[string]*item{}
	type moment struct {
		view  view
		model map[string]*item
	}
	var moments []moment
	// Grow, then shrink to nothing, with views taken on the way.
	for step := range 60_000 {
		k := key(r)
		at := tr.find(k)
		if got, want := at.item(), model[string(k)]; got != want {
			t.Fatalf("step %d: find %q: got %v, want %v", step, k, got, want)
		}
		remove := r.IntN(10) < 2
		if step > 35_000 {
			remove = r.IntN(10) < 9
		}
		switch {
		case !remove:
			it := newItem(k, nil, untyped)
			tr.set(at, it)
			model[string(k)] = it
		case at.i >= 0:
			tr.remove(at)
			delete(model, string(k))
		}
		if step%4_000 == 0 {
			moments = append(moments, moment{tr.freeze(), maps.Clone(model)})
		}
		if step%5_000 == 0 {
			tr.check(t)
		}
	}
	tr.check(t)
	for _, k := range slices.Sorted(maps.Keys(model)) {
		tr.remove(tr.find([]byte(k)))
		if tr.n%500 == 0 {
			tr.check(t)
		}
	}
	if l, ok := tr.root.(*leaf); !ok || l.n != 0 || tr.n != 0 {
		t.Fatalf("emptied tree has root %T and %d items", tr.root, tr.n)
	}
	for i, m := range moments {
		sameItems(t, fmt.Sprintf("view %d", i), m.view, m.model)
	}
}

func sameItems(t *testing.T, name string, v view, want map[string]*item) {
	t.Helper()
	if v.n != len(want) {
		t.Fatalf("%s: n is %d, want %d", name, v.n, len(want))
	}
	keys := slices.Sorted(maps.Keys(want))
	i := 0
	for it := range v.all() {
		if i == len(keys) || string(it.kv) != keys[i] || it != want[keys[i]] {
			t.Fatalf("%s: item %d is %q of %d", name, i, it.kv, len(keys))
		}
		i++
	}
	if i != len(keys) {
		t.Fatalf("%s: %d items, want %d", name, i, len(keys))
	}
}

func TestTreeWalkStops(t *testing.T) {
	var ld loader
	for i := range 5_000 {
		ld.add(newItem(fmt.Appendf(nil, "%04d", i), nil, untyped))
	}
	tr := ld.tree()
	v := tr.freeze()
	n := 0
	for range v.all() {
		if n++; n == 3_000 {
			break
		}
	}
	if n != 3_000 {
		t.Fatalf("walked %d items, want 3000", n)
	}
}

func TestLoader(t *testing.T) {
	for _, n := range []int{0, 1, 2, 56, 57, 112, 113, 56 * 56, 56*56 + 1, 57 * 56, 200_000} {
		var ld loader
		want := map[string]*item{}
		for i := range n {
			it := newItem(fmt.Appendf(nil, "key/%06d", i), nil, untyped)
			ld.add(it)
			want[string(it.kv)] = it
		}
		tr := ld.tree()
		tr.check(t)
		sameItems(t, fmt.Sprintf("%d loaded", n), tr.freeze(), want)
		// A loaded tree takes changes like any other.
		for i := 0; i < n; i += 3 {
			tr.remove(tr.find(fmt.Appendf(nil, "key/%06d", i)))
		}
		tr.check(t)
		for i := range min(n, 5_000) {
			k := fmt.Appendf(nil, "key/%06d+", i)
			tr.set(tr.find(k), newItem(k, nil, untyped))
		}
		tr.check(t)
	}
}

func TestAscendingKeysFillLeaves(t *testing.T) {
	tr := newTree()
	const n = 50_000
	for i := range n {
		k := fmt.Appendf(nil, "key/%08d", i)
		tr.set(tr.find(k), newItem(k, nil, untyped))
	}
	tr.check(t)
	leaves := 0
	var count func(nd node)
	count = func(nd node) {
		if in, ok := nd.(*inner); ok {
			for _, kid := range in.kids[:in.n] {
				count(kid)
			}
			return
		}
		leaves++
	}
	count(tr.root)
	if most := n/leafMax + 2; leaves > most {
		t.Fatalf("%d keys in order took %d leaves, want at most %d", n, leaves, most)
	}
}

func TestSeparator(t *testing.T) {
	for _, c := range []struct{ a, b, want string }{
		{"a", "b", "b"},
		{"a", "ab", "ab"},
		{"a", "abc", "ab"},
		{"user/1", "user/2/long", "user/2"},
		{"x\x00", "x\x00\x00", "x\x00\x00"},
		{"\xfe", "\xff\xff", "\xff"},
	} {
		if got := separator([]byte(c.a), []byte(c.b)); got != c.want {
			t.Errorf("separator(%q, %q) = %q, want %q", c.a, c.b, got, c.want)
		}
	}
}
