package kvstore

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func key(k string) []byte { return []byte(k) }

func TestComparisons(t *testing.T) {
	m := NewMachine()
	apply(t, m, grant(time.Hour), put("old", "m"), put("k", "a"), put("k", "m"), putLease("l", leaseID(1)))
	number := func(k string, target CompareTarget, op CompareOp, n uint64) Comparison {
		return Comparison{Key: key(k), Target: target, Op: op, Number: n}
	}
	value := func(k string, op CompareOp, v string) Comparison {
		return Comparison{Key: key(k), Target: CompareValue, Op: op, Value: []byte(v)}
	}
	all := []CompareOp{Equal, NotEqual, Greater, Less, GreaterOrEqual, LessOrEqual}
	for _, c := range []struct {
		name  string
		make  func(CompareOp) Comparison
		holds string // in the order of all
	}{
		{"mod revision below", func(o CompareOp) Comparison { return number("k", CompareModRevision, o, 4) }, "-+-+-+"},
		{"mod revision", func(o CompareOp) Comparison { return number("k", CompareModRevision, o, 3) }, "+---++"},
		{"mod revision above", func(o CompareOp) Comparison { return number("k", CompareModRevision, o, 2) }, "-++-+-"},
		{"create revision", func(o CompareOp) Comparison { return number("k", CompareCreateRevision, o, 2) }, "+---++"},
		{"version", func(o CompareOp) Comparison { return number("k", CompareVersion, o, 2) }, "+---++"},
		{"lease", func(o CompareOp) Comparison { return number("l", CompareLease, o, uint64(leaseID(1))) }, "+---++"},
		{"no lease", func(o CompareOp) Comparison { return number("k", CompareLease, o, 0) }, "+---++"},
		{"value below", func(o CompareOp) Comparison { return value("k", o, "n") }, "-+-+-+"},
		{"value", func(o CompareOp) Comparison { return value("k", o, "m") }, "+---++"},
		{"value above", func(o CompareOp) Comparison { return value("k", o, "") }, "-++-+-"},
		{"mod revision of nothing", func(o CompareOp) Comparison { return number("x", CompareModRevision, o, 0) }, "+---++"},
		{"create revision of nothing", func(o CompareOp) Comparison { return number("x", CompareCreateRevision, o, 1) }, "-+-+-+"},
		{"version of nothing", func(o CompareOp) Comparison { return number("x", CompareVersion, o, 0) }, "+---++"},
		{"lease of nothing", func(o CompareOp) Comparison { return number("x", CompareLease, o, 0) }, "+---++"},
		{"value of nothing", func(o CompareOp) Comparison { return value("x", o, "") }, "------"},
	} {
		got := ""
		for _, op := range all {
			r := apply(t, m, encodeTxn(&Txn{If: []Comparison{c.make(op)}}))[0]
			if r.Code != TxnApplied {
				t.Fatalf("%s: %+v", c.name, r)
			}
			got += map[bool]string{true: "+", false: "-"}[r.Txn.Succeeded]
		}
		if got != c.holds {
			t.Errorf("%s: got %s, want %s", c.name, got, c.holds)
		}
	}
	for _, c := range []struct {
		key   string
		n     uint64
		holds bool
	}{{"k", 1, true}, {"k", 0, false}, {"x", 0, true}, {"x", 1, false}} {
		if got := number(c.key, CompareExists, Equal, c.n); got.holds(m.state.tree.get(key(c.key)).live()) != c.holds {
			t.Errorf("exists %d of %s", c.n, c.key)
		}
	}
	// All must hold.
	yes, no := number("k", CompareExists, Equal, 1), number("k", CompareExists, Equal, 0)
	for want, cs := range map[bool][]Comparison{true: {yes, yes}, false: {yes, no}} {
		if r := apply(t, m, encodeTxn(&Txn{If: cs}))[0]; r.Txn.Succeeded != want {
			t.Errorf("%v: succeeded is %v", cs, r.Txn.Succeeded)
		}
	}
}

