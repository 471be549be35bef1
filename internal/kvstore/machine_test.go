package kvstore

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"
)

func put(key, value string, o ...any) []byte {
	return encodeOp(commandPut, key, value, o)
}

func del(key string, o ...any) []byte {
	return encodeOp(commandDelete, key, "", o)
}

// encodeOp takes a Condition, a content type and true for WantPrev, each if wanted.
func encodeOp(kind commandKind, key, value string, opts []any) []byte {
	var cond Condition
	var contentType string
	var wantPrev bool
	for _, o := range opts {
		switch o := o.(type) {
		case Condition:
			cond = o
		case string:
			contentType = o
		case bool:
			wantPrev = o
		}
	}
	return encodeCommand(kind, wantPrev, cond, []byte(key), contentType, []byte(value))
}

// apply applies each command as an entry of its own behind the last one.
func apply(tb testing.TB, m *Machine, cmds ...[]byte) []Result {
	tb.Helper()
	var all []Result
	for _, cmd := range cmds {
		index, _ := m.Hash()
		rs, err := m.Apply(index+1, m.Clock(), [][]byte{cmd})
		if err != nil || len(rs) != 1 {
			tb.Fatalf("apply: %d results, %v", len(rs), err)
		}
		all = append(all, rs...)
	}
	return all
}

func TestApply(t *testing.T) {
	absent, present := Condition{Kind: IfAbsent}, Condition{Kind: IfPresent}
	at := func(r uint64) Condition { return Condition{Kind: IfRevision, Revision: r} }
	prev := func(key, value, ct string, create, mod, version uint64) *Item {
		return &Item{[]byte(key), []byte(value), ct, create, mod, version, 0, 0}
	}
	// One store lives through all steps.
	steps := []struct {
		name string
		cmd  []byte
		want Result
	}{
		{"delete of nothing", del("a"), Result{Code: NotFound, Revision: 0}},
		{"delete of nothing, if absent", del("a", absent), Result{Code: NotFound, Revision: 0}},
		{"delete of nothing, if present", del("a", present), Result{Code: ConditionFailed, Revision: 0}},
		{"put of nothing, if present", put("a", "1", present), Result{Code: ConditionFailed, Revision: 0}},
		{"put of nothing, at a revision", put("a", "1", at(1)), Result{Code: ConditionFailed, Revision: 0}},
		{"put of nothing, at revision 0", put("a", "1", at(0)), Result{Code: ConditionFailed, Revision: 0}},
		{"create, previous asked for", put("a", "1", "text/plain", absent, true), Result{Code: Created, Revision: 1, ModRevision: 1}},
		{"create another", put("b", ""), Result{Code: Created, Revision: 2, ModRevision: 2}},
		{"create again", put("a", "2", absent, true), Result{Code: ConditionFailed, Revision: 2, ModRevision: 1}},
		{"replace", put("a", "2", true), Result{Code: Replaced, Revision: 3, ModRevision: 3, Prev: prev("a", "1", "text/plain", 1, 1, 1)}},
		{"replace at a wrong revision", put("a", "3", at(1)), Result{Code: ConditionFailed, Revision: 3, ModRevision: 3}},
		{"replace at the revision", put("a", "3", at(3)), Result{Code: Replaced, Revision: 4, ModRevision: 4}},
		{"replace if present", put("a", "", present, true), Result{Code: Replaced, Revision: 5, ModRevision: 5, Prev: prev("a", "3", "", 1, 4, 3)}},
		{"the same value again", put("a", ""), Result{Code: Replaced, Revision: 6, ModRevision: 6}},
		{"delete, if absent", del("a", absent), Result{Code: ConditionFailed, Revision: 6, ModRevision: 6}},
		{"delete at a wrong revision", del("a", at(5), true), Result{Code: ConditionFailed, Revision: 6, ModRevision: 6}},
		{"delete at the revision", del("a", at(6), true), Result{Code: Deleted, Revision: 7, Prev: prev("a", "", "", 1, 6, 5)}},
		{"delete again", del("a", true), Result{Code: NotFound, Revision: 7}},
		{"delete of a range of nothing", encodeDeleteRange([]byte("a"), []byte("b")), Result{Code: NotFound, Revision: 7}},
		{"create anew", put("a", "x"), Result{Code: Created, Revision: 8, ModRevision: 8}},
		{"delete, if present", del("b", present), Result{Code: Deleted, Revision: 9}},
		{"empty command", []byte{}, Result{Code: BadCommand, Revision: 9}},
		{"key too long", put(string(make([]byte, MaxKeyBytes+1)), ""), Result{Code: BadCommand, Revision: 9}},
		{"longest key", put(string(make([]byte, MaxKeyBytes)), ""), Result{Code: Created, Revision: 10, ModRevision: 10}},
		{"empty key", put("", "x"), Result{Code: BadCommand, Revision: 10}},
		{"content type too long", put("c", "", string(make([]byte, MaxContentTypeBytes+1))), Result{Code: BadCommand, Revision: 10}},
	}
	m := NewMachine()
	for _, s := range steps {
		if got := apply(t, m, s.cmd)[0]; !sameResult(got, s.want) {
			t.Errorf("%s: got %+v, want %+v", s.name, got, s.want)
		}
		m.state.tree.check(t)
	}
	want := Item{[]byte("a"), []byte("x"), "", 8, 8, 1, 0, 0}
	if got, ok := m.Get([]byte("a")); !ok || !sameItem(&got, &want) {
		t.Errorf("at the end: got %+v, want %+v", got, want)
	}
	if got, ok := m.Get([]byte("b")); ok {
		t.Errorf("a deleted key is there: %+v", got)
	}
	if m.Len() != 2 || m.Revision() != 10 || m.Bytes() != 2+MaxKeyBytes {
		t.Errorf("%d keys, revision %d, %d bytes", m.Len(), m.Revision(), m.Bytes())
	}
}

