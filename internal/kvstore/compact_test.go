package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func TestCompact(t *testing.T) {
	m := NewMachine()
	apply(t, m,
		put("a", "1"), put("b", "2"), put("a", "3"), del("b"), put("a", "5"), // revisions 1 to 5
		put("b", "6"), encodeDeleteRange([]byte("a"), []byte("c")), put("c", "8"))
	for _, step := range []struct {
		revision uint64
		want     Code
		at       uint64
		list     string
	}{
		{9, FutureRevision, 2, "a1 b2"},
		{0, Compacted, 1, "a1"},
		{2, Compacted, 2, "a1 b2"},
		{1, Compacted, 2, "a1 b2"},
		{4, Compacted, 4, "a3"},
		{5, Compacted, 6, "a5 b6"},
		{6, Compacted, 7, ""},
		{8, Compacted, 8, "c8"},
	} {
		if r := apply(t, m, encodeCompact(step.revision))[0]; r.Code != step.want || r.Revision != 8 {
			t.Fatalf("to %d: got %+v", step.revision, r)
		}
		checkState(t, m)
		v, err := m.view(step.at)
		if err != nil {
			t.Fatal(err)
		}
		if got := listed(v); got != step.list {
			t.Errorf("to %d: at %d there is %q, want %q", step.revision, step.at, got, step.list)
		}
		if old := m.Compacted() - 1; m.Compacted() > 1 {
			if _, err := m.view(old); !errors.Is(err, ErrCompacted) {
				t.Errorf("to %d: read at %d: %v", step.revision, old, err)
			}
		}
	}
	if m.HistoryBytes() != 0 || m.state.tree.n != 1 || m.state.events.n != 0 {
		t.Errorf("%d bytes of history, %d keys in the tree, %d events", m.HistoryBytes(), m.state.tree.n, m.state.events.n)
	}
}

// listed returns the keys and values of a view.
func listed(v View) string {
	var all string
	for it := range v.Ascend(nil, nil) {
		if all != "" {
			all += " "
		}
		all += string(it.Key) + string(it.Value)
	}
	return all
}

func TestCompactedVersionsAreNotKept(t *testing.T) {
	m := NewMachine()
	for i := range 1_000 {
		apply(t, m, put("k", fmt.Sprint(i)), put(fmt.Sprint(i), ""))
	}
	apply(t, m, encodeCompact(1_500))
	for i := range m.state.events.n {
		versions := 0
		for it := m.state.events.at(i).it; it != nil; it = it.prev {
			versions++
		}
		if most := 252; versions > most {
			t.Fatalf("event %d keeps %d versions of %q, want at most %d", i, versions, m.state.events.at(i).it.kv, most)
		}
	}
	if chunks := len(m.state.events.chunks); chunks > 3 {
		t.Fatalf("%d chunks for %d events", chunks, m.state.events.n)
	}
}

// TestCompactBesideReaders has readers walk views of all ages while the store
// goes on, compacts and is replaced: nothing that they hold may change.
func TestCompactBesideReaders(t *testing.T) {
	m := NewMachine()
	const keys = 300
	write := func(round int) {
		for i := range keys {
			apply(t, m, put(fmt.Sprintf("k/%03d", i), fmt.Sprint(round)))
		}
	}
	write(0)
	stopc := make(chan struct{})
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stopc:
					return
				default:
				}
				v, err := m.view(m.Compacted())
				if err != nil {
					if !errors.Is(err, ErrCompacted) {
						t.Error(err)
					}
					continue
				}
				first, n := "", 0
				for it := range v.Ascend([]byte("k/"), nil) {
					if n++; n == 1 {
						first = string(it.Value)
					}
				}
				for it := range v.Descend(nil, PrefixEnd([]byte("k/"))) {
					first = string(it.Value)
				}
				if it, ok := v.Get([]byte("k/000")); !ok || string(it.Value) != first || n != keys {
					t.Errorf("%d keys, k/000 is %q and %q", n, it.Value, first)
				}
			}
		})
	}
	for round := range 60 {
		write(round + 1)
		apply(t, m, encodeCompact(m.Revision()-uint64(round%2)*150))
		if round%20 == 10 {
			index, _ := m.Hash()
			back := snapshotOf(t, m)
			if err := m.Restore(bytes.NewReader(back)); err != nil {
				t.Fatal(err)
			}
			if after, _ := m.Hash(); after != index {
				t.Fatalf("index %d after a restore at %d", after, index)
			}
		}
	}
	close(stopc)
	wg.Wait()
	checkState(t, m)
}

func TestDeleteRangeCopiesOnlyWhatChanges(t *testing.T) {
	m := NewMachine()
	for i := range 10_000 {
		apply(t, m, put(fmt.Sprintf("%05d", i), ""))
	}
	v, err := m.view(0)
	if err != nil {
		t.Fatal(err)
	}
	root := m.state.tree.root
	if r := apply(t, m, encodeDeleteRange([]byte("a"), nil))[0]; r.Code != NotFound || m.state.tree.root != root {
		t.Errorf("%+v: a delete of nothing copied something", r)
	}
	if r := apply(t, m, encodeDeleteRange([]byte("00500"), []byte("00600")))[0]; r.Deleted != 100 || r.Code != Deleted || r.Revision != 10_001 {
		t.Errorf("got %+v", r)
	}
	if r := apply(t, m, encodeDeleteRange(nil, []byte("01000")))[0]; r.Deleted != 900 || r.Revision != 10_002 {
		t.Errorf("got %+v", r)
	}
	n := 0
	for range v.Ascend(nil, nil) {
		n++
	}
	if n != 10_000 || m.Len() != 9_000 {
		t.Errorf("%d keys in the view, %d in the store", n, m.Len())
	}
	checkState(t, m)
}

// TestChainsOfHotKeys: a key that is written all the time is not copied with each
// compaction, and what it holds too much is in proportion to what it keeps; where
// versions are large it is nothing.
func TestChainsOfHotKeys(t *testing.T) {
	const kept, step, rounds = 1_000, 50, 400
	for _, c := range []struct{ size, copiesLeast, copiesMost, lengthMean, lengthMost int }{
		{1, rounds * step / kept / 3, rounds * step / kept * 3, 3 * kept, 10 * kept},
		{smallVersion, rounds - 1, rounds - 1, kept + 1, kept + 1}, // and the key; the first has nothing to cut
	} {
		m := NewMachine()
		value := strings.Repeat("v", c.size)
		longest, total, copies := 0, 0, 0
		for i := range kept + rounds*step {
			apply(t, m, put("k", value))
			if i < kept || i%step != 0 {
				continue
			}
			before := m.state.tree.get(key("k"))
			apply(t, m, encodeCompact(m.Revision()-kept))
			newest := m.state.tree.get(key("k"))
			if newest != before {
				copies++
			}
			length := 0
			for it := newest; it != nil; it = it.prev {
				length++
			}
			longest, total = max(longest, length), total+length
		}
		if mean := total / rounds; copies < c.copiesLeast || copies > c.copiesMost || mean > c.lengthMean || longest > c.lengthMost {
			t.Errorf("values of %d bytes: %d copies in %d rounds, %d versions on average, %d at most, %d kept", c.size, copies, rounds, mean, longest, kept)
		}
		checkState(t, m)
		checkState(t, restored(t, snapshotOf(t, m)))
	}
}