// The store begins with a, b, c (of revisions 1 to 3) and the granted lease.
func TestTxnOperations(t *testing.T) {
	exists := []Comparison{{Key: key("a"), Target: CompareExists, Op: Equal, Number: 1}}
	item := func(k, v string, create, mod, version uint64) Item {
		return Item{key(k), []byte(v), "", create, mod, version, 0, 0}
	}
	a, b, c := item("a", "1", 1, 1, 1), item("b", "2", 2, 2, 1), item("c", "3", 3, 3, 1)
	bare := func(it Item) Item { it.Value = nil; return it }
	for _, step := range []struct {
		name     string
		txn      Txn
		revision uint64
		want     []OpResult
		left     string
	}{
		{"nothing", Txn{}, 3, nil, "a1 b2 c3"},
		{"only reads", Txn{Then: []Op{{Kind: OpGet, Key: key("a")}, {Kind: OpGet, Key: key("x")}, {Kind: OpRange, Limit: 1}}}, 3,
			[]OpResult{{Kind: OpGet, Code: Found, Item: &a}, {Kind: OpGet, Code: NotFound}, {Kind: OpRange, Items: []Item{a}, Count: 1, More: true}}, "a1 b2 c3"},
		{"deletes of nothing", Txn{Then: []Op{{Kind: OpDelete, Key: key("0")}, {Kind: OpDeleteRange, Key: key("d")}}}, 3,
			[]OpResult{{Kind: OpDelete, Code: NotFound}, {Kind: OpDeleteRange, Code: NotFound}}, "a1 b2 c3"},
		{"reads see what was written before", Txn{Then: []Op{
			{Kind: OpGet, Key: key("b")},
			{Kind: OpPut, Key: key("b"), Value: []byte("x"), WantPrev: true},
			{Kind: OpGet, Key: key("b")},
			{Kind: OpDelete, Key: key("a"), WantPrev: true},
			{Kind: OpPut, Key: key("d"), Value: []byte("y"), WantPrev: true},
			{Kind: OpRange, Key: key("a"), End: key("z")},
			{Kind: OpGet, Key: key("a")},
		}}, 4, []OpResult{
			{Kind: OpGet, Code: Found, Item: &b},
			{Kind: OpPut, Code: Replaced, ModRevision: 4, Prev: &b},
			{Kind: OpGet, Code: Found, Item: new(item("b", "x", 2, 4, 2))},
			{Kind: OpDelete, Code: Deleted, Count: 1, Prev: &a},
			{Kind: OpPut, Code: Created, ModRevision: 4},
			{Kind: OpRange, Items: []Item{item("b", "x", 2, 4, 2), c, item("d", "y", 4, 4, 1)}, Count: 3},
			{Kind: OpGet, Code: NotFound},
		}, "bx c3 dy"},
		{"changes in any order", Txn{Then: []Op{
			{Kind: OpPut, Key: key("z")}, {Kind: OpDeleteRange, Key: key("b"), End: key("c")}, {Kind: OpPut, Key: key("0")}, {Kind: OpDelete, Key: key("c")},
		}}, 4, []OpResult{
			{Kind: OpPut, Code: Created, ModRevision: 4}, {Kind: OpDeleteRange, Code: Deleted, Count: 1},
			{Kind: OpPut, Code: Created, ModRevision: 4}, {Kind: OpDelete, Code: Deleted, Count: 1},
		}, "0 a1 z"},
		{"the other branch", Txn{If: []Comparison{{Key: key("x"), Target: CompareExists, Op: Equal, Number: 1}},
			Then: []Op{{Kind: OpDeleteRange}}, Else: []Op{{Kind: OpDelete, Key: key("c")}}}, 4,
			[]OpResult{{Kind: OpDelete, Code: Deleted, Count: 1}}, "a1 b2"},
		{"the first branch", Txn{If: exists, Then: []Op{{Kind: OpPut, Key: key("x")}}, Else: []Op{{Kind: OpPut, Key: key("x"), Lease: 99}}}, 4,
			[]OpResult{{Kind: OpPut, Code: Created, ModRevision: 4}}, "a1 b2 c3 x"},
		{"delete of everything and a put below", Txn{Then: []Op{{Kind: OpPut, Key: key("a"), Value: []byte("x")}, {Kind: OpDeleteRange, Key: key("b")}}}, 4,
			[]OpResult{{Kind: OpPut, Code: Replaced, ModRevision: 4}, {Kind: OpDeleteRange, Code: Deleted, Count: 2}}, "ax"},
		{"ranges", Txn{Then: []Op{
			{Kind: OpRange, Reverse: true, Limit: 2}, {Kind: OpRange, KeysOnly: true, Key: key("b")}, {Kind: OpRange, CountOnly: true},
			{Kind: OpRange, Limit: 3}, {Kind: OpRange, End: []byte{}}, {Kind: OpRange, Key: key("c"), End: key("a")},
		}}, 3, []OpResult{
			{Kind: OpRange, Items: []Item{c, b}, Count: 2, More: true}, {Kind: OpRange, Items: []Item{bare(b), bare(c)}, Count: 2}, {Kind: OpRange, Count: 3},
			{Kind: OpRange, Items: []Item{a, b, c}, Count: 3}, {Kind: OpRange}, {Kind: OpRange},
		}, "a1 b2 c3"},
	} {
		m := NewMachine()
		apply(t, m, put("a", "1"), put("b", "2"), put("c", "3"), grant(time.Hour))
		r := apply(t, m, encodeTxn(&step.txn))[0]
		succeeded := step.name != "the other branch"
		want := Result{Code: TxnApplied, Revision: step.revision, Txn: &TxnResult{Succeeded: succeeded, Ops: step.want}}
		if !sameResult(r, want) {
			t.Errorf("%s:\ngot  %+v\nwant %+v", step.name, r.Txn, want.Txn)
		}
		checkState(t, m)
		v, err := m.view(0)
		if err != nil {
			t.Fatal(err)
		}
		if got := listed(v); got != step.left || m.Revision() != step.revision {
			t.Errorf("%s: left %q at %d, want %q at %d", step.name, got, m.Revision(), step.left, step.revision)
		}
	}
}