func sameResult(a, b Result) bool {
	return a.Code == b.Code && a.Revision == b.Revision && a.ModRevision == b.ModRevision && a.Deleted == b.Deleted && sameItem(a.Prev, b.Prev) &&
		a.Replayed == b.Replayed && a.Lease == b.Lease && a.TTL == b.TTL && sameTxn(a.Txn, b.Txn)
}

func sameItem(a, b *Item) bool {
	if a == nil || b == nil {
		return a == b
	}
	return bytes.Equal(a.Key, b.Key) && bytes.Equal(a.Value, b.Value) && a.ContentType == b.ContentType &&
		a.CreateRevision == b.CreateRevision && a.ModRevision == b.ModRevision && a.Version == b.Version &&
		a.Lease == b.Lease && a.TTL == b.TTL
}

func sameTxn(a, b *TxnResult) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Succeeded == b.Succeeded && slices.EqualFunc(a.Ops, b.Ops, func(a, b OpResult) bool {
		return a.Kind == b.Kind && a.Code == b.Code && a.ModRevision == b.ModRevision && a.Count == b.Count && a.More == b.More &&
			sameItem(a.Prev, b.Prev) && sameItem(a.Item, b.Item) &&
			slices.EqualFunc(a.Items, b.Items, func(a, b Item) bool { return sameItem(&a, &b) })
	})
}

func TestKeysAreBytes(t *testing.T) {
	keys := []string{"a//b", "a/b", "../x", "x", "%2F", "/", "a?b", "a", "\x00", "a\x00", "\xff\xfe", "a/", ".", "ä"}
	m := NewMachine()
	for _, k := range keys {
		apply(t, m, put(k, "value of "+k))
	}
	for _, m := range []*Machine{m, restored(t, snapshotOf(t, m))} {
		for _, k := range keys {
			it, ok := m.Get([]byte(k))
			if !ok || string(it.Key) != k || string(it.Value) != "value of "+k {
				t.Errorf("key %q: got %q, %q, %v", k, it.Key, it.Value, ok)
			}
		}
		if m.Len() != len(keys) {
			t.Errorf("%d keys, want %d", m.Len(), len(keys))
		}
	}
}

