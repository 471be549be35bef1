package check

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kvd/test/chaos/history"
)

// world is a run that was invented: what clients did, and the log that would have
// come of it. Time goes by in milliseconds, the same for clients and log.
type world struct {
	t   *testing.T
	m   *model // applies what is asked, to know the answers
	log *Log
	h   *history.History
	now time.Duration
	ops map[string]*history.Op // those with a name
	cmd map[string]*Command
}

func newWorld(t *testing.T) *world {
	l := &Log{}
	return &world{t: t, m: newModel(l), log: l, h: &history.History{}, now: time.Second, ops: map[string]*history.Op{}, cmd: map[string]*Command{}}
}

// command puts a command into the log, and gives it its result.
func (w *world) command(c *Command) *Command {
	w.now += 5 * time.Millisecond
	w.m.clock, w.m.entryIndex = w.now, w.m.entryIndex+1
	if !slices.Contains(w.m.seen, c.Key) {
		w.m.seen = append(w.m.seen, c.Key)
	}
	if c.Txn != nil {
		for _, s := range slices.Concat(c.Txn.Then, c.Txn.Else) {
			if !slices.Contains(w.m.seen, s.Key) {
				w.m.seen = append(w.m.seen, s.Key)
			}
		}
	}
	slices.Sort(w.m.seen)
	if c.Kind == "grant" && c.Result.Lease == "" {
		c.Result.Lease = fmt.Sprintf("%016x", w.m.entryIndex)
	}
	c.Result, _ = w.m.apply(c)
	w.log.Entries = append(w.log.Entries, &Entry{Index: w.m.entryIndex, Term: 1, Kind: "commands", LogClock: Duration(w.now), Commands: []*Command{c}})
	w.log.Start.Commit = w.m.entryIndex
	return c
}

// op adds an operation that is under way from a little before now to a little
// after, while during runs.
func (w *world) op(name string, o *history.Op, during func()) *history.Op {
	o.ID, o.Client, o.Start = int64(len(w.h.Ops)+1), 1, int64(w.now)
	if during != nil {
		during()
	}
	w.now += 5 * time.Millisecond
	o.End = int64(w.now)
	w.now += 10 * time.Millisecond
	if o.Outcome == "" {
		o.Outcome = history.OK
	}
	if o.Outcome == history.OK && o.Status == 0 {
		o.Status = 200
	}
	w.h.Ops = append(w.h.Ops, o)
	w.ops[name] = o
	return o
}

// write sends one operation to the log and takes its answer from there.
func (w *world) write(name string, o *history.Op) *history.Op {
	return w.op(name, o, func() {
		c := &Command{Kind: "put", Key: o.Key, Value: o.Value, If: o.If, IfRevision: o.OverRevision, TTL: o.TTL, Lease: o.Lease,
			IdempotencyKey: o.IdempotencyKey, Fingerprint: signOp(o)}
		switch o.Kind {
		case history.Increment, history.Put:
		case history.DeletePrefix:
			c.Kind, c.Key, c.End, c.HasEnd = "delete_range", o.Prefix, prefixEnd(o.Prefix), true
		default:
			c.Kind = string(o.Kind)
		}
		if o.Kind == history.Txn {
			c.Txn = logTxn(o.Txn)
		}
		before := w.m.r.Last
		state := w.replay()
		w.command(c)
		w.cmd[name] = c
		if o.Outcome == history.Unknown {
			return
		}
		r := c.Result
		o.Revision, o.Replayed, o.Deleted = r.Revision, r.Replayed, r.Deleted
		switch r.Code {
		case "created", "replaced", "deleted", "lease granted", "lease kept", "lease revoked":
			o.Hit = true
		case "condition failed":
			o.Status, o.Code = 412, "precondition_failed"
			if r.ModRevision != 0 {
				o.Seen = []history.Item{{Key: o.Key, ModRevision: r.ModRevision, NoValue: true}}
			}
		case "lease not found":
			o.Status, o.Code = 404, "not_found"
		case "transaction applied":
			w.answerTxn(o, *r.Succeeded, before, state)
		}
		if o.Kind == history.Grant {
			o.Lease = r.Lease
		}
	})
}

func logTxn(t *history.TxnOp) *Txn {
	x := &Txn{}
	for _, c := range t.If {
		x.If = append(x.If, compareOf(c))
	}
	for _, s := range t.Then {
		x.Then = append(x.Then, stepOf(s))
	}
	for _, s := range t.Else {
		x.Else = append(x.Else, stepOf(s))
	}
	return x
}

func (w *world) answerTxn(o *history.Op, succeeded bool, before uint64, state *Replay) {
	o.Hit = succeeded
	t := txnCheck{run: &Run{Replay: state}, before: before, after: map[string]*Version{}, mod: o.Revision}
	steps := o.Txn.Then
	if !succeeded {
		steps = o.Txn.Else
	}
	for _, s := range steps {
		switch s.Kind {
		case history.Put:
			s.Created = t.get(s.Key) == nil
		case history.Get:
			s.Seen = items(list(t.get(s.Key)))
		case history.List:
			s.Seen = items(t.list(s.Prefix))
		case history.Delete:
			s.Deleted = uint64(len(list(t.get(s.Key))))
		}
		t.do(&s, nil)
		o.Txn.Results = append(o.Txn.Results, s)
	}
}