func TestTxnWithALeaseThatIsNotThere(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"), grant(time.Second), grant(time.Hour))
	txn := func(id LeaseID) []byte {
		return encodeTxn(&Txn{Then: []Op{{Kind: OpDelete, Key: key("a")}, {Kind: OpPut, Key: key("b"), Lease: leaseID(2)}, {Kind: OpPut, Key: key("c"), Lease: id}}})
	}
	for name, id := range map[string]LeaseID{"unknown": 99, "its deadline has passed": leaseID(1)} {
		if r := applyAt(t, m, time.Second, txn(id)); r.Code != LeaseNotFound || r.Revision != 1 || r.Txn != nil || keysOf(m) != "a" {
			t.Errorf("%s: %+v, %s", name, r, keysOf(m))
		}
		checkState(t, m)
	}
	if r := applyAt(t, m, time.Second, txn(leaseID(2))); r.Code != TxnApplied || keysOf(m) != "b c" {
		t.Errorf("%+v, %s", r, keysOf(m))
	}
	if r := apply(t, m, revoke(leaseID(2)))[0]; r.Deleted != 2 {
		t.Errorf("%+v", r)
	}
}

func TestTxnOfTooMuch(t *testing.T) {
	m := NewMachine()
	large := strings.Repeat("x", rangeMost-1) // four of them, with keys of one byte, are all that goes
	apply(t, m, grant(time.Hour), put("a", large), put("b", large), put("c", large), put("d", large), putLease("l", leaseID(1)), putTTL("t", time.Minute))
	get := func(k string) Op { return Op{Kind: OpGet, Key: key(k)} }
	gets := []Op{get("a"), get("b"), get("c"), get("d")}
	changes := []Op{{Kind: OpPut, Key: key("n"), Lease: leaseID(1)}, {Kind: OpDelete, Key: key("l")}, {Kind: OpDelete, Key: key("t")}, {Kind: OpPut, Key: key("e"), TTL: time.Hour}}
	with := func(ops ...[]Op) (all []Op) {
		for _, o := range ops {
			all = append(all, o...)
		}
		return all
	}
	for _, c := range []struct {
		name string
		ops  []Op
		want Code
	}{
		{"gets", gets, TxnApplied},
		{"one too many", with(changes, gets, []Op{get("n")}), TooLarge},
		{"what is not there", with(gets, []Op{get("x")}), TxnApplied},
		{"a previous item", with(gets, changes, []Op{{Kind: OpPut, Key: key("a"), WantPrev: true}}), TooLarge},
		{"a deleted item", with(gets, changes, []Op{{Kind: OpDelete, Key: key("a"), WantPrev: true}}), TooLarge},
		{"not asked for", with([]Op{{Kind: OpDelete, Key: key("a")}, {Kind: OpPut, Key: key("a2")}}, gets[1:]), TxnApplied},
		{"a range beside it", with(changes, gets, []Op{{Kind: OpRange, Key: key("b"), End: key("c")}}), TooLarge},
		{"keys beside it", with(changes, gets, []Op{{Kind: OpRange, Key: key("b"), End: key("c"), KeysOnly: true}}), TooLarge},
		{"their number beside it", with(gets, []Op{{Kind: OpRange, CountOnly: true}}), TxnApplied},
		{"what was put in it", []Op{{Kind: OpPut, Key: key("p"), Value: []byte(large[:5<<18])}, get("p"), get("p"), get("p"), get("p"),
			get("p"), get("p"), get("p"), get("p"), get("p"), get("p"), get("p"), get("p"), get("p")}, TooLarge},
	} {
		m := restored(t, snapshotOf(t, m))
		index, _ := m.Hash()
		before := snapshotOf(t, m)
		r := apply(t, m, encodeTxn(&Txn{Then: c.ops}))[0]
		if r.Code != c.want || (r.Txn != nil) != (c.want == TxnApplied) {
			t.Errorf("%s: %s", c.name, r.Code)
		}
		checkState(t, m)
		if c.want == TooLarge {
			m.state.index = index // all that may differ
			if after := snapshotOf(t, m); string(after) != string(before) {
				t.Errorf("%s: something changed", c.name)
			}
			m.state.index++
		}
		apply(t, m, put("after", "it"), del("a"), revoke(leaseID(1)))
		checkState(t, m)
	}
	// A range is cut, and says so.
	m2 := NewMachine()
	apply(t, m2, put("a", large[:len(large)-1]), put("b", ""), put("c", ""), put("d", ""))
	r := apply(t, m2, encodeTxn(&Txn{Then: []Op{{Kind: OpRange}, {Kind: OpRange, Key: key("b")}, {Kind: OpRange, KeysOnly: true}}}))[0]
	for i, want := range []struct {
		items int
		more  bool
	}{{2, true}, {3, false}, {4, false}} {
		if got := r.Txn.Ops[i]; len(got.Items) != want.items || got.More != want.more {
			t.Errorf("range %d: %d items, %v", i, len(got.Items), got.More)
		}
	}
}

