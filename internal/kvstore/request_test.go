package kvstore

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"
)

// Every command twice with one idempotency key, the second time after a change.
func TestRequests(t *testing.T) {
	item := Item{key("k"), []byte("1"), "text/plain", 1, 1, 1, 0, 0}
	for _, c := range []struct {
		name   string
		cmd    []byte
		want   Result // of both
		op     OpKind
		prev   bool
		unkept bool // the second time it is applied
	}{
		{name: "put", cmd: put("n", "2"), want: Result{Code: Created, Revision: 3, ModRevision: 3}, op: OpPut},
		{name: "put, prev", cmd: put("k", "2", true), want: Result{Code: Replaced, Revision: 3, ModRevision: 3, Prev: &item}, op: OpPut, prev: true},
		{name: "failed", cmd: put("k", "2", Condition{Kind: IfAbsent}), want: Result{Code: ConditionFailed, Revision: 2, ModRevision: 1}, op: OpPut},
		{name: "delete", cmd: del("k", true), want: Result{Code: Deleted, Revision: 3, Prev: &item}, op: OpDelete, prev: true},
		{name: "delete of nothing", cmd: del("n"), want: Result{Code: NotFound, Revision: 2}, op: OpDelete},
		{name: "range", cmd: deleteRange("a", "z"), want: Result{Code: Deleted, Revision: 3, Deleted: 2}, op: OpDeleteRange},
		{name: "compaction", cmd: encodeCompact(2), want: Result{Code: Compacted, Revision: 2}, op: OpOther},
		{name: "compaction of the future", cmd: encodeCompact(9), want: Result{Code: FutureRevision, Revision: 2}, op: OpOther},
		{name: "grant", cmd: grant(time.Hour), want: Result{Code: LeaseGranted, Revision: 2, Lease: leaseID(2), TTL: time.Hour}, op: OpOther},
		{name: "keepalive", cmd: keepAlive(leaseID(1)), want: Result{Code: LeaseKept, Revision: 2, Lease: leaseID(1), TTL: time.Hour}, op: OpOther},
		{name: "revocation", cmd: revoke(leaseID(1)), want: Result{Code: LeaseRevoked, Revision: 3, Deleted: 1}, op: OpOther},
		{name: "attached to nothing", cmd: putLease("k", 99), want: Result{Code: LeaseNotFound, Revision: 2, ModRevision: 1}, op: OpPut},
		{name: "transaction", cmd: encodeTxn(&Txn{Then: []Op{{Kind: OpGet, Key: key("k")}, {Kind: OpDelete, Key: key("k")}, {Kind: OpRange, Key: key("k")}}}),
			want: Result{Code: TxnApplied, Revision: 3, Txn: &TxnResult{Succeeded: true, Ops: []OpResult{
				{Kind: OpGet, Code: Found, Item: &item}, {Kind: OpDelete, Code: Deleted, Count: 1},
				{Kind: OpRange, Items: []Item{{key("l"), []byte("v"), "", 2, 2, 1, leaseID(1), 0}}, Count: 1},
			}}}, op: OpOther},
		{name: "no command", cmd: []byte{1, 1, 0}, want: Result{Code: BadCommand, Revision: 2}, unkept: true},
	} {
		m := NewMachine()
		apply(t, m, put("k", "1", "text/plain"), grant(time.Hour), putLease("l", leaseID(1)))
		cmd := encodeRequest("id", c.cmd)
		if got := apply(t, m, cmd)[0]; !sameResult(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", c.name, got, c.want)
		}
		checkState(t, m)
		m = restored(t, snapshotOf(t, m))
		if c.unkept {
			if m.Requests() != 0 || m.RequestBytes() != 0 {
				t.Errorf("%s: is remembered", c.name)
			}
			continue
		}
		apply(t, m, put("k", "other"), put("zz", ""))
		_, before := m.Hash()
		index, revision := m.state.index, m.Revision()
		want := c.want
		want.Replayed = true
		if got := apply(t, m, cmd)[0]; !sameResult(got, want) {
			t.Errorf("%s, again: got %+v, want %+v", c.name, got, want)
		}
		m.state.index = index // all that may differ
		if _, after := m.Hash(); after != before || m.Revision() != revision {
			t.Errorf("%s: changed something again", c.name)
		}
		if got := apply(t, m, encodeRequest("id", put("k", "something else")))[0]; !sameResult(got, Result{Code: IdempotencyMismatch, Revision: revision}) {
			t.Errorf("%s: another request got %+v", c.name, got)
		}
		db := NewDB(m, nil)
		q, found, err := db.Request(t.Context(), "id", ReadOptions{Stale: true})
		if err != nil || !found || !sameResult(q.Result, c.want) || q.Op != c.op || q.WantPrev != c.prev {
			t.Errorf("%s: read %+v, %v, %v", c.name, q, found, err)
		}
		if _, found, err := db.Request(t.Context(), "other", ReadOptions{Stale: true}); found || err != nil {
			t.Errorf("%s: another request is known, %v", c.name, err)
		}
		checkState(t, m)
	}
}

