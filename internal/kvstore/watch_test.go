package kvstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

func list(words string) (out [][]byte) {
	for word := range strings.FieldsSeq(words) {
		out = append(out, []byte(word))
	}
	return out
}

func watch(tb testing.TB, m *Machine, o WatchOptions) *Watcher {
	tb.Helper()
	o.Prev = true
	w, err := m.watch(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(w.Close)
	return w
}

// drain returns all that w gets without waiting, size events at a time, and the
// error at the end of it.
func drain(w *Watcher, size int) (all []Event, err error) {
	buf := make([]Event, size)
	for w.err == nil {
		n := w.scan(buf)
		if n == 0 && w.idle {
			return all, nil
		}
		all = append(all, buf[:n]...)
	}
	return all, w.err
}

func drained(tb testing.TB, w *Watcher) string {
	tb.Helper()
	all, err := drain(w, 3)
	if err != nil {
		tb.Fatal(err)
	}
	return show(all)
}

// called reports whether somebody told w that there is something.
func called(w *Watcher) bool {
	select {
	case <-w.calledc:
		return true
	default:
		return false
	}
}

func TestWatch(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"), put("b", "1"), put("a", "2"), del("a"), put("app/x", "1"), put("app/y", "1"),
		put("c", "1"), encodeDeleteRange([]byte("app/"), []byte("app0")), put("a", "3"), del("nothing"))
	everything := "1+a:1. 2+b:1. 3=a:2(1). 4-a(2). 5+app/x:1. 6+app/y:1. 7+c:1. 8-app/x(1) 8-app/y(1). 9+a:3."
	puts, deletes, expiries := []EventType{EventPut}, []EventType{EventDelete}, []EventType{EventExpire}
	for _, c := range []struct {
		name string
		o    WatchOptions
		want string
	}{
		{"everything", WatchOptions{}, everything},
		{"the empty prefix", WatchOptions{Prefixes: [][]byte{{}}, Keys: list("a")}, everything},
		{"all types", WatchOptions{Types: []EventType{EventPut, EventDelete, EventExpire}}, everything},
		{"since the middle of what was", WatchOptions{Since: 7}, "8-app/x(1) 8-app/y(1). 9+a:3."},
		{"since the last", WatchOptions{Since: 9}, ""},
		{"from now", WatchOptions{FromNow: true, Since: 3}, ""},
		{"a key that others begin with", WatchOptions{Keys: list("a")}, "1+a:1. 3=a:2(1). 4-a(2). 9+a:3."},
		{"a prefix", WatchOptions{Prefixes: list("app/")}, "5+app/x:1. 6+app/y:1. 8-app/x(1) 8-app/y(1)."},
		{"a prefix that is a key", WatchOptions{Prefixes: list("a"), Since: 4}, "5+app/x:1. 6+app/y:1. 8-app/x(1) 8-app/y(1). 9+a:3."},
		{"a prefix that nothing begins with", WatchOptions{Prefixes: list("app/x/")}, ""},
		{"keys and prefixes", WatchOptions{Keys: list("c b app/x c"), Prefixes: list("app/y app/yy")},
			"2+b:1. 5+app/x:1. 6+app/y:1. 7+c:1. 8-app/x(1) 8-app/y(1)."},
		{"the first of one revision", WatchOptions{Keys: list("app/x")}, "5+app/x:1. 8-app/x(1)."},
		{"the last of one revision", WatchOptions{Keys: list("app/y")}, "6+app/y:1. 8-app/y(1)."},
		{"puts", WatchOptions{Types: puts, Since: 3}, "5+app/x:1. 6+app/y:1. 7+c:1. 9+a:3."},
		{"deletes", WatchOptions{Types: deletes}, "4-a(2). 8-app/x(1) 8-app/y(1)."},
		{"expiries", WatchOptions{Types: expiries}, ""},
		{"no key at all", WatchOptions{Keys: [][]byte{{}}}, ""},
	} {
		for size := 1; size < 12; size++ {
			w := watch(t, m, c.o)
			got, err := drain(w, size)
			if err != nil || show(got) != c.want || w.Progress() != 9 {
				t.Errorf("%s, %d at a time: got %s, progress %d, %v; want %s", c.name, size, show(got), w.Progress(), err, c.want)
			}
		}
	}
	// What is deleted has nothing but a key and a revision.
	got, err := drain(watch(t, m, WatchOptions{Since: 3, Keys: list("a")}), 1)
	if err != nil || !sameItem(&got[0].Item, &Item{Key: []byte("a"), ModRevision: 4}) ||
		!sameItem(got[0].Prev, &Item{Key: []byte("a"), Value: []byte("2"), CreateRevision: 1, ModRevision: 3, Version: 2}) {
		t.Errorf("delete of a: %+v, previous %+v, %v", got[0].Item, got[0].Prev, err)
	}
}