func TestTxnRangeLimits(t *testing.T) {
	m := NewMachine()
	for i := range 1_500 {
		apply(t, m, put(fmt.Sprintf("%05d", i), ""))
	}
	for limit, want := range map[uint64]int{0: 1_000, 1: 1, 1_499: 1_499, 1_500: 1_500, 10_000: 1_500} {
		r := apply(t, m, encodeTxn(&Txn{Then: []Op{{Kind: OpRange, Limit: limit}}}))[0].Txn.Ops[0]
		if len(r.Items) != want || r.Count != uint64(want) || r.More != (want < 1_500) {
			t.Errorf("limit %d: %d items of %d, %v", limit, len(r.Items), r.Count, r.More)
		}
	}
}

func TestTxnCheck(t *testing.T) {
	long := make([]byte, MaxKeyBytes+1)
	get := func(n int) (ops []Op) {
		for range n {
			ops = append(ops, Op{Kind: OpGet, Key: key("k")})
		}
		return ops
	}
	compare := func(target CompareTarget, op CompareOp, n uint64) Txn {
		return Txn{If: []Comparison{{Key: key("k"), Target: target, Op: op, Number: n}}}
	}
	then := func(ops ...Op) Txn { return Txn{Then: ops} }
	p, d := Op{Kind: OpPut, Key: key("k")}, Op{Kind: OpDelete, Key: key("k")}
	span := func(start, end string) Op {
		op := Op{Kind: OpDeleteRange, Key: key(start)}
		if end != "" {
			op.End = key(end)
		}
		return op
	}
	for _, c := range []struct {
		name string
		txn  Txn
		want string // a part of the error; "": none
	}{
		{"nothing", Txn{}, ""},
		{"as many as can be", Txn{If: compare(CompareVersion, Equal, 0).If, Then: get(100), Else: get(27)}, ""},
		{"one too many", Txn{If: compare(CompareVersion, Equal, 0).If, Then: get(100), Else: get(28)}, "129 comparisons and operations"},
		{"comparison of no key", Txn{If: []Comparison{{Target: CompareVersion, Op: Equal}}}, "comparison 1: key of 0 bytes"},
		{"comparison of a long key", Txn{If: []Comparison{{Key: long, Target: CompareVersion, Op: Equal}}}, "key of 4097 bytes"},
		{"no target", compare(0, Equal, 0), "unknown target 0"},
		{"unknown target", compare(CompareExists+1, Equal, 0), "unknown target 7"},
		{"no operator", compare(CompareVersion, 0, 0), "unknown operator 0"},
		{"unknown operator", compare(CompareVersion, LessOrEqual+1, 0), "unknown operator 7"},
		{"exists twice", compare(CompareExists, Equal, 2), "exists or does not"},
		{"exists more", compare(CompareExists, Greater, 0), "exists or does not"},
		{"no kind", then(Op{Key: key("k")}), "operation 1 of then: unknown kind 0"},
		{"other kind", Txn{Else: []Op{{Kind: OpGet, Key: key("k")}, {Kind: OpOther, Key: key("k")}}}, "operation 2 of else: unknown kind 6"},
		{"no key", then(Op{Kind: OpDelete}), "key of 0 bytes"},
		{"long key", then(Op{Kind: OpGet, Key: long}), "key of 4097 bytes"},
		{"long start", then(Op{Kind: OpRange, Key: long}), "4097 and 0 bytes"},
		{"long end", then(Op{Kind: OpDeleteRange, End: long}), "0 and 4097 bytes"},
		{"long content type", then(Op{Kind: OpPut, Key: key("k"), ContentType: string(make([]byte, MaxContentTypeBytes+1))}), "content type of 1025 bytes"},
		{"short TTL", then(Op{Kind: OpPut, Key: key("k"), TTL: time.Second - 1}), "ttl of 999.999999ms"},
		{"TTL below 0", then(Op{Kind: OpPut, Key: key("k"), TTL: -time.Second}), "ttl of -1s"},
		{"long TTL", then(Op{Kind: OpPut, Key: key("k"), TTL: MaxTTL + 1}), "ttl of"},
		{"TTL and lease", then(Op{Kind: OpPut, Key: key("k"), TTL: time.Second, Lease: 1}), "a ttl and a lease"},
		{"limit", then(Op{Kind: OpRange, Limit: 10_000}), ""},
		{"large limit", then(Op{Kind: OpRange, Limit: 10_001}), "limit of 10001"},
		{"what a kind does not have", then(Op{Kind: OpGet, Key: key("k"), TTL: 1, Limit: 20_000, WantPrev: true}), ""},
		{"put and get", then(p, Op{Kind: OpGet, Key: key("k")}), ""},
		{"put in both branches", Txn{Then: []Op{p}, Else: []Op{p}}, ""},
		{"two puts", then(p, p), `then: two writes of key "k"`},
		{"put and delete", Txn{Else: []Op{d, p}}, `else: two writes of key "k"`},
		{"two deletes", then(d, d), "two writes"},
		{"put below a range", then(p, span("k\x00", "")), ""},
		{"put above a range", then(p, span("a", "k")), ""},
		{"put at the start of a range", then(p, span("k", "l")), `two writes of key "k"`},
		{"put in a range", then(p, span("a", "l")), `two writes of key "k"`},
		{"delete in all", then(d, span("", "")), "two writes"},
		{"put in a range of nothing", then(p, span("l", "a")), ""},
		{"ranges side by side", then(span("b", "c"), span("a", "b"), span("c", "")), ""},
		{"ranges that overlap", then(span("b", "d"), span("a", "c")), `two writes of key "b"`},
		{"range in a range", then(span("b", "c"), span("a", "z")), `two writes of key "b"`},
		{"range behind one in a range", then(span("a", "z"), span("b", "c"), span("d", "e")), `two writes`},
		{"one range twice", then(span("a", ""), span("a", "")), "two writes"},
	} {
		err := c.txn.Check()
		if c.want == "" {
			if err != nil {
				t.Errorf("%s: %v", c.name, err)
			}
		} else if !errors.Is(err, ErrBadTxn) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: got %v, want %q", c.name, err, c.want)
		}
		if c.name == "what a kind does not have" {
			continue // it is not in the encoding
		}
		if r := apply(t, NewMachine(), encodeTxn(&c.txn))[0]; (r.Code == BadCommand) != (c.want != "") {
			t.Errorf("%s: applied to %s", c.name, r.Code)
		}
	}
}

