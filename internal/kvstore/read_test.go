package kvstore_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
)

func filled(t *testing.T, keys ...string) (*kvstore.DB, *soloLog) {
	t.Helper()
	db, log := newDB()
	for _, k := range keys {
		if _, err := db.Put(t.Context(), []byte(k), []byte("v"), kvstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	return db, log
}

func keysOf(items iter.Seq[kvstore.Item]) string {
	var keys []string
	for it := range items {
		keys = append(keys, string(it.Key))
	}
	return strings.Join(keys, " ")
}

func TestViewRanges(t *testing.T) {
	db, _ := filled(t, "b", "a", "c", "ab", "a\xff", "a\xff\xff", "\xff\xff", "d")
	v, err := db.View(t.Context(), kvstore.ReadOptions{})
	if err != nil || v.Revision() != 8 {
		t.Fatalf("view of revision %d, %v", v.Revision(), err)
	}
	for _, c := range []struct {
		start, end []byte
		want       string
	}{
		{nil, nil, "a ab a\xff a\xff\xff b c d \xff\xff"},
		{[]byte{}, nil, "a ab a\xff a\xff\xff b c d \xff\xff"},
		{nil, []byte{}, ""},
		{[]byte("a"), kvstore.PrefixEnd([]byte("a")), "a ab a\xff a\xff\xff"},
		{[]byte("a\xff"), kvstore.PrefixEnd([]byte("a\xff")), "a\xff a\xff\xff"},
		{[]byte("\xff"), kvstore.PrefixEnd([]byte("\xff")), "\xff\xff"},
		{[]byte("b"), []byte("d"), "b c"},
		{[]byte("b\x00"), []byte("d\x00"), "c d"},
		{[]byte("c"), []byte("b"), ""},
		{[]byte("b"), []byte("b"), ""},
	} {
		if got := keysOf(v.Ascend(c.start, c.end)); got != c.want {
			t.Errorf("%q to %q: %q, want %q", c.start, c.end, got, c.want)
		}
		back := strings.Fields(c.want)
		for i := range len(back) / 2 {
			back[i], back[len(back)-1-i] = back[len(back)-1-i], back[i]
		}
		if got := keysOf(v.Descend(c.start, c.end)); got != strings.Join(back, " ") {
			t.Errorf("%q to %q, backwards: %q, want %q", c.start, c.end, got, back)
		}
	}
	for it := range v.Ascend(nil, nil) {
		if string(it.Key) == "b" {
			break
		}
	}
	var zero kvstore.View
	if _, ok := zero.Get([]byte("a")); ok || keysOf(zero.Ascend(nil, nil)) != "" || keysOf(zero.Descend(nil, nil)) != "" {
		t.Error("the zero View holds something")
	}
}

func TestPrefixEnd(t *testing.T) {
	for _, c := range []struct{ prefix, want string }{
		{"a", "b"}, {"a/", "a0"}, {"a\xff", "b"}, {"\x00", "\x01"}, {"a\xfe\xff\xff", "a\xff"},
	} {
		if got := kvstore.PrefixEnd([]byte(c.prefix)); string(got) != c.want {
			t.Errorf("%q: got %q, want %q", c.prefix, got, c.want)
		}
	}
	for _, prefix := range []string{"", "\xff", "\xff\xff"} {
		if got := kvstore.PrefixEnd([]byte(prefix)); got != nil {
			t.Errorf("%q: got %q, want none", prefix, got)
		}
	}
}

func TestReadsAtARevision(t *testing.T) {
	db, log := newDB()
	ctx := t.Context()
	key := []byte("k")
	for i := range 5 {
		if _, err := db.Put(ctx, key, fmt.Append(nil, i+1), kvstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := db.DeleteRange(ctx, nil, nil, kvstore.WriteOptions{}); err != nil || r.Code != kvstore.Deleted || r.Deleted != 1 || r.Revision != 6 {
		t.Fatalf("delete: %+v, %v", r, err)
	}
	if r, err := db.Compact(ctx, 3, kvstore.WriteOptions{}); err != nil || r.Code != kvstore.Compacted || r.Revision != 6 {
		t.Fatalf("compact: %+v, %v", r, err)
	}
	if r, err := db.Compact(ctx, 7, kvstore.WriteOptions{}); err != nil || r.Code != kvstore.FutureRevision {
		t.Fatalf("compact too far: %+v, %v", r, err)
	}
	for _, c := range []struct {
		revision uint64
		want     string // "" for no such key
		err      error
	}{
		{2, "", kvstore.ErrCompacted}, {3, "3", nil}, {5, "5", nil}, {6, "", nil}, {7, "", kvstore.ErrFutureRevision},
	} {
		got, err := db.Get(ctx, key, kvstore.GetOptions{Revision: c.revision})
		if !errors.Is(err, c.err) || string(got.Value) != c.want || got.Found != (c.want != "") || err == nil && got.Revision != c.revision {
			t.Errorf("at %d: got %+v, %v", c.revision, got, err)
		}
		v, err := db.View(ctx, kvstore.ReadOptions{Revision: c.revision})
		if !errors.Is(err, c.err) || err == nil && v.Revision() != c.revision {
			t.Errorf("at %d: view of revision %d, %v", c.revision, v.Revision(), err)
		}
		if gone, ok := errors.AsType[*kvstore.CompactedError](err); ok && gone.Oldest != 3 {
			t.Errorf("at %d: %v", c.revision, err)
		}
		if it, ok := v.Get(key); ok != got.Found || string(it.Value) != c.want {
			t.Errorf("at %d: the view has %+v, %v", c.revision, it, ok)
		}
	}
	if log.barriers != 10 {
		t.Errorf("%d read barriers for 10 reads", log.barriers)
	}
}

// A view stays what it was, whatever becomes of the store.
func TestViewIsFrozen(t *testing.T) {
	db, _ := filled(t, "a", "b", "c")
	ctx := t.Context()
	v, err := db.View(ctx, kvstore.ReadOptions{Stale: true})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if _, err := db.Put(ctx, []byte("a"), []byte("new"), kvstore.PutOptions{}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := db.DeleteRange(ctx, []byte("b"), nil, kvstore.WriteOptions{}); err != nil {
		t.Fatal(err)
	}
	if r, err := db.Compact(ctx, 7, kvstore.WriteOptions{}); err != nil || r.Code != kvstore.Compacted {
		t.Fatal(r, err)
	}
	if it, ok := v.Get([]byte("a")); !ok || string(it.Value) != "v" || keysOf(v.Ascend(nil, nil)) != "a b c" {
		t.Errorf("got %+v, %v and %q", it, ok, keysOf(v.Ascend(nil, nil)))
	}
}

func TestMinRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, log := filled(t, "a")
		ctx := t.Context()
		type answer struct {
			at  uint64
			err error
		}
		answers := make(chan answer, 3)
		for _, revision := range []uint64{4, 2, 3} {
			go func() {
				v, err := db.View(ctx, kvstore.ReadOptions{MinRevision: revision, Stale: revision == 2})
				answers <- answer{v.Revision(), err}
			}()
		}
		synctest.Wait()
		for want := uint64(2); want <= 4; want++ {
			if _, err := db.Put(ctx, []byte("a"), nil, kvstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
			select {
			case a := <-answers:
				if a.err != nil || a.at != want {
					t.Errorf("got revision %d, %v, want %d", a.at, a.err, want)
				}
			default:
				t.Fatalf("nobody woke at revision %d", want)
			}
		}
		if got, err := db.Get(ctx, []byte("a"), kvstore.GetOptions{MinRevision: 4}); err != nil || got.ModRevision != 4 {
			t.Errorf("of what is there: %+v, %v", got, err)
		}
		if log.barriers != 0 {
			t.Errorf("%d read barriers", log.barriers)
		}
	})
}

func TestMinRevisionEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		db, log := filled(t, "a")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := db.Get(ctx, []byte("a"), kvstore.GetOptions{MinRevision: 9})
		if !errors.Is(err, kvstore.ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		// The one that has left is in nobody's way.
		woken := make(chan error, 1)
		go func() {
			_, err := db.Get(t.Context(), []byte("a"), kvstore.GetOptions{MinRevision: 10})
			woken <- err
		}()
		for log.machine.Revision() < 10 {
			synctest.Wait()
			if _, err := db.Put(t.Context(), []byte("a"), nil, kvstore.PutOptions{}); err != nil {
				t.Fatal(err)
			}
		}
		if err := <-woken; err != nil {
			t.Error(err)
		}
	})
}

func TestGetDoesNotAllocate(t *testing.T) {
	db, _ := filled(t, "a", "a", "a")
	ctx, key := t.Context(), []byte("a")
	for _, o := range []kvstore.GetOptions{{}, {Stale: true}, {MinRevision: 3}, {Revision: 2}} {
		if n := testing.AllocsPerRun(100, func() {
			if _, err := db.Get(ctx, key, o); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%+v: %v allocations", o, n)
		}
	}
}
