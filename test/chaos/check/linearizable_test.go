package check

import (
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kvd/test/chaos/history"
)

func TestLinearizable(t *testing.T) {
	at := func(start, end int64, o history.Op) *history.Op {
		o.Key, o.Start, o.End = "k", start, end
		if o.Outcome == "" {
			o.Outcome = history.OK
		}
		return &o
	}
	put := func(start, end int64, value string, revision uint64) *history.Op {
		return at(start, end, history.Op{Kind: history.Put, Value: value, Hit: true, Revision: revision})
	}
	over := func(o *history.Op, cond history.If, revision uint64) *history.Op {
		o.If, o.OverRevision = cond, revision
		return o
	}
	refused := func(start, end int64, cond history.If, revision, seen uint64) *history.Op {
		o := at(start, end, history.Op{Kind: history.Put, Value: "refused", If: cond, OverRevision: revision, Status: 412})
		if seen > 0 {
			o.Seen = []history.Item{{Key: "k", ModRevision: seen}}
		}
		return o
	}
	get := func(start, end int64, value string, revision uint64) *history.Op {
		o := at(start, end, history.Op{Kind: history.Get})
		if revision > 0 {
			o.Hit, o.Seen = true, []history.Item{{Key: "k", Value: value, ModRevision: revision}}
		}
		return o
	}
	as := func(o *history.Op, x history.Outcome) *history.Op {
		o.Outcome = x
		if x != history.OK {
			o.Hit, o.Revision = false, 0
		}
		return o
	}
	keyed := func(o *history.Op) *history.Op {
		o.IdempotencyKey = "i"
		return o
	}
	del := func(start, end int64, revision uint64) *history.Op {
		return at(start, end, history.Op{Kind: history.Delete, Hit: revision > 0, Revision: revision})
	}
	for _, tt := range []struct {
		name string
		good bool
		ops  []*history.Op
	}{
		{"read of the last write", true, []*history.Op{put(1, 2, "a", 1), put(3, 4, "b", 2), get(5, 6, "b", 2)}},
		{"stale read", false, []*history.Op{put(1, 2, "a", 1), put(3, 4, "b", 2), get(5, 6, "a", 1)}},
		{"lost write", false, []*history.Op{put(1, 2, "a", 1), get(5, 6, "", 0)}},
		{"either order while both run", true, []*history.Op{put(1, 9, "a", 2), put(1, 9, "b", 1), get(10, 11, "a", 2)}},
		{"a revision that falls", false, []*history.Op{put(1, 2, "a", 5), put(3, 4, "b", 4)}},
		{"a value nobody wrote", false, []*history.Op{put(1, 2, "a", 1), get(3, 4, "z", 2)}},
		{"another revision of the value", false, []*history.Op{put(1, 2, "a", 1), get(3, 4, "a", 2)}},
		{"unknown, seen late", true, []*history.Op{put(1, 2, "a", 1), as(put(3, 4, "b", 0), history.Unknown), get(5, 6, "a", 1), get(7, 8, "b", 2)}},
		{"unknown, seen and gone", false, []*history.Op{put(1, 2, "a", 1), as(put(3, 4, "b", 0), history.Unknown), get(5, 6, "b", 2), get(7, 8, "a", 1)}},
		{"unknown, seen before it began", false, []*history.Op{put(1, 2, "a", 1), get(3, 4, "b", 2), as(put(5, 6, "b", 0), history.Unknown)}},
		{"failed, and seen", false, []*history.Op{as(put(1, 2, "a", 0), history.Failed), get(3, 4, "a", 1)}},
		{"a swap", true, []*history.Op{put(1, 2, "a", 1), over(put(3, 4, "b", 2), history.IfRevision, 1), get(5, 6, "b", 2)}},
		{"a swap over a replaced value", false, []*history.Op{put(1, 2, "a", 1), put(3, 4, "b", 2), over(put(5, 6, "c", 3), history.IfRevision, 1)}},
		{"two swaps over one value", false, []*history.Op{put(1, 2, "a", 1), over(put(3, 6, "b", 2), history.IfRevision, 1), over(put(3, 6, "c", 3), history.IfRevision, 1)}},
		{"a swap refused", true, []*history.Op{put(1, 2, "a", 1), put(3, 4, "b", 2), refused(5, 6, history.IfRevision, 1, 2)}},
		{"a swap refused for no reason", false, []*history.Op{put(1, 2, "a", 1), refused(5, 6, history.IfRevision, 1, 1)}},
		{"a swap refused by nothing", false, []*history.Op{put(1, 2, "a", 1), refused(5, 6, history.IfRevision, 1, 0)}},
		{"a creation refused", true, []*history.Op{put(1, 2, "a", 1), refused(3, 4, history.Absent, 0, 1)}},
		{"a creation refused for no reason", false, []*history.Op{refused(1, 2, history.Absent, 0, 1)}},
		{"a replacement refused for no reason", false, []*history.Op{put(1, 2, "a", 1), refused(3, 4, history.Present, 0, 0)}},
		{"two creations", false, []*history.Op{over(put(1, 2, "a", 1), history.Absent, 0), over(put(3, 4, "b", 2), history.Absent, 0)}},
		{"a replacement of nothing", false, []*history.Op{over(put(1, 2, "a", 1), history.Present, 0)}},
		{"a delete", true, []*history.Op{put(1, 2, "a", 1), del(3, 4, 2), get(5, 6, "", 0), del(7, 8, 0)}},
		{"a delete that did not", false, []*history.Op{put(1, 2, "a", 1), del(3, 4, 2), get(5, 6, "a", 1)}},
		{"a delete of nothing that says it deleted", false, []*history.Op{del(1, 2, 1)}},
		{"a delete of something that says there was nothing", false, []*history.Op{put(1, 2, "a", 1), del(3, 4, 0)}},
		{"one request, twice", true, []*history.Op{
			keyed(over(put(1, 2, "a", 1), history.Absent, 0)), put(3, 4, "b", 2), keyed(over(put(5, 6, "a", 1), history.Absent, 0)), get(7, 8, "b", 2)}},
		{"one request, applied twice", false, []*history.Op{keyed(put(1, 2, "a", 1)), put(3, 4, "b", 2), keyed(put(5, 6, "a", 1)), get(7, 8, "a", 3)}},
		{"one request, first unknown", true, []*history.Op{as(keyed(put(1, 2, "a", 0)), history.Unknown), keyed(put(5, 6, "a", 1)), get(7, 8, "a", 1)}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			for i, o := range tt.ops {
				o.ID, o.Client = int64(i), i
			}
			r := Linearizable(&history.History{Ops: tt.ops}, 10*time.Second)
			if good := r.Count == 0; good != tt.good || r.Judged != len(tt.ops) {
				t.Errorf("judged %d of %d, violations %v", r.Judged, len(tt.ops), r.Violations)
			}
		})
	}
}