func items(vs []*Version) (all []history.Item) {
	for _, v := range vs {
		all = append(all, history.Item{Key: v.Key, Value: v.Value, ModRevision: v.Mod, CreateRevision: v.Create, Version: v.Version, Lease: v.Lease})
	}
	return all
}

// replay is what the log has come to so far.
func (w *world) replay() *Replay { return NewReplay(w.log) }

// read reads a key or a prefix as it is.
func (w *world) read(name string, o *history.Op) *history.Op {
	return w.op(name, o, func() {
		r := w.replay()
		o.Revision, o.Conn = r.Last, 1
		if o.Mode == history.AtRevision {
			o.Revision = o.AtRevision
		}
		if o.Kind == history.Get {
			o.Seen = items(list(r.Get(o.Key, o.Revision)))
		} else {
			o.Seen = items(r.List(o.Prefix, prefixEnd(o.Prefix), o.Revision))
		}
		o.Hit = len(o.Seen) > 0
	})
}

// watch adds a stream that gets all that it asks for, in the order of the log,
// with progress at its start and its end.
func (w *world) watch(open history.Watch) {
	run := NewRun(w.h, w.replay(), Options{})
	open.What = history.Open
	add := func(x history.Watch) {
		x.Watcher, x.Stream, x.At = open.Watcher, open.Stream, int64(w.now)
		w.h.Watches = append(w.h.Watches, &x)
	}
	add(open)
	add(history.Watch{What: history.Progress, ID: open.Since})
	s := newStream(run, &Result{}, &open)
	for e := s.peek(run.Replay.Last); e != nil; e = s.peek(run.Replay.Last) {
		x := history.Watch{What: history.Event, Type: e.v.Type, Item: &history.Item{Key: e.v.Key, ModRevision: e.v.Mod}}
		if e.v.live() {
			x.Item = &items([]*Version{e.v})[0]
		}
		if prev := items(list(run.Replay.Get(e.v.Key, e.v.Mod-1))); open.Prev && len(prev) > 0 {
			x.PrevItem = &prev[0]
		}
		if e.last {
			x.ID = e.v.Mod
		}
		add(x)
		s.want = s.want[1:]
	}
	add(history.Watch{What: history.Progress, ID: run.Replay.Last})
	add(history.Watch{What: history.Closed, Code: "complete"})
}

