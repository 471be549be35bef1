package test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestWatchFaults has 16 watchers on all members while members are killed, and
// frozen for so long that they come back by a snapshot. Watchers are cut at
// random and resume from their last id, at any member. In the end each must have
// received exactly what the replayed history has for it: nothing else (filtered),
// in order, once, whole revisions, all of it, with the right previous values.
func TestWatchFaults(t *testing.T) {
	seconds := envNumber(t, "KVD_WATCH_SECONDS", 10)
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	c := startCluster(t, 3, "--tick", "50ms", "--snapshot-entries", "100", "--history-revisions", "1000000")

	ctx, cancel := context.WithCancel(t.Context())
	var watching, writing sync.WaitGroup
	defer watching.Wait()
	defer cancel()
	var watchers []*watcher
	for i := range 16 {
		w := newWatcher(t, c, i, seed)
		watchers = append(watchers, w)
		watching.Go(func() { w.run(ctx) })
	}
	done := make(chan struct{})
	end := time.AfterFunc(time.Duration(seconds)*time.Second, sync.OnceFunc(func() { close(done) }))
	defer writing.Wait()
	defer func() {
		if end.Stop() {
			close(done)
		}
	}()
	var writes atomic.Int64
	for i := range 8 {
		w := &writer{t: t, c: c, rng: rand.New(rand.NewPCG(seed, uint64(200+i))), id: i, writes: &writes}
		writing.Go(func() { w.run(done) })
	}
	n := newNemesis(t, c, seed)
	overtaken := 0
	until := untilSnapshot(c, done, &overtaken)
	n.among = append(slices.Clone(faults), until)
	n.deck = []fault{until} // it comes first, and then as often as the others
	n.run(done)
	writing.Wait()
	c.waitReady()
	c.waitApplied(30 * time.Second)

	// Last writes tell every watcher that there is nothing more for it.
	leader := c.leader()
	var final []watchEvent
	for _, key := range []string{"app/3", "app/5", "app/deep/end", "other/end", "app/end"} {
		final = append(final, watchEvent{Type: "put", Key: key, ModRevision: leader.put(key, "end")})
	}
	r := leader.call(http.MethodDelete, "/v1/kv?prefix=app/end", nil)
	last := final[len(final)-1].ModRevision + 1
	final = append(final, watchEvent{Type: "delete", Key: "app/end", ModRevision: last})
	if err := r.want(http.StatusOK); err != nil {
		t.Fatal(err)
	}
	for _, w := range watchers {
		goal := uint64(0)
		for _, ev := range final {
			if w.matches(ev) {
				goal = ev.ModRevision
			}
		}
		waitFor(t, 20*time.Second, w.name+" sees the end", func() error {
			if got := w.upTo.Load(); got < goal {
				return fmt.Errorf("it is at %d of %d", got, goal)
			}
			return nil
		})
	}
	cancel()
	watching.Wait()

	all := replay(t, c.members[0], last)
	checkReplay(t, c, all, seed)
	cuts, got := 0, 0
	for _, w := range watchers {
		// TTLs may have ended since.
		w.got = slices.DeleteFunc(w.got, func(ev watchEvent) bool { return ev.ModRevision > last })
		w.check(t, all)
		cuts += w.cuts
		got += len(w.got)
	}
	t.Logf("%d writes, %d events in the history; %d events over %d resumptions to 16 watchers; faults %v", writes.Load(), len(all), got, cuts, n.count)
	if overtaken == 0 || cuts < 16 || len(all) < int(seconds)*50 {
		t.Error("that is too little to show anything")
	}
}

// untilSnapshot freezes a follower until the leader's log has gone past it, and counts
// how often it has. When done is closed nobody writes any more, and the log stays.
func untilSnapshot(c *cluster, done <-chan struct{}, overtaken *int) fault {
	return fault{
		name: "SIGSTOP a follower until it needs a snapshot", victims: oneFollower, quorum: true,
		hurt: func(m *member) {
			m.t.Helper()
			before := m.mustStatus().AppliedIndex
			freeze(m)
			others := slices.DeleteFunc(slices.Clone(c.members), func(o *member) bool { return o == m })
			waitFor(m.t, 30*time.Second, "the log to go past "+m.name(), func() error {
				l, err := c.findLeader(others)
				var s status
				if err == nil {
					s, err = l.status()
				}
				switch {
				case err == nil && s.FirstIndex > before+1:
					*overtaken++
					return nil
				case !pause(done, time.Millisecond):
					return nil
				}
				return fmt.Errorf("it begins at %d, %s is at %d: %v", s.FirstIndex, m.name(), before, err)
			})
		},
		heal: (*member).cont,
	}
}