// What is touched by more than its own operations is left to other checks, and
// that is said.
func TestLinearizableSkips(t *testing.T) {
	h := &history.History{Ops: []*history.Op{
		{Kind: history.Put, Key: "a/1", Value: "x", Outcome: history.OK, Hit: true, Revision: 1},
		{Kind: history.Put, Key: "b", Value: "x", Outcome: history.OK, Hit: true, Revision: 2},
		{Kind: history.Put, Key: "c", Value: "x", TTL: time.Second, Outcome: history.OK, Hit: true, Revision: 3},
		{Kind: history.Put, Key: "d", Value: "x", Outcome: history.OK, Hit: true, Revision: 4},
		{Kind: history.DeletePrefix, Prefix: "a/", Outcome: history.OK},
		{Kind: history.Txn, Outcome: history.OK, Txn: &history.TxnOp{Else: []history.Step{{Kind: history.Delete, Key: "b"}}}},
	}}
	if r := Linearizable(h, time.Second); r.Judged != 1 || r.Skipped != 3 || r.Count != 0 {
		t.Errorf("judged %d, skipped %d, violations %v", r.Judged, r.Skipped, r.Violations)
	}
}

// bigHistory is one of many clients at work, five on a key, that a store could have
// given: each operation takes effect somewhere between its start and its end.
func bigHistory(keys, opsPerKey int) *history.History {
	h := &history.History{}
	rng := rand.New(rand.NewPCG(1, 2))
	revision, id := uint64(0), int64(0)
	for k := range keys {
		var value string
		var mod uint64
		free := [5]int64{}
		moment := int64(0)
		for range opsPerKey {
			id++
			moment += 100
			client := rng.IntN(len(free))
			o := &history.Op{ID: id, Client: client, Kind: history.Get, Key: "k/" + strconv.Itoa(k), Outcome: history.OK, Hit: true,
				Start: max(free[client]+1, moment-rng.Int64N(300)), End: moment + rng.Int64N(300)}
			if o.Start > moment {
				continue
			}
			free[client] = o.End
			switch n := rng.IntN(100); {
			case n < 40:
				o.Kind, o.Value = history.Put, strconv.FormatInt(id, 10)
				revision++
				value, mod, o.Revision = o.Value, revision, revision
			case n < 43:
				o.Kind, o.Value, o.Outcome, o.Hit = history.Put, strconv.FormatInt(id, 10), history.Unknown, false
				if n == 40 {
					revision++
					value, mod = o.Value, revision
				}
			default:
				o.Seen = nil
				if mod > 0 {
					o.Seen = []history.Item{{Key: o.Key, Value: value, ModRevision: mod}}
				}
			}
			h.Ops = append(h.Ops, o)
		}
	}
	return h
}

