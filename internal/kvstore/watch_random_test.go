package kvstore

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is the history of all events, with the plainest of stores to make them.
type recorder struct {
	now      map[string]Item
	revision uint64
	events   []Event
}

func (rec *recorder) write(key, value string) {
	rec.revision++
	it := Item{Key: []byte(key), Value: []byte(value), CreateRevision: rec.revision, ModRevision: rec.revision, Version: 1}
	e := Event{Type: EventPut}
	if old, ok := rec.now[key]; ok {
		it.CreateRevision, it.Version = old.CreateRevision, old.Version+1
		e.Prev = &old
	}
	e.Item = it
	rec.now[key] = it
	rec.events = append(rec.events, e)
}

// remove deletes what is there of keys, which are in order, in one revision.
func (rec *recorder) remove(keys ...string) {
	raised := false
	for _, key := range keys {
		old, ok := rec.now[key]
		if !ok {
			continue
		}
		if !raised {
			rec.revision++
			raised = true
		}
		delete(rec.now, key)
		rec.events = append(rec.events, Event{Type: EventDelete, Item: Item{Key: []byte(key), ModRevision: rec.revision}, Prev: &old})
	}
}

func (rec *recorder) step(r *rand.Rand, keys int) []byte {
	key := fmt.Sprintf("k/%03d", r.IntN(keys))
	switch n := r.IntN(100); {
	case n < 3:
		start, end := key[:3+r.IntN(3)], fmt.Sprintf("k/%03d", r.IntN(keys))
		in := slices.Sorted(maps.Keys(rec.now))
		rec.remove(slices.DeleteFunc(in, func(k string) bool { return k < start || k >= end })...)
		return encodeDeleteRange([]byte(start), []byte(end))
	case n < 25:
		rec.remove(key)
		return del(key)
	}
	value := fmt.Sprint(rec.revision)
	rec.write(key, value)
	return put(key, value)
}

// watched are the events that a watcher of everything there ever was gets.
func (rec *recorder) watched(o WatchOptions) []Event {
	var all []Event
	for i := range rec.events {
		e := &rec.events[i]
		if !wanted(o, e) {
			continue
		}
		if n := len(all); n > 0 {
			all[n-1].Last = all[n-1].ModRevision != e.ModRevision
		}
		all = append(all, *e)
		all[len(all)-1].Last = true
	}
	return all
}

func wanted(o WatchOptions, e *Event) bool {
	is := func(key []byte) bool { return bytes.Equal(e.Key, key) }
	begins := func(prefix []byte) bool { return strings.HasPrefix(string(e.Key), string(prefix)) }
	return (len(o.Types) == 0 || slices.Contains(o.Types, e.Type)) &&
		(len(o.Keys)+len(o.Prefixes) == 0 || slices.ContainsFunc(o.Keys, is) || slices.ContainsFunc(o.Prefixes, begins))
}

// between returns those of events above since and up to upTo.
func between(events []Event, since, upTo uint64) []Event {
	return events[before(events, since+1):before(events, upTo+1)]
}

// before returns how many of events are below revision.
func before(events []Event, revision uint64) int {
	return sort.Search(len(events), func(i int) bool { return events[i].ModRevision >= revision })
}

func sameEvent(a, b *Event) bool {
	return a.Type == b.Type && a.Last == b.Last && sameItem(&a.Item, &b.Item) && sameItem(a.Prev, b.Prev)
}

// sameEvents tells the first difference.
func sameEvents(tb testing.TB, name string, got, want []Event) {
	tb.Helper()
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			tb.Fatalf("%s: %d events, missing %s", name, len(got), show(want[i:i+1]))
		case i >= len(want):
			tb.Fatalf("%s: %d events too many, the first is %s", name, len(got)-len(want), show(got[i:i+1]))
		case !sameEvent(&got[i], &want[i]):
			tb.Fatalf("%s: event %d is %s, want %s", name, i, show(got[i:i+1]), show(want[i:i+1]))
		}
	}
}