func TestRequestOfTooMuchIsNotKept(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("k", strings.Repeat("x", 9<<20)))
	txn := encodeRequest("id", encodeTxn(&Txn{Then: []Op{{Kind: OpGet, Key: key("k")}, {Kind: OpGet, Key: key("k")}, {Kind: OpPut, Key: key("n")}}}))
	if r := apply(t, m, txn)[0]; r.Code != TooLarge || m.Requests() != 0 {
		t.Fatalf("%s, %d requests", r.Code, m.Requests())
	}
	if r := apply(t, m, put("k", "small"), txn)[1]; r.Code != TxnApplied || r.Replayed {
		t.Fatalf("%+v", r)
	}
}

func TestRequestsAreForgottenByAge(t *testing.T) {
	m := NewMachine()
	m.at(t, 1, encodeRequest("a", put("k", "1")))
	m.at(t, time.Second, encodeRequest("b", put("k", "2")))
	for _, step := range []struct {
		clock time.Duration
		want  int
	}{{requestAge, 2}, {requestAge + 1, 1}, {requestAge + time.Second - 1, 1}, {requestAge + time.Second, 0}} {
		m.at(t, step.clock)
		checkState(t, m)
		if got := m.Requests(); got != step.want {
			t.Errorf("at %s: %d requests, want %d", step.clock, got, step.want)
		}
	}
	if r := apply(t, m, encodeRequest("a", put("k", "3")))[0]; r.Replayed || r.Code != Replaced || m.Requests() != 1 {
		t.Errorf("after that: %+v", r)
	}
	// Many go over some entries, each of which is as far on every member.
	var cmds [][]byte
	for i := range 2*requestStep + 10 {
		cmds = append(cmds, encodeRequest(fmt.Sprint(i), del("x")))
	}
	m.at(t, time.Hour, cmds...)
	for _, want := range []int{requestStep + 10, 10, 0} {
		m.at(t, 2*time.Hour)
		checkState(t, m)
		if got := m.Requests(); got != want {
			t.Fatalf("%d requests, want %d", got, want)
		}
	}
	if m.RequestBytes() != 0 {
		t.Errorf("none of %d bytes", m.RequestBytes())
	}
}

func TestRequestsAreForgottenByNumber(t *testing.T) {
	m := NewMachine()
	m.requestMost = 1_000
	cmds := make([][]byte, 1_005)
	for i := range cmds {
		cmds[i] = encodeRequest(fmt.Sprint(i), del("x"))
	}
	m.at(t, 0, cmds...)
	if m.Requests() != 1_000 {
		t.Errorf("%d requests", m.Requests())
	}
	for k, want := range map[string]bool{"4": false, "5": true, fmt.Sprint(len(cmds) - 1): true} {
		if got := m.state.requests.find(key(k)) != nil; got != want {
			t.Errorf("%s is there: %v", k, got)
		}
	}
	checkState(t, restored(t, snapshotOf(t, m)))
}

func TestRequestsAreForgottenBySize(t *testing.T) {
	m := NewMachine()
	m.requestBytes = 64 << 20
	value := strings.Repeat("x", 1<<20)
	apply(t, m, put("k", value))
	for i := range 100 {
		apply(t, m, encodeRequest(fmt.Sprint(i), put("k", value, true)))
		if m.RequestBytes() > 64<<20 {
			t.Fatalf("%d bytes", m.RequestBytes())
		}
	}
	if n := m.Requests(); n != 63 {
		t.Errorf("%d requests", n)
	}
	if m.Used() != m.Bytes()+m.HistoryBytes()+m.RequestBytes() {
		t.Errorf("%d used, of %d, %d and %d", m.Used(), m.Bytes(), m.HistoryBytes(), m.RequestBytes())
	}
	checkState(t, m)
}

// What a request answered with does not keep versions in memory.
func TestRequestsHoldNoVersions(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("k", "first"), encodeRequest("id", put("k", "second", true)))
	for it := range (view{root: m.state.requests.records.root}).all() {
		if it.prev != nil || cap(it.kv) > 200 {
			t.Errorf("%+v", it)
		}
	}
	old := m.state.tree.get(key("k")).prev
	r := apply(t, m, encodeRequest("id", put("k", "second", true)))[0]
	if &old.value()[0] == &r.Prev.Value[0] {
		t.Error("a replayed result shares its previous item with the store")
	}
}

// TestNestedRequests: a request within a request is no command, however many, and
// finding that out takes no longer than to look at the first.
func TestNestedRequests(t *testing.T) {
	m := NewMachine()
	for _, depth := range []int{1, 100_000} {
		b := bytes.Repeat([]byte{commandVersion, byte(commandRequest), 1, 'k'}, depth)
		if r := apply(t, m, append(b, put("k", "v")...))[0]; depth > 1 && r.Code != BadCommand || depth == 1 && r.Code != Created {
			t.Errorf("%d deep: %v", depth, r.Code)
		}
	}
	if n := testing.AllocsPerRun(10, func() {
		decodeCommand(bytes.Repeat([]byte{commandVersion, byte(commandRequest), 1, 'k'}, 1000))
	}); n > 2 {
		t.Errorf("%v allocations", n)
	}
}
