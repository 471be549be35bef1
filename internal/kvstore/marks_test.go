package kvstore

import (
	"testing"
	"time"
)

func TestMarks(t *testing.T) {
	ks := marks{{3, 1 * time.Second}, {7, 2 * time.Second}, {8, 5 * time.Second}}
	for _, c := range []struct {
		clock time.Duration
		want  uint64
	}{{0, 0}, {1, 0}, {time.Second, 2}, {1999 * time.Millisecond, 2}, {2 * time.Second, 6}, {5 * time.Second, 7}, {time.Hour, 7}} {
		if got := ks.before(c.clock); got != c.want {
			t.Errorf("before %s: revision %d, want %d", c.clock, got, c.want)
		}
	}
	for _, c := range []struct {
		compacted uint64
		want      int
	}{{0, 0}, {1, 0}, {2, 1}, {5, 1}, {6, 2}, {7, 2}, {100, 2}} {
		if got := ks.useless(c.compacted); got != c.want {
			t.Errorf("compacted to %d: %d are useless, want %d", c.compacted, got, c.want)
		}
	}
	if ks.due(5999*time.Millisecond) || !ks.due(6*time.Second) || !(marks{}).due(0) || (marks{}).useless(9) != 0 {
		t.Error("a mark is due when the last is a second old or there is none")
	}
}

func TestEventsIndex(t *testing.T) {
	var ev events
	var all []*item
	for i := range 2_000 {
		// Each third revision has changes of three keys.
		revision := uint64(i/5*3 + min(i%5, 2) + 1)
		it := newItem([]byte{byte('a' + i%5)}, nil, untyped)
		it.modRevision = revision
		all = append(all, it)
		ev.add(it)
		if i%7 == 0 {
			ev.drop(1)
		}
	}
	gone := len(all) - ev.n
	for i, it := range all {
		want := max(i-gone, -1)
		for _, hi := range []int{ev.n, min(ev.n, max(0, want+1)), min(ev.n, max(0, want+50))} {
			if got := ev.index(it, hi); got != want {
				t.Fatalf("event %d, looked for below %d: got %d, want %d", i, hi, got, want)
			}
		}
		upTo := 0
		for upTo < ev.n && all[gone+upTo].modRevision <= it.modRevision {
			upTo++
		}
		if i%50 == 0 && ev.upTo(it.modRevision) != upTo {
			t.Fatalf("%d events up to revision %d, want %d", ev.upTo(it.modRevision), it.modRevision, upTo)
		}
	}
	ev.drop(ev.n)
	if ev.n != 0 || ev.index(all[0], 0) != -1 || ev.upTo(1<<60) != 0 {
		t.Fatal("something is left")
	}
	ev.add(all[0])
	if ev.index(all[0], 1) != 0 {
		t.Fatal("an event that was added to an empty log is not found")
	}
}
