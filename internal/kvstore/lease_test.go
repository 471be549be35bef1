package kvstore

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"
)

func putTTL(key string, ttl time.Duration) []byte {
	return encodeWrite(commandPut, []byte(key), []byte("v"), PutOptions{TTL: ttl})
}

func putLease(key string, id LeaseID, o ...any) []byte {
	opts := PutOptions{Lease: id}
	for _, o := range o {
		opts.Condition = o.(Condition)
	}
	return encodeWrite(commandPut, []byte(key), []byte("v"), opts)
}

func grant(ttl time.Duration) []byte { return encodeLease(commandGrant, uint64(ttl)) }
func keepAlive(id LeaseID) []byte    { return encodeLease(commandKeepAlive, uint64(id)) }
func revoke(id LeaseID) []byte       { return encodeLease(commandRevoke, uint64(id)) }
func deleteRange(a, b string) []byte { return encodeDeleteRange([]byte(a), []byte(b)) }

// applyAt applies a command at a clock and returns its result.
func applyAt(tb testing.TB, m *Machine, clock time.Duration, cmd []byte) Result {
	tb.Helper()
	index, _ := m.Hash()
	rs, err := m.Apply(index+1, clock, [][]byte{cmd})
	if err != nil {
		tb.Fatal(err)
	}
	return rs[0]
}

func TestLeaseIDs(t *testing.T) {
	for _, c := range []struct {
		id   LeaseID
		text string
	}{
		{1, "0000000000000001"}, {0xe220a8397b1dcdaf, "e220a8397b1dcdaf"}, {math.MaxUint64, "ffffffffffffffff"},
	} {
		if got, ok := ParseLeaseID(c.text); c.id.String() != c.text || !ok || got != c.id {
			t.Errorf("%d: is %s, parsed to %d, %v", c.id, c.id, got, ok)
		}
	}
	for _, text := range []string{"", "0", "1", "0000000000000000", "E220A8397B1DCDAF", "e220a8397b1dcda", "e220a8397b1dcdaff",
		"+220a8397b1dcdaf", "0x20a8397b1dcdaf", "e220a839_b1dcdaf", "g220a8397b1dcdaf", " 220a8397b1dcdaf"} {
		if id, ok := ParseLeaseID(text); ok || id != 0 {
			t.Errorf("%q: parsed to %s", text, id)
		}
	}
	seen := map[LeaseID]bool{0: true}
	for n := range uint64(10_000) {
		id := leaseID(n + 1)
		if seen[id] {
			t.Fatalf("lease %d has id %s again", n+1, id)
		}
		seen[id] = true
	}
}