// writer changes keys in all ways that there are.
type writer struct {
	t      *testing.T
	c      *cluster
	rng    *rand.Rand
	id, n  int
	writes *atomic.Int64
}

func (w *writer) run(done <-chan struct{}) {
	for pause(done, time.Duration(w.rng.IntN(4))*time.Millisecond) {
		w.n++
		key := fmt.Sprintf("%s/%d", []string{"app", "app/deep", "other"}[w.rng.IntN(3)], w.rng.IntN(8))
		value := fmt.Sprintf("%d.%d", w.id, w.n)
		method, path, body := http.MethodPut, "/v1/kv/"+key, value
		switch w.rng.IntN(10) {
		case 0, 1:
			method, body = http.MethodDelete, ""
		case 2:
			path += "?ttl=1s"
		case 3, 4:
			method, path = http.MethodPost, "/v1/txn"
			body = fmt.Sprintf(`{"then":[{"put":{"key":"app/%d","value":%q}},{"put":{"key":"app/deep/%d","value":%q}},{"put":{"key":"other/%d","value":%q}}]}`,
				w.rng.IntN(8), value, w.rng.IntN(8), value, w.rng.IntN(8), value)
		case 5:
			if w.rng.IntN(10) == 0 {
				method, path, body = http.MethodDelete, "/v1/kv?prefix=app/deep/", ""
			}
		}
		ctx, cancel := context.WithTimeout(context.Background(), 150*time.Millisecond) // one may be frozen
		r, err := send(ctx, method, w.c.members[w.rng.IntN(3)].clientURL+path, []byte(body))
		cancel()
		if err != nil {
			continue
		}
		if r.status < 500 && r.status != http.StatusTooManyRequests {
			w.writes.Add(1)
		}
		if r.status >= 400 && r.status < 500 && r.status != http.StatusTooManyRequests {
			w.t.Errorf("%s %s: %d %s", method, path, r.status, r.body)
		}
	}
}

// watcher is one client that watches, over many streams.
type watcher struct {
	t       *testing.T
	c       *cluster
	name    string
	rng     *rand.Rand
	query   string
	matches func(ev watchEvent) bool // of the whole history

	got   []watchEvent // whole revisions, in order of arrival
	upTo  atomic.Uint64
	since uint64 // last id
	cuts  int
}

func newWatcher(t *testing.T, c *cluster, i int, seed uint64) *watcher {
	w := &watcher{t: t, c: c, name: fmt.Sprint("watcher ", i), rng: rand.New(rand.NewPCG(seed, uint64(300+i)))}
	key, prefixes, types := "", []string(nil), ""
	switch i % 8 {
	case 0: // everything
	case 1:
		prefixes = []string{"app/"}
	case 2:
		prefixes = []string{"app/deep/"}
	case 3:
		key = "app/3"
	case 4:
		key, prefixes = "app/5", []string{"other/", "app/deep/1"}
	case 5:
		types = "delete,expire"
	case 6:
		prefixes, types = []string{"app/"}, "put"
	case 7:
		prefixes, types = []string{"nothing/"}, "" // only progress
	}
	q := []string{"prev=true"}
	for _, p := range prefixes {
		q = append(q, "prefix="+p)
	}
	if key != "" {
		q = append(q, "key="+key)
	}
	if types != "" {
		q = append(q, "events="+types)
	}
	w.query = strings.Join(q, "&")
	w.matches = func(ev watchEvent) bool {
		if types != "" && !slices.Contains(strings.Split(types, ","), ev.Type) {
			return false
		}
		return key == "" && prefixes == nil || ev.Key == key ||
			slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(ev.Key, p) })
	}
	return w
}

func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		w.stream(ctx)
		pause(ctx.Done(), time.Duration(w.rng.IntN(50))*time.Millisecond)
	}
}