// show writes one event as "5+k=v(was)." with + for a creation, = for a later put, -
// for a delete, ! for an expiry and a full stop for the last of its revision.
func show(events []Event) string {
	var b strings.Builder
	for i, e := range events {
		sign := map[EventType]string{EventPut: "=", EventDelete: "-", EventExpire: "!"}[e.Type]
		if e.Version == 1 {
			sign = "+"
		}
		fmt.Fprintf(&b, "%s%d%s%s", strings.Repeat(" ", min(i, 1)), e.ModRevision, sign, e.Key)
		if e.Type == EventPut {
			fmt.Fprintf(&b, ":%s", e.Value)
		}
		if e.Prev != nil {
			fmt.Fprintf(&b, "(%s)", e.Prev.Value)
		}
		if e.Last {
			b.WriteByte('.')
		}
	}
	return b.String()
}

// stretch is what one watcher got from when it was opened to when it ended.
type stretch struct {
	since, until uint64 // until is its Progress at the end
	events       []Event
	told         []progress
}

type progress struct {
	events   int // returned before
	revision uint64
}

var watchSeed = flag.Uint64("watch.seed", 0, "run only TestWatchersAgainstHistory of this seed")

// TestWatchersAgainstHistory lets 16 watchers with random filters, of which some
// are slow and all resume now and then, see a random history with compactions and
// installed snapshots, and compares what each got with the whole of it.
func TestWatchersAgainstHistory(t *testing.T) {
	seeds := []uint64{1, 2, 3, rand.Uint64()}
	if *watchSeed != 0 {
		seeds = []uint64{*watchSeed}
	}
	for _, seed := range seeds {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			testWatchers(t, seed)
		})
	}
}

func testWatchers(t *testing.T, seed uint64) {
	const watchers = 16
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	m := NewMachine()
	rec := &recorder{now: map[string]Item{}}
	options := make([]WatchOptions, watchers)
	got := make([][]stretch, watchers)
	var resets, resumes [watchers]int
	var wg sync.WaitGroup
	for i := range watchers {
		r := rand.New(rand.NewPCG(seed, uint64(i+1)))
		options[i] = randomWatch(r)
		wg.Go(func() {
			got[i], resets[i], resumes[i] = follow(ctx, t, r, m, options[i])
		})
	}
	r := rand.New(rand.NewPCG(seed, 0))
	history(t, r, m, rec)
	wg.Wait()
	if t.Failed() {
		return
	}
	reset, resumed := 0, 0
	for i, stretches := range got {
		all := rec.watched(options[i])
		for j, s := range stretches {
			checkStretch(t, fmt.Sprintf("watcher %d of %q %q %v, stretch %d from %d to %d",
				i, options[i].Keys, options[i].Prefixes, options[i].Types, j, s.since, s.until), all, s)
		}
		reset, resumed = reset+resets[i], resumed+resumes[i]
	}
	if n := m.Watchers(); n != 0 || m.watches.groups != 0 || len(m.watches.keys)+len(m.watches.prefixes) != 0 {
		t.Errorf("%d watchers and %d groups are left", n, m.watches.groups)
	}
	t.Logf("%d events, %d resets, %d resumed", len(rec.events), reset, resumed)
}

func randomWatch(r *rand.Rand) WatchOptions {
	o := WatchOptions{Stale: true, Prev: true}
	if r.IntN(4) == 0 {
		return o
	}
	for range r.IntN(4) {
		o.Keys = append(o.Keys, fmt.Appendf(nil, "k/%03d", r.IntN(40)))
	}
	for range r.IntN(3) {
		o.Prefixes = append(o.Prefixes, fmt.Appendf(nil, "k/%03d", r.IntN(100))[:3+r.IntN(3)])
	}
	o.Keys = append(o.Keys, []byte("end"))
	if r.IntN(3) == 0 {
		o.Types = []EventType{EventPut}
	}
	return o
}