func TestTxnKeepsNothingOfTheCommand(t *testing.T) {
	m := NewMachine()
	cmd := encodeTxn(&Txn{Then: []Op{{Kind: OpPut, Key: key("k"), Value: []byte("v"), ContentType: "text/plain"}, {Kind: OpGet, Key: key("k")}}})
	r := apply(t, m, cmd)[0]
	for i := range cmd {
		cmd[i] = 'X'
	}
	want := Item{key("k"), []byte("v"), "text/plain", 1, 1, 1, 0, 0}
	if got, _ := m.Get(key("k")); !sameItem(&got, &want) || !sameItem(r.Txn.Ops[1].Item, &want) {
		t.Fatalf("got %+v and %+v", got, r.Txn.Ops[1].Item)
	}
}

func TestTxnIsOneMomentForReaders(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"))
	v, err := m.view(0)
	if err != nil {
		t.Fatal(err)
	}
	apply(t, m, encodeTxn(&Txn{Then: []Op{{Kind: OpPut, Key: key("b")}, {Kind: OpDelete, Key: key("a")}, {Kind: OpPut, Key: key("0")}}}))
	if listed(v) != "a1" {
		t.Errorf("a view from before shows %s", listed(v))
	}
	before, _ := m.view(1)
	after, _ := m.view(2)
	if listed(before) != "a1" || listed(after) != "0 b" {
		t.Errorf("at 1: %s, at 2: %s", listed(before), listed(after))
	}
	apply(t, m, encodeCompact(2))
	checkState(t, m)
}

// TestTxnVisits: what a transaction's ranges may go through is bounded, and one
// that would go further has done nothing.
func TestTxnVisits(t *testing.T) {
	m := NewMachine()
	var puts [][]byte
	for i := range 10_000 {
		puts = append(puts, put(fmt.Sprintf("%05d", i), "v"))
	}
	apply(t, m, puts...)
	counts := []Op{{Kind: OpPut, Key: key("x"), Value: []byte("y")}}
	for range txnVisits / 10_001 {
		counts = append(counts, Op{Kind: OpRange, CountOnly: true})
	}
	r := apply(t, m, encodeTxn(&Txn{Then: counts}))[0]
	if r.Code != TxnApplied || r.Txn.Ops[1].Count != 10_001 {
		t.Fatalf("%d counts: %v", len(counts)-1, r.Code)
	}
	before := m.Revision()
	counts[0].Value = []byte("z")
	r = apply(t, m, encodeTxn(&Txn{Then: append(counts, Op{Kind: OpRange, CountOnly: true})}))[0]
	if it, _ := m.Get(key("x")); r.Code != TooLarge || m.Revision() != before || string(it.Value) != "y" {
		t.Errorf("one more: %v, revision %d, x is %q", r.Code, m.Revision(), it.Value)
	}
}