// TestLinearizableIsQuick: what a run of five minutes has must take seconds.
func TestLinearizableIsQuick(t *testing.T) {
	if testing.Short() {
		t.Skip("it checks 300,000 operations")
	}
	h := bigHistory(200, 1600)
	begun := time.Now()
	r := Linearizable(h, 20*time.Second)
	took := time.Since(begun)
	t.Logf("%d operations in %v", r.Judged, took)
	if r.Count > 0 || r.Judged < 250_000 {
		t.Errorf("judged %d, violations %v", r.Judged, r.Violations)
	}
	if took > time.Minute {
		t.Errorf("it took %v", took)
	}
	// One read that is stale by one write is found among all of them.
	i := slices.IndexFunc(h.Ops, func(o *history.Op) bool { return o.Kind == history.Get && o.Start > 10_000 && len(o.Seen) > 0 })
	h.Ops[i].Seen[0].Value = "lie"
	if r := Linearizable(h, 20*time.Second); r.Count != 1 || !slices.Contains(r.Violations[0].Ops, h.Ops[i].ID) {
		t.Errorf("of one lie it found %v", r.Violations)
	}
}

// writeHistory is a file of a history.
func writeHistory(t *testing.T, h *history.History) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "h.jsonl")
	w, err := history.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range h.Ops {
		w.Op(o)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return name
}

func TestChild(t *testing.T) {
	h := goodRun(t).h
	good := writeHistory(t, h)
	i := slices.IndexFunc(h.Ops, func(o *history.Op) bool { return len(o.Seen) > 0 })
	h.Ops[i].Seen[0].Value = "lie"
	bad := writeHistory(t, h)
	hard := writeHistory(t, hardHistory(60))
	child := Child{Argv: testArgv, Env: []string{asChild + "=1"}, Memory: 2 << 30}
	for _, tt := range []struct {
		name, file string
		set        func(c *Child)
		part       string // of the violation; empty: none
	}{
		{"good", good, func(*Child) {}, ""},
		{"bad", bad, func(*Child) {}, "not linearizable"},
		{"undecided", hard, func(c *Child) { c.PerKey = 300 * time.Millisecond }, "could not be decided"},
		{"too slow", hard, func(c *Child) { c.Timeout = 500 * time.Millisecond }, "it was not done in"},
		{"no file", good + "x", func(*Child) {}, "no such file"},
		{"no program", good, func(c *Child) { c.Argv = []string{"/nonexistent"} }, "nothing is known"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := child
			tt.set(&c)
			r := c.Run(t.Context(), tt.file)
			switch {
			case tt.part == "" && (r.Count > 0 || r.Judged == 0):
				t.Errorf("got %+v", r)
			case tt.part != "" && (r.Count == 0 || !strings.Contains(r.Violations[0].What, tt.part)):
				t.Errorf("got %+v, want %q", r, tt.part)
			}
		})
	}
}

// hardHistory is one that takes for ever to decide: writes of unknown outcome that
// nothing tells apart, and in the end a value that none of them wrote.
func hardHistory(n int) *history.History {
	h := &history.History{}
	for i := range n {
		h.Ops = append(h.Ops, &history.Op{ID: int64(i), Client: i, Kind: history.Put, Key: "k", Value: strconv.Itoa(i),
			Start: int64(i), End: int64(i) + 1, Outcome: history.Unknown})
	}
	return &history.History{Ops: append(h.Ops, &history.Op{ID: int64(n), Client: n, Kind: history.Get, Key: "k", Start: 1000, End: 1001,
		Outcome: history.OK, Hit: true, Seen: []history.Item{{Key: "k", Value: "lie", ModRevision: 5}}})}
}