// One revision may be far more than what a watcher looks at at a time.
func TestWatchLastOfManyEvents(t *testing.T) {
	m := NewMachine()
	const n = 4*watchPage + 7
	key := func(i int) string { return fmt.Sprintf("k/%05d", i) }
	for i := range n {
		apply(t, m, put(key(i), "v"))
	}
	apply(t, m, encodeDeleteRange(nil, nil))
	for _, matches := range [][]int{
		{}, {0}, {n - 1}, {n / 2}, {0, 1}, {0, n - 1}, {0, watchPage - 1}, {watchPage - 1, watchPage}, {watchPage}, {1, 2*watchPage - 1, 2 * watchPage, n - 2},
	} {
		for _, deletes := range []bool{true, false} {
			for _, more := range []bool{false, true} {
				o := WatchOptions{Since: n, Keys: list("none")}
				if !deletes {
					o.Types = []EventType{EventPut}
				}
				want := make([]string, 0, len(matches))
				for _, i := range matches {
					o.Keys = append(o.Keys, []byte(key(i)))
					if deletes {
						want = append(want, fmt.Sprintf("%d-%s(v)", n+1, key(i)))
					}
				}
				if k := len(want); k > 0 {
					want[k-1] += "."
				}
				m := m
				if more {
					m = restored(t, snapshotOf(t, m))
					apply(t, m, put("another", "v"))
				}
				for _, size := range []int{1, 2, 3, 100} {
					got, err := drain(watch(t, m, o), size)
					if err != nil || show(got) != strings.Join(want, " ") {
						t.Errorf("keys %v, deletes %v, more behind them %v, %d at a time: got %s, %v, want %s",
							matches, deletes, more, size, show(got), err, strings.Join(want, " "))
					}
				}
			}
		}
	}
	// Until the last of it came, nothing of it counts.
	w := watch(t, m, WatchOptions{Since: n})
	buf := make([]Event, n-1)
	for got := 0; got < n; {
		if w.Progress() != n {
			t.Fatalf("progress %d after %d events of %d", w.Progress(), got, n+1)
		}
		some, err := w.Next(t.Context(), buf[:min(100, n-got)])
		if err != nil {
			t.Fatal(err)
		}
		got += len(some)
		for i, e := range some {
			if last := got == n && i == len(some)-1; e.Last != last {
				t.Fatalf("event %q: last is %v", e.Key, e.Last)
			}
		}
	}
	if w.Progress() != n+1 {
		t.Fatalf("progress %d after all of %d", w.Progress(), n+1)
	}
}

func TestWatchFromWhatIsNotThere(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"), put("a", "2"), put("a", "3"), put("a", "4"), encodeCompact(2))
	for since, want := range map[uint64]string{
		0: "compacted 2", 1: "compacted 2", 2: "3=a:3(2). 4=a:4(3).", 3: "4=a:4(3).", 4: "", 5: "future", 1 << 63: "future",
	} {
		w, err := m.watch(WatchOptions{Since: since, Prev: true})
		got := ""
		switch gone, ok := errors.AsType[*CompactedError](err); {
		case ok && errors.Is(err, ErrCompacted):
			got = fmt.Sprintf("compacted %d", gone.Oldest)
		case errors.Is(err, ErrFutureRevision):
			got = "future"
		case err != nil:
			t.Fatal(err)
		default:
			got = drained(t, w)
			w.Close()
		}
		if got != want {
			t.Errorf("since %d: got %s, want %s", since, got, want)
		}
	}
	if n := m.Watchers(); n != 0 {
		t.Errorf("%d watchers are left", n)
	}
}

func TestWatcherThatFallsBehind(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"), put("b", "1"), put("a", "2"))
	slow := watch(t, m, WatchOptions{})
	quick := watch(t, m, WatchOptions{})
	buf := make([]Event, 1)
	if got, err := slow.Next(t.Context(), buf); err != nil || show(got) != "1+a:1." || slow.Progress() != 1 {
		t.Fatalf("got %s, %v, progress %d", show(got), err, slow.Progress())
	}
	if got := drained(t, quick); got != "1+a:1. 2+b:1. 3=a:2(1)." {
		t.Fatal(got)
	}
	apply(t, m, encodeCompact(2), put("a", "3"))
	for range 2 {
		_, err := slow.Next(t.Context(), buf)
		if gone, ok := errors.AsType[*CompactedError](err); !ok || gone.Oldest != 2 || slow.Progress() != 1 {
			t.Fatalf("slow one at %d: %v", slow.Progress(), err)
		}
		apply(t, m, put("a", "4"), encodeCompact(5))
	}
	// The other has seen what is gone now, but not what came since.
	if _, err := drain(quick, 1); !errors.Is(err, ErrCompacted) || quick.Progress() != 3 {
		t.Fatalf("quick one at %d: %v", quick.Progress(), err)
	}
}