// One store lives through all steps; ids are those of the first leases.
func TestLeases(t *testing.T) {
	one, two, three := leaseID(1), leaseID(2), leaseID(3)
	absent := Condition{Kind: IfAbsent}
	s := time.Second
	m := NewMachine()
	for _, step := range []struct {
		name  string
		clock time.Duration
		cmd   []byte
		want  Result
		keys  string
	}{
		{"grant", s, grant(10 * s), Result{Code: LeaseGranted, Lease: one, TTL: 10 * s}, ""},
		{"another", s, grant(20 * s), Result{Code: LeaseGranted, Lease: two, TTL: 20 * s}, ""},
		{"too short", s, grant(s - 1), Result{Code: BadCommand}, ""},
		{"too long", s, grant(MaxTTL + 1), Result{Code: BadCommand}, ""},
		{"attach", 2 * s, putLease("b", one), Result{Code: Created, Revision: 1, ModRevision: 1}, "b"},
		{"attach again", 2 * s, putLease("b", one), Result{Code: Replaced, Revision: 2, ModRevision: 2}, "b"},
		{"attach to nothing", 2 * s, putLease("c", three), Result{Code: LeaseNotFound, Revision: 2}, "b"},
		{"attach what is there to nothing", 2 * s, putLease("b", three), Result{Code: LeaseNotFound, Revision: 2, ModRevision: 2}, "b"},
		{"the condition is judged first", 2 * s, putLease("b", three, absent), Result{Code: ConditionFailed, Revision: 2, ModRevision: 2}, "b"},
		{"attach two more", 2 * s, putLease("a", one), Result{Code: Created, Revision: 3, ModRevision: 3}, "a b"},
		{"and one", 2 * s, putLease("c", one), Result{Code: Created, Revision: 4, ModRevision: 4}, "a b c"},
		{"to another lease", 2 * s, putLease("c", two), Result{Code: Replaced, Revision: 5, ModRevision: 5}, "a b c"},
		{"nothing is due", 10 * s, encodeExpire(), Result{Code: Expired, Revision: 5}, "a b c"},
		{"keepalive", 10 * s, keepAlive(one), Result{Code: LeaseKept, Revision: 5, Lease: one, TTL: 10 * s}, "a b c"},
		{"keepalive of nothing", 10 * s, keepAlive(three), Result{Code: LeaseNotFound, Revision: 5}, "a b c"},
		{"keepalive of lease 0", 10 * s, keepAlive(0), Result{Code: LeaseNotFound, Revision: 5}, "a b c"},
		{"kept: nothing is due", 20*s - 1, encodeExpire(), Result{Code: Expired, Revision: 5}, "a b c"},
		{"due, but there yet", 20 * s, put("d", ""), Result{Code: Created, Revision: 6, ModRevision: 6}, "a b c d"},
		{"keepalive too late", 20 * s, keepAlive(one), Result{Code: LeaseNotFound, Revision: 6}, "a b c d"},
		{"attached too late", 20 * s, putLease("d", one), Result{Code: LeaseNotFound, Revision: 6, ModRevision: 6}, "a b c d"},
		{"revoked too late", 20 * s, revoke(one), Result{Code: LeaseNotFound, Revision: 6}, "a b c d"},
		{"expiry", 20 * s, encodeExpire(), Result{Code: Expired, Revision: 7, Deleted: 2}, "c d"},
		{"expiry again", 20 * s, encodeExpire(), Result{Code: Expired, Revision: 7}, "c d"},
		{"revoke", 20 * s, revoke(two), Result{Code: LeaseRevoked, Revision: 8, Deleted: 1}, "d"},
		{"revoke again", 20 * s, revoke(two), Result{Code: LeaseNotFound, Revision: 8}, "d"},
		{"grant", 20 * s, grant(s), Result{Code: LeaseGranted, Revision: 8, Lease: three, TTL: s}, "d"},
		{"revoke without keys", 20 * s, revoke(three), Result{Code: LeaseRevoked, Revision: 8}, "d"},
	} {
		if got := applyAt(t, m, step.clock, step.cmd); !sameResult(got, step.want) {
			t.Errorf("%s: got %+v, want %+v", step.name, got, step.want)
		}
		checkState(t, m)
		if got := keysOf(m); got != step.keys {
			t.Errorf("%s: keys %q, want %q", step.name, got, step.keys)
		}
	}
	if deadline, ok := m.NextExpiry(); ok || m.LeaseCount() != 0 {
		t.Errorf("at the end: %d leases, something due at %s", m.LeaseCount(), deadline)
	}
}

func keysOf(m *Machine) string {
	var keys []string
	for it := range (View{tree: view{root: m.state.tree.root}, revision: m.Revision()}).Ascend(nil, nil) {
		keys = append(keys, string(it.Key))
	}
	return strings.Join(keys, " ")
}