func TestApplyOneEntryOfManyCommands(t *testing.T) {
	cmds := [][]byte{}
	for i := range 200 {
		cmds = append(cmds, put(string(rune('a'+i%7)), "v"), []byte("\x00bad"))
	}
	m := NewMachine()
	rs, err := m.Apply(9, time.Second, cmds)
	if err != nil || len(rs) != len(cmds) {
		t.Fatalf("%d results for %d commands, %v", len(rs), len(cmds), err)
	}
	for i, r := range rs {
		if bad := r.Code == BadCommand; bad != (i%2 == 1) || r.Revision != uint64(i/2+1) {
			t.Fatalf("result %d is %+v", i, r)
		}
	}
	if index, _ := m.Hash(); index != 9 {
		t.Fatalf("index %d, want 9", index)
	}
}

func TestApplyKeepsNothingOfCommands(t *testing.T) {
	m := NewMachine()
	cmd := put("key", "value", "text/plain")
	apply(t, m, cmd)
	for i := range cmd {
		cmd[i] = 'X'
	}
	want := Item{[]byte("key"), []byte("value"), "text/plain", 1, 1, 1, 0, 0}
	if got, _ := m.Get([]byte("key")); !sameItem(&got, &want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestApplyRefusesNewerCommands(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("a", "1"))
	_, before := m.Hash()
	rs, err := m.Apply(2, time.Hour, [][]byte{put("b", "2"), {commandVersion + 1, 1, 2, 3}})
	if !errors.Is(err, ErrNewerVersion) || rs != nil {
		t.Fatalf("got %v, %v", rs, err)
	}
	if index, hash := m.Hash(); index != 1 || hash != before || m.Len() != 1 || m.Clock() != 0 {
		t.Fatalf("index %d, %d keys: a part of the entry was applied", index, m.Len())
	}
}

func TestApplyRefusesEntriesTwice(t *testing.T) {
	m := NewMachine()
	for _, step := range []struct {
		index uint64
		want  error
	}{{0, ErrIndexOrder}, {5, nil}, {5, ErrIndexOrder}, {4, ErrIndexOrder}, {7, nil}} {
		if _, err := m.Apply(step.index, 0, [][]byte{put("a", "")}); !errors.Is(err, step.want) {
			t.Fatalf("entry %d: got %v, want %v", step.index, err, step.want)
		}
	}
	if m.Revision() != 2 {
		t.Fatalf("revision %d, want 2", m.Revision())
	}
}

func TestClockNeverGoesBack(t *testing.T) {
	m := NewMachine()
	for i, step := range []struct{ entry, want time.Duration }{
		{-time.Second, 0}, {3 * time.Second, 3 * time.Second}, {time.Second, 3 * time.Second}, {4 * time.Second, 4 * time.Second},
	} {
		if _, err := m.Apply(uint64(i+1), step.entry, nil); err != nil {
			t.Fatal(err)
		}
		if got := m.Clock(); got != step.want {
			t.Fatalf("after an entry of %s: clock %s, want %s", step.entry, got, step.want)
		}
	}
	if got := restored(t, snapshotOf(t, m)).Clock(); got != 4*time.Second {
		t.Fatalf("after a snapshot: clock %s", got)
	}
}

func TestGetDoesNotAllocate(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("key", "value", "text/plain"))
	key := []byte("key")
	if n := testing.AllocsPerRun(100, func() { m.Get(key) }); n != 0 {
		t.Fatalf("Get allocates %v times", n)
	}
}

func TestNobodyCanAppendIntoAnItem(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("key", "value"))
	it, _ := m.Get([]byte("key"))
	_ = append(it.Key, 'X')
	if it, _ = m.Get([]byte("key")); string(it.Value) != "value" {
		t.Fatalf("value is %q", it.Value)
	}
}