func TestWatcherThatFallsBehindWithinARevision(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"), put("b", "1"), put("c", "1"), encodeDeleteRange(nil, nil))
	buf := make([]Event, 1)
	for taken, want := range []string{"", "4-a(1)", "4-b(1)", "4-c(1)."} {
		m := restored(t, snapshotOf(t, m))
		w := watch(t, m, WatchOptions{Since: 3})
		for range taken {
			got, err := w.Next(t.Context(), buf)
			if err != nil {
				t.Fatal(err)
			}
			if show(got) == want {
				break
			}
		}
		apply(t, m, put("d", "1"), encodeCompact(4))
		all, err := drain(w, 1)
		if whole := taken == 3; whole && (err != nil || show(all) != "5+d:1.") || !whole && (!errors.Is(err, ErrCompacted) || w.Progress() != 3) {
			t.Errorf("after %d of 3 events: %s, progress %d, %v", taken, show(all), w.Progress(), err)
		}
	}
}

// The groups know that nothing happened: no need for a history of that.
func TestIdleWatcherIsNotOvertaken(t *testing.T) {
	m := NewMachine()
	w := watch(t, m, WatchOptions{Keys: list("a b"), Prefixes: list("x/ y/z")})
	if got := drained(t, w); got != "" || w.Progress() != 0 {
		t.Fatalf("%s at %d", got, w.Progress())
	}
	apply(t, m, put("c", "1"), put("x", "1"), put("y/", "1"), encodeCompact(3))
	if w.Progress() != 3 || called(w) {
		t.Fatalf("progress %d", w.Progress())
	}
	// All in one entry: what the log of changes has not any more when it ends.
	if _, err := m.Apply(100, 0, [][]byte{put("a", "1"), put("c", "2"), put("x/1", "1"), put("c", "3")}); err != nil {
		t.Fatal(err)
	}
	if !called(w) || w.Progress() != 3 {
		t.Fatalf("progress %d of 3 before the put of a", w.Progress())
	}
	if got := drained(t, w); got != "4+a:1. 6+x/1:1." || w.Progress() != 7 {
		t.Fatalf("%s at %d", got, w.Progress())
	}
	for range 3 {
		apply(t, m, put("c", "4"), encodeCompact(m.Revision()))
	}
	if got := drained(t, w); got != "" || w.Progress() != 10 || called(w) {
		t.Fatalf("%s at %d", got, w.Progress())
	}
	apply(t, m, put("c", "5"), put("y/z", "1"), encodeCompact(m.Revision()))
	if got := drained(t, w); got != "" || w.Progress() != 12 {
		// Compacted to 10 only: the revision was asked for before the entries.
		if got != "12+y/z:1." {
			t.Fatalf("%s at %d", got, w.Progress())
		}
	}
	// One entry that makes an event and forgets it: nobody may go on as if nothing was.
	index, _ := m.Hash()
	if _, err := m.Apply(index+1, 0, [][]byte{put("a", "2"), encodeCompact(13)}); err != nil {
		t.Fatal(err)
	}
	if _, err := drain(w, 1); !errors.Is(err, ErrCompacted) || w.Progress() != 12 {
		t.Fatalf("at %d: %v", w.Progress(), err)
	}
}