// A key's TTL ends with the write that has none.
func TestTTL(t *testing.T) {
	s := time.Second
	for _, c := range []struct {
		name string
		cmds [][]byte // one each second, from second 0 on
		due  time.Duration
		left string // after an expiry at second 100
	}{
		{"put", [][]byte{putTTL("k", 10*s)}, 10 * s, ""},
		{"put again, longer", [][]byte{putTTL("k", 10*s), putTTL("k", 60*s)}, 61 * s, ""},
		{"put again, shorter", [][]byte{putTTL("k", 10*s), putTTL("k", 2*s)}, 3 * s, ""},
		{"put again without", [][]byte{putTTL("k", 10*s), put("k", "")}, 0, "k"},
		{"put again, but not", [][]byte{putTTL("k", 10*s), put("k", "", Condition{Kind: IfAbsent})}, 10 * s, ""},
		{"too long to be over", [][]byte{putTTL("k", MaxTTL)}, MaxTTL, "k"},
		{"deleted", [][]byte{putTTL("k", 10*s), del("k")}, 0, ""},
		{"deleted in a range", [][]byte{putTTL("k", 10*s), deleteRange("a", "z")}, 0, ""},
		{"deleted and put again", [][]byte{putTTL("k", 10*s), del("k"), put("k", "")}, 0, "k"},
		{"from a lease", [][]byte{grant(60 * s), putLease("k", leaseID(1)), putTTL("k", 10*s), revoke(leaseID(1))}, 12 * s, ""},
		{"to a lease", [][]byte{grant(200 * s), putTTL("k", 10*s), putLease("k", leaseID(1))}, 200 * s, "k"},
		{"from a lease to none", [][]byte{grant(60 * s), putLease("k", leaseID(1)), put("k", ""), revoke(leaseID(1))}, 0, "k"},
		{"compacted", [][]byte{putTTL("k", 10*s), putTTL("k", 20*s), encodeCompact(2)}, 21 * s, ""},
		{"compacted below", [][]byte{putTTL("k", 10*s), putTTL("k", 20*s), encodeCompact(1)}, 21 * s, ""},
		{"compacted after a delete", [][]byte{putTTL("k", 10*s), del("k"), encodeCompact(2)}, 0, ""},
		{"in a transaction", [][]byte{encodeTxn(&Txn{Then: []Op{{Kind: OpPut, Key: []byte("k"), TTL: 5 * s}, {Kind: OpPut, Key: []byte("l")}}})}, 5 * s, "l"},
		{"ended by a transaction", [][]byte{putTTL("k", 10*s), encodeTxn(&Txn{Then: []Op{{Kind: OpPut, Key: []byte("k")}}})}, 0, "k"},
	} {
		m := NewMachine()
		for i, cmd := range c.cmds {
			applyAt(t, m, time.Duration(i)*s, cmd)
			checkState(t, m)
		}
		m = restored(t, snapshotOf(t, m))
		if due, ok := m.NextExpiry(); due != c.due || ok != (c.due > 0) {
			t.Errorf("%s: due at %s, %v, want %s", c.name, due, ok, c.due)
		}
		applyAt(t, m, 100*s, encodeExpire())
		checkState(t, m)
		if got := keysOf(m); got != c.left {
			t.Errorf("%s: %q is left, want %q", c.name, got, c.left)
		}
	}
}

func TestExpiryInOneRevisionAndInOrder(t *testing.T) {
	m := NewMachine()
	s := time.Second
	apply(t, m, grant(3*s), grant(2*s), grant(9*s),
		putTTL("e", s), putLease("d", leaseID(1)), putTTL("c", 3*s), putLease("b", leaseID(2)), putLease("a", leaseID(3)), putTTL("f", 9*s), put("g", ""))
	before := m.Revision()
	if r := applyAt(t, m, 3*s, encodeExpire()); r.Revision != before+1 || r.Deleted != 4 {
		t.Fatalf("got %+v", r)
	}
	checkState(t, m)
	var got []string
	for i := m.state.events.upTo(before); i < m.state.events.n; i++ {
		e := m.state.events.at(i)
		got = append(got, string(e.it.kv))
		if !e.it.expired() || e.revision != before+1 {
			t.Errorf("%q: %+v", e.it.kv, e.it)
		}
	}
	if fmt.Sprint(got) != "[b c d e]" || keysOf(m) != "a f g" {
		t.Errorf("expired %v, left %s", got, keysOf(m))
	}
	apply(t, m, del("g"), revoke(leaseID(3)))
	for i := m.state.events.upTo(before + 1); i < m.state.events.n; i++ {
		if e := m.state.events.at(i); !e.it.deleted() || e.it.expired() {
			t.Errorf("%q was deleted: %+v", e.it.kv, e.it)
		}
	}
}

