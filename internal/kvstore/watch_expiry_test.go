package kvstore

import (
	"bytes"
	"testing"
	"time"
)

// What a lease or TTL ended is told from what was deleted, after a snapshot too.
func TestWatchOfExpiry(t *testing.T) {
	m := NewMachine()
	id := applyAt(t, m, 0, grant(time.Minute)).Lease
	for _, cmd := range [][]byte{
		putLease("l2", id), putLease("l1", id), putTTL("t", time.Second), put("kept", ""), putTTL("d", time.Second), del("d"),
	} {
		applyAt(t, m, 0, cmd)
	}
	from := m.Revision() - 6
	applyAt(t, m, 2*time.Second, encodeExpire())
	applyAt(t, m, 2*time.Minute, encodeExpire())
	if m.Revision() != from+8 {
		t.Fatalf("revision %d after 8 changes from %d", m.Revision(), from)
	}
	type change struct {
		key  string
		kind EventType
		at   uint64
		last bool
	}
	for _, m := range []*Machine{m, restored(t, snapshotOf(t, m))} {
		for _, c := range []struct {
			name  string
			types []EventType
			want  []change
		}{
			{"what ended", []EventType{EventExpire}, []change{{"t", EventExpire, 7, true}, {"l1", EventExpire, 8, false}, {"l2", EventExpire, 8, true}}},
			{"what was deleted", []EventType{EventDelete}, []change{{"d", EventDelete, 6, true}}},
		} {
			got, err := drain(watch(t, m, WatchOptions{Since: from, Types: c.types}), 2)
			if err != nil || len(got) != len(c.want) {
				t.Fatalf("%s: %s, %v", c.name, show(got), err)
			}
			for i, e := range got {
				want := c.want[i]
				gone := Item{Key: []byte(want.key), ModRevision: from + want.at}
				if e.Type != want.kind || e.Last != want.last || !sameItem(&e.Item, &gone) || e.Prev == nil {
					t.Errorf("%s: event %d is %s, %+v", c.name, i, show(got[i:i+1]), e.Item)
				}
			}
		}
		puts, err := drain(watch(t, m, WatchOptions{Since: from, Keys: list("l1 t")}), 1)
		if err != nil || len(puts) != 4 || puts[0].Lease != id || puts[1].TTL != time.Second || puts[2].Prev.TTL != time.Second || puts[3].Prev.Lease != id {
			t.Errorf("%s, %v", show(puts), err)
		}
	}
}

// All that a transaction changes is one revision, in the order of the keys.
func TestWatchOfATransaction(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("b", "1"), put("x/1", "1"), put("x/2", "1"))
	all, some := watch(t, m, WatchOptions{FromNow: true}), watch(t, m, WatchOptions{FromNow: true, Keys: list("b z"), Prefixes: list("y")})
	drained(t, all)
	drained(t, some)
	apply(t, m, encodeTxn(&Txn{Then: []Op{
		{Kind: OpPut, Key: []byte("z"), Value: []byte("2")},
		{Kind: OpDeleteRange, Key: []byte("x/"), End: []byte("x0")},
		{Kind: OpDelete, Key: []byte("b")},
		{Kind: OpPut, Key: []byte("a"), Value: []byte("2")},
	}}))
	if !called(all) || !called(some) || some.Progress() != 3 {
		t.Errorf("not called, or not for revision 4 but %d", some.Progress()+1)
	}
	want := "4+a:2 4-b(1) 4-x/1(1) 4-x/2(1) 4+z:2."
	if got := drained(t, all); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if got := drained(t, some); got != "4-b(1) 4+z:2." {
		t.Errorf("got %s", got)
	}
	again := NewMachine()
	if err := again.Restore(bytes.NewReader(snapshotOf(t, m))); err != nil {
		t.Fatal(err)
	}
	if got := drained(t, watch(t, again, WatchOptions{Since: 3})); got != want {
		t.Errorf("after a snapshot: %s", got)
	}
}