// stream reads one stream until it ends, or is cut for the fun of it. What came of
// a revision that is not whole is thrown away: it comes again.
func (w *watcher) stream(ctx context.Context) {
	life, cancel := context.WithTimeout(ctx, time.Duration(100+w.rng.IntN(4000))*time.Millisecond)
	defer cancel()
	m := w.c.members[w.rng.IntN(3)]
	s, err := openWatch(life, m, fmt.Sprintf("%s&since=%d", w.query, w.since))
	if err != nil {
		return
	}
	defer s.close()
	w.cuts++
	var part []watchEvent // of a revision that is not whole yet
	for {
		ev, err := s.next()
		if err != nil {
			return
		}
		switch ev.Type {
		case "progress":
			if len(part) > 0 {
				w.t.Errorf("%s: progress in the middle of revision %d", w.name, part[0].ModRevision)
			}
			if ev.ID != ev.Revision || ev.ID < w.since {
				w.t.Errorf("%s: progress %+v after id %d", w.name, ev, w.since)
			}
		case "reset":
			w.t.Errorf("%s: reset, and the history is there: %+v", w.name, ev)
			return
		default:
			if len(part) > 0 && part[0].ModRevision != ev.ModRevision {
				w.t.Errorf("%s: revision %d begins before %d had an id", w.name, ev.ModRevision, part[0].ModRevision)
			}
			part = append(part, ev)
			if ev.ID != 0 && ev.ID != ev.ModRevision {
				w.t.Errorf("%s: id %d at revision %d", w.name, ev.ID, ev.ModRevision)
			}
		}
		if ev.ID != 0 {
			w.got = append(w.got, part...)
			part = part[:0]
			w.since = ev.ID
			w.upTo.Store(ev.ID)
		}
	}
}

// check compares what the watcher got with what the history has for it.
func (w *watcher) check(t *testing.T, all []watchEvent) {
	t.Helper()
	var want []watchEvent
	for _, ev := range all {
		if w.matches(ev) {
			want = append(want, ev)
		}
	}
	for i := range max(len(want), len(w.got)) {
		switch {
		case i >= len(want):
			t.Errorf("%s (%s): one too many: %v", w.name, w.query, describe(w.got[i]))
			return
		case i >= len(w.got):
			t.Errorf("%s (%s): missed the last %d, first %v", w.name, w.query, len(want)-i, describe(want[i]))
			return
		case describe(w.got[i]) != describe(want[i]):
			t.Errorf("%s (%s): event %d of %d: got %s, want %s", w.name, w.query, i, len(want), describe(w.got[i]), describe(want[i]))
			return
		}
	}
}

// describe is all of an event but its id, which depends on the filter.
func describe(ev watchEvent) string {
	s := fmt.Sprintf("%s %s=%s at %d, created %d, version %d", ev.Type, ev.Key, ev.Value, ev.ModRevision, ev.CreateRevision, ev.Version)
	if ev.Prev != nil {
		s += fmt.Sprintf(", was %s at %d, version %d", ev.Prev.Value, ev.Prev.ModRevision, ev.Prev.Version)
	}
	return s
}

// replay reads the whole history up to a revision from one quiet member.
func replay(t *testing.T, m *member, last uint64) []watchEvent {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s, err := openWatch(ctx, m, "since=0&prev=true")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	var all []watchEvent
	for {
		ev, err := s.next()
		if err != nil {
			t.Fatal(err)
		}
		if ev.Type != "progress" {
			all = append(all, ev)
		}
		if ev.ID >= last {
			return all
		}
	}
}

// checkReplay holds the history against what was: the state that follows from the
// events is what members answer to reads at their revisions, and each event's
// previous value is the one that the events before it made.
func checkReplay(t *testing.T, c *cluster, all []watchEvent, seed uint64) {
	t.Helper()
	rng := rand.New(rand.NewPCG(seed, 400))
	state := map[string]watchEvent{}
	look := max(1, len(all)/40)
	for i, ev := range all {
		was, there := state[ev.Key]
		if there != (ev.Prev != nil) || there && (ev.Prev.Value != was.Value || ev.Prev.ModRevision != was.ModRevision) {
			t.Errorf("%s: the value before was %+v", describe(ev), was)
		}
		if ev.Type == "put" {
			want := watchEvent{CreateRevision: ev.ModRevision, Version: 1}
			if there {
				want.CreateRevision, want.Version = was.CreateRevision, was.Version+1
			}
			if ev.CreateRevision != want.CreateRevision || ev.Version != want.Version {
				t.Errorf("%s: after %s", describe(ev), describe(was))
			}
			state[ev.Key] = ev
		} else {
			delete(state, ev.Key)
		}
		whole := i+1 == len(all) || all[i+1].ModRevision != ev.ModRevision
		if !whole || rng.IntN(look) > 0 {
			continue
		}
		m := c.members[rng.IntN(3)]
		l := m.list(fmt.Sprintf("limit=10000&revision=%d", ev.ModRevision))
		if len(l.Items) != len(state) {
			t.Errorf("revision %d: %s has %d keys, the events make %d", ev.ModRevision, m.name(), len(l.Items), len(state))
		}
		for _, it := range l.Items {
			if s := state[it.Key]; s.Value != it.Value || s.ModRevision != it.ModRevision {
				t.Errorf("revision %d: %s has %s=%s at %d, the events make %s", ev.ModRevision, m.name(), it.Key, it.Value, it.ModRevision, describe(s))
			}
		}
	}
}
