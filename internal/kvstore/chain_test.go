package kvstore

import (
	"bytes"
	"testing"
	"unsafe"
)

// A member that is behind gets a snapshot whose history is cut elsewhere: chains
// must be what the snapshot says, and data still be there only once.
func TestRestoreOverAnotherHistory(t *testing.T) {
	first := [][]byte{put("a", "1"), put("a", "2"), put("b", "3"), put("c", "4"), del("c"), put("a", "6"), put("d", "7")}
	then := [][]byte{put("a", "8"), put("c", "9"), del("b")}
	for _, c := range []struct{ mine, theirs uint64 }{{0, 0}, {0, 1}, {0, 2}, {0, 5}, {0, 6}, {0, 10}, {3, 0}, {6, 2}, {7, 7}} {
		mine, theirs := NewMachine(), NewMachine()
		apply(t, mine, first...)
		apply(t, mine, encodeCompact(c.mine))
		apply(t, theirs, first...)
		apply(t, theirs, then...)
		apply(t, theirs, encodeCompact(c.theirs))
		was := mine.state.tree.get([]byte("a"))
		view, err := mine.view(0)
		if err != nil {
			t.Fatal(err)
		}
		if err := mine.Restore(bytes.NewReader(snapshotOf(t, theirs))); err != nil {
			t.Fatal(err)
		}
		checkState(t, mine)
		sameHashes(t, []*Machine{mine, theirs})
		if got := snapshotOf(t, mine); !bytes.Equal(got, snapshotOf(t, theirs)) {
			t.Errorf("compacted to %d and %d: the snapshots differ", c.mine, c.theirs)
		}
		if listed(view) != "a6 b3 d7" {
			t.Errorf("compacted to %d and %d: the view has become %q", c.mine, c.theirs, listed(view))
		}
		for it := mine.state.tree.get([]byte("a")); it != nil; it = it.prev {
			if it.modRevision == was.modRevision && unsafe.SliceData(it.kv) != unsafe.SliceData(was.kv) {
				t.Errorf("compacted to %d and %d: the same data are there twice", c.mine, c.theirs)
			}
		}
	}
}