// One command ends the oldest, up to a number of keys; the keys of a lease stay together.
func TestExpiryOfMuch(t *testing.T) {
	m := NewMachine()
	var cmds [][]byte
	for i := range expireMost + 10 { // the younger ones first
		cmds = append(cmds, putTTL(fmt.Sprintf("ttl/%05d", i), MinTTL+time.Duration(expireMost+10-i)))
	}
	cmds = append(cmds, grant(time.Hour), grant(2*time.Hour))
	for i := range expireMost + 20 {
		cmds = append(cmds, putLease(fmt.Sprintf("lease/%05d", i), leaseID(uint64(1+i%2))))
	}
	if _, err := m.Apply(1, 0, cmds); err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct{ deleted, left int }{
		{expireMost, expireMost + 30}, // all that have a TTL but ten
		{expireMost + 30, 0},          // these, and both leases: what the first leaves room for
		{0, 0},
	} {
		r := applyAt(t, m, 3*time.Hour, encodeExpire())
		if r.Deleted != uint64(want.deleted) || m.Len() != want.left {
			t.Fatalf("expiry %d: %d deleted, %d left, want %d and %d", i+1, r.Deleted, m.Len(), want.deleted, want.left)
		}
		checkState(t, m)
		if i == 0 {
			if _, ok := m.Get([]byte("ttl/00009")); !ok {
				t.Error("not the oldest went first")
			}
		}
	}
	if _, ok := m.NextExpiry(); ok {
		t.Error("something is due yet")
	}
}

func TestDeadlineAtTheEndOfTime(t *testing.T) {
	m := NewMachine()
	for _, cmd := range [][]byte{grant(MaxTTL), putTTL("k", time.Hour)} {
		applyAt(t, m, math.MaxInt64-time.Second, cmd)
	}
	if deadline, ok := m.NextExpiry(); !ok || deadline != math.MaxInt64 {
		t.Fatalf("due at %s", deadline)
	}
	sameHashes(t, []*Machine{m, restored(t, snapshotOf(t, m))})
	if r := applyAt(t, m, math.MaxInt64, encodeExpire()); r.Deleted != 1 {
		t.Fatalf("at the end of time: %+v", r)
	}
	checkState(t, m)
}

// What a key was attached to can be read at old revisions for as long as these can.
func TestHistoryOfLeases(t *testing.T) {
	m := NewMachine()
	apply(t, m, grant(time.Hour), putLease("k", leaseID(1)), putTTL("k", time.Minute), put("k", ""), revoke(leaseID(1)))
	for _, m := range []*Machine{m, restored(t, snapshotOf(t, m))} {
		for revision, want := range []Item{1: {Lease: leaseID(1)}, 2: {TTL: time.Minute}, 3: {}} {
			if revision == 0 {
				continue
			}
			it, err := m.readAt([]byte("k"), uint64(revision))
			if err != nil {
				t.Fatal(err)
			}
			if got := it.export(); got.Lease != want.Lease || got.TTL != want.TTL {
				t.Errorf("at %d: got %+v, want %+v", revision, got, want)
			}
		}
	}
}

func TestPlainItemsStaySmall(t *testing.T) {
	m := NewMachine()
	apply(t, m, grant(time.Hour), put("a", "1"), put("b", "2"), put("c", "3", "text/plain"), put("d", "4", "text/plain"),
		putLease("e", leaseID(1)), putLease("f", leaseID(1)), put("g", "5"))
	for _, pair := range []string{"ab", "cd", "ef", "ag"} {
		a, b := m.state.tree.get([]byte(pair[:1])), m.state.tree.get([]byte(pair[1:]))
		if a.traits != b.traits {
			t.Errorf("%s and %s do not share what they have in common", pair[:1], pair[1:])
		}
	}
	if n := testing.AllocsPerRun(100, func() { m.types.of([]byte("text/plain"), 0); m.types.of(nil, 0) }); n != 0 {
		t.Errorf("known content types allocate %v times", n)
	}
}