// goodRun is a run in which a bit of everything happens, and nothing wrong.
func goodRun(t *testing.T) *world {
	w := newWorld(t)
	put := func(name, key, value string, more ...func(*history.Op)) *history.Op {
		o := &history.Op{Kind: history.Put, Key: key, Value: value}
		for _, f := range more {
			f(o)
		}
		return w.write(name, o)
	}
	over := func(revision uint64) func(*history.Op) {
		return func(o *history.Op) { o.If, o.OverRevision = history.IfRevision, revision }
	}
	keyed := func(key string) func(*history.Op) { return func(o *history.Op) { o.IdempotencyKey = key } }
	count := func(o *history.Op) { o.Kind = history.Increment }
	outcome := func(x history.Outcome) func(*history.Op) { return func(o *history.Op) { o.Outcome = x } }

	put("first", "r/a", "1")
	put("swap", "r/a", "2", over(1))
	w.read("get", &history.Op{Kind: history.Get, Key: "r/a"})
	put("refused", "r/a", "3", func(o *history.Op) { o.If = history.Absent })
	put("refused over", "r/a", "4", over(1))
	w.write("delete nothing", &history.Op{Kind: history.Delete, Key: "r/b"})
	put("put b", "r/b", "5")
	w.write("delete", &history.Op{Kind: history.Delete, Key: "r/b"})
	w.read("get nothing", &history.Op{Kind: history.Get, Key: "r/b"})
	put("one", "c/1", "1", count, func(o *history.Op) { o.If = history.Absent }, keyed("k1"))
	put("one again", "c/1", "1", count, func(o *history.Op) { o.If = history.Absent }, keyed("k1"))
	put("two", "c/1", "2", count, over(5), keyed("k2"))
	w.write("txn", &history.Op{Kind: history.Txn, Txn: &history.TxnOp{
		If:   []history.Compare{{Key: "t/a", Target: "exists"}, {Key: "r/a", Target: "value", Op: "eq", Text: "2"}},
		Then: []history.Step{{Kind: history.Put, Key: "t/a", Value: "6"}, {Kind: history.Put, Key: "t/b", Value: "7"}, {Kind: history.Get, Key: "t/a"}},
	}})
	w.write("txn else", &history.Op{Kind: history.Txn, Txn: &history.TxnOp{
		If:   []history.Compare{{Key: "t/a", Target: "exists"}},
		Then: []history.Step{{Kind: history.Put, Key: "t/a", Value: "8"}},
		Else: []history.Step{{Kind: history.List, Prefix: "t/"}, {Kind: history.Delete, Key: "t/none"}},
	}})
	w.write("txn unknown", &history.Op{Kind: history.Txn, Outcome: history.Unknown, Txn: &history.TxnOp{
		If:   []history.Compare{{Key: "t/a", Target: "version", Op: "eq", Number: 1}},
		Then: []history.Step{{Kind: history.Put, Key: "t/a", Value: "9"}, {Kind: history.Put, Key: "t/c", Value: "10"}},
	}})
	w.read("list", &history.Op{Kind: history.List, Prefix: "t/"})
	w.read("stale", &history.Op{Kind: history.Get, Key: "r/a", Mode: history.Stale})
	w.read("past", &history.Op{Kind: history.Get, Key: "r/b", Mode: history.AtRevision, AtRevision: 3})
	put("unknown", "r/u", "11", outcome(history.Unknown))
	w.op("unknown, not done", &history.Op{Kind: history.Put, Key: "r/v", Value: "12", Outcome: history.Unknown}, nil)
	w.op("failed", &history.Op{Kind: history.Put, Key: "r/w", Value: "13", Outcome: history.Failed, Status: 503}, nil)
	grant := w.write("grant", &history.Op{Kind: history.Grant, TTL: 2 * time.Second})
	lease := grant.Lease
	put("leased", "l/1", "14", func(o *history.Op) { o.Lease = lease })
	put("mortal", "l/own", "15", func(o *history.Op) { o.TTL = time.Second })
	w.now += time.Second / 2
	w.write("keepalive", &history.Op{Kind: history.KeepAlive, Lease: lease})
	w.now += time.Second
	w.command(&Command{Kind: "expire"})
	w.read("expired", &history.Op{Kind: history.Get, Key: "l/own"})
	w.now += 1100 * time.Millisecond
	w.command(&Command{Kind: "expire"})
	w.read("lease ended", &history.Op{Kind: history.Get, Key: "l/1"})
	w.write("keepalive late", &history.Op{Kind: history.KeepAlive, Lease: lease})
	w.write("clear", &history.Op{Kind: history.DeletePrefix, Prefix: "t/"})
	put("last", "r/z", "16")

	w.watch(history.Watch{Watcher: 1, Stream: 1, Prev: true})
	w.watch(history.Watch{Watcher: 2, Stream: 1, Prefixes: []string{"r/", "t/"}})
	w.watch(history.Watch{Watcher: 2, Stream: 2, Prefixes: []string{"r/", "t/"}, Since: 8, Resumed: true})
	w.watch(history.Watch{Watcher: 3, Stream: 1, Prefixes: []string{"l/"}, Types: []string{"delete", "expire"}})
	w.h.Hashes = []*history.Hashes{{Final: true, Index: 99, Hashes: map[string]string{"1": "a", "2": "a"}, Members: []uint64{1, 2}}}
	return w
}

// underKey gives a write an idempotency key.
func (w *world) underKey(name string) {
	w.ops[name].IdempotencyKey, w.cmd[name].IdempotencyKey = name, name
}

// check runs all checks.
func (w *world) check() map[string]Result {
	w.t.Helper()
	results := map[string]Result{}
	for _, r := range append(All(w.h, w.replay(), Options{}), Linearizable(w.h, 10*time.Second), Verdicts(w.log, false)) {
		results[r.Check] = r
	}
	return results
}

// index is where a watch record is.
func (w *world) index(watcher, stream int, what history.WatchKind, revision uint64) int {
	w.t.Helper()
	i := slices.IndexFunc(w.h.Watches, func(x *history.Watch) bool {
		return x.Watcher == watcher && x.Stream == stream && x.What == what &&
			(revision == 0 || x.Item != nil && x.Item.ModRevision == revision || x.Item == nil && x.ID == revision)
	})
	if i < 0 {
		w.t.Fatalf("watcher %d has no %s of revision %d", watcher, what, revision)
	}
	return i
}

func (w *world) event(watcher, stream int, revision uint64) *history.Watch {
	w.t.Helper()
	return w.h.Watches[w.index(watcher, stream, history.Event, revision)]
}

// snapshot makes the log begin at its end, with all of the history and none of the
// commands, as after a snapshot.
func (w *world) snapshot() {
	r := w.replay()
	l := &Log{Start: Header{SnapshotIndex: w.m.entryIndex, Commit: w.m.entryIndex, Revision: r.Last}}
	for _, rev := range r.Revs {
		l.Changes = append(l.Changes, rev.Changes...)
	}
	w.log = l
}

// wantFound wants a check to have found something, and what it is.
func wantFound(t *testing.T, results map[string]Result, check, part string) {
	t.Helper()
	r := results[check]
	if !slices.ContainsFunc(r.Violations, func(v Violation) bool { return strings.Contains(v.What, part) }) {
		t.Errorf("%s did not find %q; it found %v", check, part, r.Violations)
		for name, r := range results {
			for _, v := range r.Violations {
				t.Logf("%s: %v", name, v)
			}
		}
	}
}