func TestWatchOverASnapshot(t *testing.T) {
	for _, c := range []struct {
		name    string
		compact uint64
		want    string // of who waits for a and b
		busy    string // of who has seen 1 of what there was
	}{
		{"that reaches back to all", 0, "4=a:2(1). 5-b(1).", "2+b:1. 3+c:1. 4=a:2(1). 5-b(1). 6=c:2(1)."},
		{"that reaches back to who is slow", 1, "4=a:2(1). 5-b(1).", "2+b:1. 3+c:1. 4=a:2(1). 5-b(1). 6=c:2(1)."},
		{"that reaches back to who waits", 3, "4=a:2(1). 5-b(1).", "compacted"},
		{"that reaches back to nobody", 4, "compacted", "compacted"},
	} {
		m, ahead := NewMachine(), NewMachine()
		before := [][]byte{put("a", "1"), put("b", "1"), put("c", "1")}
		apply(t, m, before...)
		apply(t, ahead, before...)
		apply(t, ahead, put("a", "2"), del("b"), put("c", "2"), encodeCompact(c.compact))
		waits := watch(t, m, WatchOptions{Keys: list("a b"), FromNow: true})
		drained(t, waits)
		busy := watch(t, m, WatchOptions{})
		if _, err := busy.Next(t.Context(), make([]Event, 1)); err != nil {
			t.Fatal(err)
		}
		if err := m.Restore(bytes.NewReader(snapshotOf(t, ahead))); err != nil {
			t.Fatal(err)
		}
		if !called(waits) || called(busy) {
			t.Errorf("%s: who waits was not called, or who does not was", c.name)
		}
		for w, want := range map[*Watcher]string{waits: c.want, busy: c.busy} {
			all, err := drain(w, 2)
			got := show(all)
			if gone, ok := errors.AsType[*CompactedError](err); ok && gone.Oldest == c.compact {
				got += "compacted"
			}
			if got != want {
				t.Errorf("%s: got %s, %v, want %s", c.name, got, err, want)
			}
		}
	}
}

// Who is called begins with what it is called for.
func TestCalledWatcherDoesNotLookAtTheRest(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"))
	w := watch(t, m, WatchOptions{Prefixes: list("a"), FromNow: true})
	drained(t, w)
	for range 2 * watchPage {
		apply(t, m, put("b", "1"))
	}
	if called(w) {
		t.Fatal("called for what was there before it")
	}
	apply(t, m, put("a", "2"), put("b", "2"))
	var page [watchPage]event
	if n, whole := w.read(&page, len(page)); n != 2 || !whole || string(page[0].it.kv) != "a" {
		t.Fatalf("looks at %d events", n)
	}
}

// A snapshot of the same store brings copies; positions hold across it at any
// event.
func TestWatchPositionsOutlastItems(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"), put("b", "1"), put("a", "2"), put("c", "1"), encodeDeleteRange(nil, nil), put("a", "3"))
	whole, err := drain(watch(t, m, WatchOptions{}), 100)
	if err != nil {
		t.Fatal(err)
	}
	for taken := range whole {
		for size := 1; size < 4; size++ {
			m := restored(t, snapshotOf(t, m))
			w := watch(t, m, WatchOptions{})
			got := []Event{}
			for len(got) < taken {
				some, err := w.Next(t.Context(), make([]Event, min(size, taken-len(got))))
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, some...)
			}
			again := restored(t, snapshotOf(t, m))
			apply(t, again, put("z", "1"))
			if err := m.Restore(bytes.NewReader(snapshotOf(t, again))); err != nil {
				t.Fatal(err)
			}
			rest, err := drain(w, size)
			if want := show(whole) + " 7+z:1."; err != nil || show(append(got, rest...)) != want {
				t.Fatalf("snapshot after %d events: %s, %v, want %s", taken, show(got), err, want)
			}
		}
	}
}

func TestNextWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := NewMachine()
		type answer struct {
			events string
			err    error
		}
		answers := make(chan answer, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		w := watch(t, m, WatchOptions{Prefixes: list("a/")})
		next := func() {
			events, err := w.Next(ctx, make([]Event, 8))
			answers <- answer{show(events), err}
		}
		waits := func(what string) {
			t.Helper()
			synctest.Wait()
			if len(answers) > 0 {
				t.Fatalf("%s: %+v", what, <-answers)
			}
		}
		go next()
		waits("nothing happened")
		apply(t, m, put("a", "1"), del("b"), put("a0", "1"))
		waits("others were written")
		apply(t, m, put("a/1", "1"))
		if got := <-answers; got.err != nil || got.events != "3+a/1:1." {
			t.Fatalf("got %+v", got)
		}
		go next()
		waits("all was returned")
		cancel()
		if got := <-answers; got.err != context.Canceled {
			t.Fatalf("got %+v", got)
		}
		// What came meanwhile waits for who asks again.
		apply(t, m, del("a/1"))
		if w.Progress() != 3 {
			t.Fatalf("progress %d", w.Progress())
		}
		if _, err := w.Next(ctx, make([]Event, 8)); err != context.Canceled {
			t.Fatal(err)
		}
		ctx = t.Context()
		next()
		if got := <-answers; got.err != nil || got.events != "4-a/1(1)." {
			t.Fatalf("got %+v", got)
		}
		w.Close()
		w.Close()
		if _, err := w.Next(ctx, make([]Event, 8)); err == nil || errors.Is(err, ErrCompacted) || m.Watchers() != 0 {
			t.Fatalf("%v with %d watchers", err, m.Watchers())
		}
	})
}

