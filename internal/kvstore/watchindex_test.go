package kvstore

import (
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// TestWatchIndexCallsThoseConcerned holds the index to calling, of many watchers,
// those that a plain look at each says, once, and with the right revision.
func TestWatchIndexCallsThoseConcerned(t *testing.T) {
	m := NewMachine()
	r := rand.New(rand.NewPCG(1, 1))
	var all []*Watcher
	names := map[*Watcher]WatchOptions{}
	for range 60 {
		o := WatchOptions{FromNow: true}
		for range r.IntN(3) {
			o.Keys = append(o.Keys, fmt.Appendf(nil, "%03d", r.IntN(50)))
		}
		for range r.IntN(3) {
			o.Prefixes = append(o.Prefixes, fmt.Appendf(nil, "%03d", r.IntN(50))[:1+r.IntN(3)])
		}
		w := watch(t, m, o)
		drained(t, w)
		all, names[w] = append(all, w), o
	}
	first := map[*Watcher]uint64{}
	for range 400 {
		var cmds [][]byte
		var keys []string
		for range 1 + r.IntN(3) {
			keys = append(keys, fmt.Sprintf("%03d", r.IntN(60)))
			cmds = append(cmds, put(keys[len(keys)-1], ""))
		}
		from := m.Revision() + 1
		index, _ := m.Hash()
		if _, err := m.Apply(index+1, 0, cmds); err != nil {
			t.Fatal(err)
		}
		for i, w := range all {
			want := uint64(0)
			for j, key := range keys {
				if want == 0 && wanted(names[w], &Event{Item: Item{Key: []byte(key)}}) {
					want = from + uint64(j)
				}
			}
			had := first[w]
			if had == 0 && want > 0 {
				first[w] = want
			}
			if got := called(w); got && want == 0 || !got && had == 0 && want > 0 {
				t.Fatalf("watcher %d of %q %q: called %v by puts of %q from %d", i, names[w].Keys, names[w].Prefixes, got, keys, from)
			}
			p := m.Revision()
			if first[w] > 0 {
				p = first[w] - 1
			}
			if w.Progress() != p {
				t.Fatalf("watcher %d: progress %d, want %d", i, w.Progress(), p)
			}
			if r.IntN(2) == 0 { // sits down again
				if _, err := drain(w, 4); err != nil {
					t.Fatal(err)
				}
				delete(first, w)
			}
		}
		checkIndex(t, m)
	}
	for _, w := range all {
		w.Close()
		checkIndex(t, m)
	}
	if x := &m.watches; x.groups != 0 || x.open != 0 || len(x.keys) != 0 || len(x.prefixes) != 0 {
		t.Fatalf("%d groups, %d open, %d keys, %d lengths are left", x.groups, x.open, len(x.keys), len(x.prefixes))
	}
}

// checkIndex counts what is in the index, and looks at every seat.
func checkIndex(tb testing.TB, m *Machine) {
	tb.Helper()
	x := &m.watches
	groups := slices.Collect(maps.Values(x.keys))
	for _, p := range x.prefixes {
		if len(p.groups) == 0 {
			tb.Fatalf("no groups of length %d", p.length)
		}
		for name := range p.groups {
			if len(name) != p.length {
				tb.Fatalf("%q is not of length %d", name, p.length)
			}
		}
		groups = append(groups, slices.Collect(maps.Values(p.groups))...)
	}
	if len(groups) != x.groups {
		tb.Fatalf("%d groups, counted %d", x.groups, len(groups))
	}
	var hints watchHints
	for _, g := range groups {
		hints.add(g.name, 1)
		if g.called > 0 || len(g.seats) == 0 {
			tb.Fatalf("group of %q: called at %d, %d seats", g.name, g.called, len(g.seats))
		}
		for i, seat := range g.seats {
			if seat.i != i || seat.group != g || seat.name != g.name || seat.prefix != g.prefix {
				tb.Fatalf("group of %q: seat %d is %+v", g.name, i, seat)
			}
		}
	}
	if x.hints != nil && *x.hints != hints {
		tb.Fatal("hints are of other groups")
	}
	if len(x.calls) > 0 {
		tb.Fatalf("%d groups are called and not told", len(x.calls))
	}
}

// Who does not wait costs Apply nothing, however many there are.
func TestBusyWatchersAreNotInTheIndex(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"))
	all := make([]*Watcher, 100)
	for i := range all {
		all[i] = watch(t, m, WatchOptions{Keys: list("a b"), Prefixes: list(strings.Repeat("x", i+1))})
	}
	if m.watches.groups != 0 || m.Watchers() != 100 {
		t.Fatalf("%d groups of %d watchers", m.watches.groups, m.Watchers())
	}
	for _, w := range all {
		drained(t, w)
	}
	if m.watches.groups != 102 {
		t.Fatalf("%d groups", m.watches.groups)
	}
	apply(t, m, put("a", "2"), put("a", "3"))
	// The groups of b and of the prefixes still say that nothing happened there.
	if m.watches.groups != 101 || m.watches.keys["a"] != nil {
		t.Fatalf("%d groups", m.watches.groups)
	}
	for i, w := range all {
		if got := drained(t, w); got != "2=a:2(1). 3=a:3(2)." {
			t.Fatalf("watcher %d got %s", i, got)
		}
	}
	checkIndex(t, m)
	if g := m.watches.keys["a"]; g == nil || len(g.seats) != 100 {
		t.Fatalf("not all sat down again: %+v", g)
	}
}

func TestWatchHints(t *testing.T) {
	h := new(watchHints)
	count := func() uint8 { return *h.of([]byte("name")) }
	h.add("name", 1)
	h.add("name", 1)
	h.add("name", -1)
	if count() != 1 {
		t.Fatalf("counted %d", count())
	}
	for range 300 {
		h.add("name", 1)
	}
	for range 301 {
		h.add("name", -1)
	}
	if count() != math.MaxUint8 {
		t.Fatalf("%d where there may be some", count())
	}
}

func TestApplyDoesNotAllocateForOtherWatchers(t *testing.T) {
	m := NewMachine()
	seated(t, m, 100, otherKeys)
	key := benchKey(3)
	if n := testing.AllocsPerRun(100, func() { m.watches.changed(key, 1) }); n != 0 {
		t.Fatalf("%v allocations", n)
	}
}