// history makes a random one on m. Its last event is a put of "end".
func history(t *testing.T, r *rand.Rand, m *Machine, rec *recorder) {
	ahead := NewMachine() // m is sometimes brought to where this is by a snapshot
	const entries = 1_500
	keys := 1 + r.IntN(300)
	for index := uint64(1); index <= entries; index++ {
		var cmds [][]byte
		for range r.IntN(12) {
			if r.IntN(600) == 0 {
				compacted := ahead.Compacted()
				cmds = append(cmds, encodeCompact(compacted+uint64(r.Int64N(int64(rec.revision-compacted)+1))))
			}
			cmds = append(cmds, rec.step(r, keys))
		}
		if index == entries {
			rec.write("end", "x")
			cmds = append(cmds, put("end", "x"))
		}
		if _, err := ahead.Apply(index, 0, cmds); err != nil {
			t.Error(err)
			return
		}
		at, _ := m.Hash()
		switch {
		case at == index-1 && (r.IntN(100) > 0 || index == entries):
			if _, err := m.Apply(index, 0, cmds); err != nil {
				t.Error(err)
				return
			}
		case r.IntN(10) == 0 || index == entries:
			if err := m.Restore(bytes.NewReader(snapshotOf(t, ahead))); err != nil {
				t.Error(err)
				return
			}
		}
		if r.IntN(4) == 0 {
			runtime.Gosched()
		}
	}
}

// follow watches until "end" came, and returns all it got.
func follow(ctx context.Context, t *testing.T, r *rand.Rand, m *Machine, o WatchOptions) (all []stretch, resets, resumes int) {
	pause := 1 << r.IntN(9) // how often it looks away after an event
	for {
		w, err := m.watch(o)
		if gone, ok := errors.AsType[*CompactedError](err); ok {
			o.Since = gone.Oldest
			continue
		} else if err != nil {
			t.Error(err)
			return
		}
		s := stretch{since: o.Since}
		buf := make([]Event, 1+r.IntN(20))
		for end := false; err == nil && !end && r.IntN(300) > 0; {
			if r.IntN(5) == 0 {
				s.told = append(s.told, progress{len(s.events), w.Progress()})
			}
			brief, cancel := context.WithTimeout(ctx, time.Duration(r.IntN(2_000))*time.Microsecond)
			var events []Event
			events, err = w.Next(brief, buf)
			cancel()
			if errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil {
				err = nil
				continue
			}
			s.events = append(s.events, events...)
			end = len(events) > 0 && string(events[len(events)-1].Key) == "end"
			if r.IntN(10) == 0 {
				for range pause {
					runtime.Gosched()
				}
			}
		}
		s.until = w.Progress()
		all = append(all, s)
		w.Close()
		if got := w.Progress(); got < s.until || w.Progress() != got {
			t.Errorf("progress %d before it was closed, %d and %d after it", s.until, got, w.Progress())
		}
		o.Since = s.until
		gone, ok := errors.AsType[*CompactedError](err)
		switch {
		case ok && gone.Oldest > s.until:
			o.Since = gone.Oldest
			resets++
		case err != nil:
			t.Errorf("at %d: %v", s.until, err)
			return
		case len(s.events) > 0 && string(s.events[len(s.events)-1].Key) == "end":
			return
		default:
			// A new watcher goes on behind the last id that a client knows.
			if i := lastOf(s.events); r.IntN(2) == 0 && i >= 0 {
				o.Since = s.events[i].ModRevision
			}
			resumes++
		}
		if i := lastOf(s.events); i >= 0 && s.events[i].ModRevision > s.until {
			t.Errorf("progress %d, and all of %d returned", s.until, s.events[i].ModRevision)
		}
	}
}

func lastOf(events []Event) int {
	for i := len(events) - 1; i >= 0; i-- {
		if events[i].Last {
			return i
		}
	}
	return -1
}

// checkStretch compares s with all that its watcher could have got.
func checkStretch(t *testing.T, name string, all []Event, s stretch) {
	t.Helper()
	// What came of the revision after the progress, its Last did not.
	whole := before(s.events, s.until+1)
	sameEvents(t, name, s.events[:whole], between(all, s.since, s.until))
	if part := s.events[whole:]; len(part) > 0 {
		next := between(all, s.until, part[0].ModRevision)
		if len(part) >= len(next) {
			t.Fatalf("%s: %d events above the progress, of %d there are", name, len(part), len(next))
		}
		sameEvents(t, name+", the part above", part, next[:len(part)])
	}
	last := s.since
	for _, p := range s.told {
		if p.revision < last || len(between(all, s.since, p.revision)) > p.events {
			t.Fatalf("%s: progress %d after %d, with %d events returned", name, p.revision, last, p.events)
		}
		last = p.revision
	}
}