// A key knows when it changed, so that who watches it need not look through all.
func TestWatchOfKeysSkips(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("often", "0"), put("seldom", "0"), put("gone", "0"))
	for i := range 5 * watchPage {
		apply(t, m, put("often", "x"))
		if i == 2*watchPage {
			apply(t, m, put("seldom", "1"), del("gone"), put("seldom", "2"))
		}
	}
	at := uint64(2*watchPage + 5) // of the put of seldom
	for _, c := range []struct {
		keys        string
		since, want uint64
	}{
		{"seldom", 3, at - 1},
		{"gone", 3, at},
		{"gone seldom", 3, at - 1},
		{"seldom", at, at + 1},
		{"seldom", at + 2, m.Revision()},
		{"never", 0, m.Revision()},
		{"never seldom", 0, 1},
		{"often", 3, 3},
		{"seldom often", 3, 3},
		{"never", m.Revision() - watchPage + 1, m.Revision() - watchPage + 1}, // near enough
	} {
		var page [watchPage]event
		w := watch(t, m, WatchOptions{Keys: list(c.keys), Since: c.since})
		n, whole := w.read(&page, len(page))
		if w.revision != c.want || whole != (n < len(page)) || n > 0 && page[0].revision != c.want+1 || n == 0 && c.want != m.Revision() {
			t.Errorf("%s since %d: went to %d, want %d; %d events from %d", c.keys, c.since, w.revision, c.want, n, page[0].revision)
		}
	}
	if got := drained(t, watch(t, m, WatchOptions{Keys: list("seldom gone")})); got !=
		fmt.Sprintf("2+seldom:0. 3+gone:0. %d=seldom:1(0). %d-gone(0). %d=seldom:2(1).", at, at+1, at+2) {
		t.Error(got)
	}
}

func TestEventsAfter(t *testing.T) {
	m := NewMachine()
	for i := range 40 {
		apply(t, m, put("a", "1"), put("b", "1"), put(fmt.Sprint(i), "1"), encodeDeleteRange([]byte("a"), nil))
	}
	apply(t, m, encodeCompact(30))
	ev := &m.state.events
	for revision := uint64(28); revision < 163; revision++ {
		for _, key := range []string{"", "0", "a", "aa", "b", "c"} {
			want := 0
			for i := range ev.n {
				e := ev.at(i)
				if e.revision < revision || e.revision == revision && (key == "" || string(e.it.kv) <= key) {
					want++
				}
			}
			var k []byte
			if key != "" {
				k = []byte(key)
			}
			if got := ev.after(revision, k); got != want {
				t.Fatalf("after %q of %d: got %d, want %d", key, revision, got, want)
			}
		}
	}
}

func TestWatchFilter(t *testing.T) {
	for _, c := range []struct{ keys, prefixes, wantKeys, wantPrefixes string }{
		{"", "a ab abc b", "", "a b"},
		{"c a b a", "", "a b c", ""},
		{"a ab b ba c", "ab ba", "a b c", "ab ba"},
		{"a-b a/ a0", "a a/ a-", "", "a"},
		{"x", "a0 a/x a/ a/y a", "x", "a"},
	} {
		f := newWatchFilter(WatchOptions{Keys: list(c.keys), Prefixes: list(c.prefixes)})
		got := fmt.Sprintf("%s, %s", bytes.Join(f.keys, []byte(" ")), bytes.Join(f.prefixes, []byte(" ")))
		if got != c.wantKeys+", "+c.wantPrefixes {
			t.Errorf("keys %s, prefixes %s: got %s", c.keys, c.prefixes, got)
		}
	}
	o := WatchOptions{Keys: list("k"), Prefixes: list("p")}
	f := newWatchFilter(o)
	o.Keys[0][0], o.Prefixes[0][0] = 'x', 'x'
	if !slices.EqualFunc(f.keys, list("k"), bytes.Equal) || !slices.EqualFunc(f.prefixes, list("p"), bytes.Equal) {
		t.Error("the filter is in the caller's bytes")
	}
	if got := fmt.Sprint(EventPut, EventDelete, EventExpire, EventType(0), EventType(9)); got != "put delete expire event type 0 event type 9" {
		t.Error(got)
	}
}
