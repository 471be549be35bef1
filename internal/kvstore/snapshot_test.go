package kvstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"
)

// exampleMachine holds a bit of everything that a snapshot has room for.
func exampleMachine(tb testing.TB) *Machine {
	m := NewMachine()
	apply(tb, m, put("bin", "\xff\xfe\x00A"), put("typed", "{}", "application/json"), put("gone", "x"),
		put("a//b", "1"), put("../x", "2"), put("%2F", "3"), put("a?b", "4"), put("\x00", ""),
		put("typed", "[]", "application/json"), del("gone"), encodeCompact(3))
	if _, err := m.Apply(300, 90*time.Second, nil); err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestSnapshotGolden(t *testing.T) {
	m := exampleMachine(t)
	b := snapshotOf(t, m)
	golden(t, "snapshot-v3.golden", b)
	back := restored(t, b)
	sameHashes(t, []*Machine{m, back})
	back.state.tree.check(t)
	if back.Revision() != 10 || back.Len() != 7 || back.Clock() != 90*time.Second || back.Bytes() != m.Bytes() ||
		back.Compacted() != 3 || back.HistoryBytes() != m.HistoryBytes() {
		t.Errorf("restored: revision %d, %d keys, clock %s, %d bytes", back.Revision(), back.Len(), back.Clock(), back.Bytes())
	}
	for _, want := range []Item{
		{[]byte("bin"), []byte("\xff\xfe\x00A"), "", 1, 1, 1, 0, 0},
		{[]byte("typed"), []byte("[]"), "application/json", 2, 9, 2, 0, 0},
		{[]byte("a//b"), []byte("1"), "", 4, 4, 1, 0, 0},
		{[]byte("../x"), []byte("2"), "", 5, 5, 1, 0, 0},
		{[]byte("%2F"), []byte("3"), "", 6, 6, 1, 0, 0},
		{[]byte("a?b"), []byte("4"), "", 7, 7, 1, 0, 0},
		{[]byte("\x00"), nil, "", 8, 8, 1, 0, 0},
	} {
		if got, ok := back.Get(want.Key); !ok || !sameItem(&got, &want) {
			t.Errorf("%q: got %+v, want %+v", want.Key, got, want)
		}
	}
	if again := snapshotOf(t, back); !bytes.Equal(again, b) {
		t.Error("the snapshot of what was restored is another one")
	}
	// Both go on alike.
	apply(t, m, put("gone", "again"), del("bin"))
	apply(t, back, put("gone", "again"), del("bin"))
	sameHashes(t, []*Machine{m, back})
}

// mortalMachine holds leases, keys that do not last, of now and of the past, and requests.
func mortalMachine(tb testing.TB) *Machine {
	tb.Helper()
	m := NewMachine()
	lease := func(n uint64) PutOptions { return PutOptions{Lease: leaseID(n), ContentType: "text/plain"} }
	apply(tb, m, encodeLease(commandGrant, uint64(time.Hour)), encodeLease(commandGrant, uint64(2*time.Second)),
		encodeLease(commandGrant, uint64(MaxTTL)), encodeLease(commandGrant, uint64(time.Hour)),
		encodeRequest("first", encodeWrite(commandPut, []byte("a"), []byte("1"), lease(1))),
		encodeWrite(commandPut, []byte("a"), []byte("2"), lease(2)), // expires
		encodeWrite(commandPut, []byte("b"), []byte("3"), lease(3)),
		encodeWrite(commandPut, []byte("c"), []byte("4"), PutOptions{TTL: time.Second}), // expires
		encodeWrite(commandPut, []byte("d"), []byte("5"), PutOptions{TTL: time.Minute}),
		put("d", "6"), // lasts
		encodeWrite(commandPut, []byte("e"), []byte("7"), PutOptions{TTL: time.Minute}),
		encodeWrite(commandPut, []byte("e"), []byte("8"), PutOptions{TTL: time.Hour, ContentType: "text/plain"}),
		encodeLease(commandRevoke, uint64(leaseID(4))))
	if _, err := m.Apply(300, 90*time.Second, [][]byte{encodeExpire(), encodeCompact(3), put("c", "9"),
		encodeLease(commandKeepAlive, uint64(leaseID(1))),
		encodeRequest("second", del("e", true, Condition{Kind: IfAbsent})),
		encodeRequest("third", encodeTxn(&Txn{Then: []Op{{Kind: OpRange}, {Kind: OpGet, Key: []byte("b")}}}))}); err != nil {
		tb.Fatal(err)
	}
	return m
}

func TestSnapshotOfWhatEnds(t *testing.T) {
	m := mortalMachine(t)
	checkState(t, m)
	b := snapshotOf(t, m)
	golden(t, "snapshot-v3-mortal.golden", b)
	back := restored(t, b)
	checkState(t, back)
	sameHashes(t, []*Machine{m, back})
	if again := snapshotOf(t, back); !bytes.Equal(again, b) {
		t.Error("the snapshot of what was restored is another one")
	}
	if back.LeaseCount() != 2 || back.Requests() != 3 || back.RequestBytes() != m.RequestBytes() || back.Used() != m.Used() {
		t.Errorf("%d leases, %d requests of %d bytes", back.LeaseCount(), back.Requests(), back.RequestBytes())
	}
	for _, want := range []Item{
		{[]byte("b"), []byte("3"), "text/plain", 3, 3, 1, leaseID(3), 0},
		{[]byte("c"), []byte("9"), "", 10, 10, 1, 0, 0},
		{[]byte("d"), []byte("6"), "", 5, 6, 2, 0, 0},
		{[]byte("e"), []byte("8"), "text/plain", 7, 8, 2, 0, time.Hour},
	} {
		if got, ok := back.Get(want.Key); !ok || !sameItem(&got, &want) {
			t.Errorf("%q: got %+v, want %+v", want.Key, got, want)
		}
	}
	// Both go on alike: a retry, a grant, and the end of it all.
	for _, m := range []*Machine{m, back} {
		r := apply(t, m, encodeRequest("first", encodeWrite(commandPut, []byte("a"), []byte("1"), PutOptions{Lease: leaseID(1), ContentType: "text/plain"})),
			encodeLease(commandGrant, uint64(time.Hour)))
		if !r[0].Replayed || r[0].ModRevision != 1 || r[1].Lease != leaseID(5) {
			t.Errorf("after the snapshot: %+v", r)
		}
		m.at(t, 2*MaxTTL, encodeExpire())
		checkState(t, m)
	}
	sameHashes(t, []*Machine{m, back})
	if got := restored(t, b); got.state.tree.get([]byte("a")).deleted() != true || !got.state.tree.get([]byte("a")).expired() {
		t.Errorf("the tombstone that expiry left is %+v", got.state.tree.get([]byte("a")))
	}
	if n := back.Len(); n != 2 {
		t.Errorf("%d keys in the end", n)
	}
}

func TestRestoreOfWhatEndsRefusesChanges(t *testing.T) {
	good := snapshotOf(t, mortalMachine(t))
	for n := range good {
		if err := NewMachine().Restore(bytes.NewReader(good[:n])); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("cut after %d bytes: %v", n, err)
		}
		flipped := bytes.Clone(good)
		flipped[n] ^= 1
		if err := NewMachine().Restore(bytes.NewReader(flipped)); !errors.Is(err, ErrBadSnapshot) {
			t.Errorf("byte %d changed: %v", n, err)
		}
	}
}

func TestSnapshotOfNothing(t *testing.T) {
	m := exampleMachine(t)
	if err := m.Restore(bytes.NewReader(snapshotOf(t, NewMachine()))); err != nil {
		t.Fatal(err)
	}
	sameHashes(t, []*Machine{m, NewMachine()})
	if m.Len() != 0 || m.Revision() != 0 || m.Bytes() != 0 {
		t.Errorf("%d keys, revision %d, %d bytes", m.Len(), m.Revision(), m.Bytes())
	}
}

func TestRestoreFailureLeavesTheOldState(t *testing.T) {
	good := snapshotOf(t, exampleMachine(t))
	m := NewMachine()
	apply(t, m, put("old", "state"), put("bin", "old too"))
	index, hash := m.Hash()
	broken := errors.New("checksum mismatch")
	refused := func(name string, r io.Reader, want error) {
		t.Helper()
		if err := m.Restore(r); !errors.Is(err, want) {
			t.Errorf("%s: got %v, want %v", name, err, want)
		}
		it, _ := m.Get([]byte("old"))
		if i, h := m.Hash(); i != index || h != hash || string(it.Value) != "state" || m.Len() != 2 {
			t.Fatalf("%s: the old state is gone", name)
		}
	}
	for n := range good {
		refused(fmt.Sprintf("cut after %d bytes", n), bytes.NewReader(good[:n]), ErrBadSnapshot)
		flipped := bytes.Clone(good)
		flipped[n] ^= 1
		want := ErrBadSnapshot
		if n == len(snapshotMagic) {
			flipped[n], want = snapshotVersion+1, ErrNewerVersion
		}
		refused(fmt.Sprintf("byte %d changed", n), bytes.NewReader(flipped), want)
	}
	refused("more behind it", bytes.NewReader(append(bytes.Clone(good), 0)), ErrBadSnapshot)
	refused("an error in the middle", io.MultiReader(bytes.NewReader(good[:40]), iotest.ErrReader(broken)), broken)
	refused("an error for the end", io.MultiReader(bytes.NewReader(good), iotest.ErrReader(broken)), broken)

	if err := m.Restore(iotest.OneByteReader(bytes.NewReader(good))); err != nil {
		t.Fatal(err)
	}
	sameHashes(t, []*Machine{m, exampleMachine(t)})
}

// lease and request are what a snapshot has of one.
func lease(id uint64, ttl, deadline time.Duration) string {
	b := binary.BigEndian.AppendUint64(nil, id)
	b = binary.AppendUvarint(b, uint64(ttl))
	return string(binary.AppendUvarint(b, uint64(deadline)))
}

func request(x record) string { return string(appendBytes(nil, x.append(nil))) }

func TestRestoreRefusesLies(t *testing.T) {
	// Revision 5, compacted to 4, clock 0, index 5, no marks, leases or requests.
	header := snapshotMagic + "\x03\x05\x04\x00\x05\x00" + "\x00\x00\x00\x00"
	key := header + "\x01\x01\x00\x01\x01\x01\x00k" // written at revision 1
	leases := snapshotMagic + "\x03\x05\x04\x00\x05\x00"
	requests := leases + "\x00\x00"
	created := appendResult(nil, &Result{Code: Created, Revision: 1, ModRevision: 1})
	for _, c := range []struct{ name, b string }{
		{"key of no bytes", header + "\x01\x00\x00\x01\x01\x01\x00"},
		{"value of 2^62 bytes", header + "\x01\x01\x80\x80\x80\x80\x80\x80\x80\x80\x40\x01\x01\x01\x00k"},
		{"value of 2^64-1 bytes", header + "\x01\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01\x01\x01\x00k"},
		{"key of 5000 bytes", header + "\x01\x88\x27\x00\x01\x01\x01\x00" + string(make([]byte, 5000))},
		{"content type of 2000 bytes", header + "\x01\x01\x00\x01\x01\x01\xd0\x0f" + string(make([]byte, 2001))},
		{"written after the store's revision", header + "\x01\x01\x00\x01\x06\x01\x00k"},
		{"created after it was written", header + "\x01\x01\x00\x03\x02\x01\x00k"},
		{"more versions than revisions", header + "\x01\x01\x00\x01\x02\x03\x00k"},
		{"version 0", header + "\x01\x01\x00\x01\x02\x00\x00k"},
		{"keys out of order", header + "\x01\x01\x00\x01\x01\x01\x00k\x01\x01\x00\x02\x02\x01\x00j"},
		{"a key twice", header + "\x01\x01\x00\x01\x01\x01\x00k\x01\x01\x00\x02\x02\x01\x00k"},
		{"begins with an expiry", header + "\x04\x05"},
		{"unknown tag", header + "\x07\x01\x00\x01\x01\x01\x00k"},
		{"no version before", header + "\x01\x01\x00\x01\x05\x02\x00k"},
		{"begins with a later version", header + "\x02\x00\x05\x00"},
		{"begins with a delete", header + "\x03\x05"},
		{"deleted twice", snapshotMagic + "\x03\x05\x00\x00\x05\x00" + "\x00\x00\x00\x00" + "\x01\x01\x00\x01\x01\x01\x00k" + "\x03\x02\x03\x03"},
		{"later version before", key + "\x02\x00\x01\x00"},
		{"later version that is compacted", key + "\x02\x00\x04\x00"},
		{"later version after the store's revision", key + "\x02\x00\x06\x00"},
		{"later version of 2^64-1 bytes", key + "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x05\x00"},
		{"compacted beyond the revision", snapshotMagic + "\x03\x05\x06\x00\x05\x00"},
		{"mark of revision 0", snapshotMagic + "\x03\x05\x00\x09\x05\x01\x00\x01"},
		{"mark after the store's revision", snapshotMagic + "\x03\x05\x00\x09\x05\x01\x06\x01"},
		{"mark after the clock", snapshotMagic + "\x03\x05\x00\x09\x05\x01\x01\x0a"},
		{"two marks at one clock", snapshotMagic + "\x03\x05\x00\x09\x05\x02\x01\x01\x01\x00"},
		{"2^63 marks", snapshotMagic + "\x03\x05\x00\x09\x05\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01\x01"},
		{"lease 0", leases + "\x01\x01" + lease(0, MinTTL, MinTTL)},
		{"a lease twice", leases + "\x02\x02" + lease(7, MinTTL, MinTTL) + lease(7, MinTTL, MinTTL)},
		{"leases out of order", leases + "\x02\x02" + lease(7, MinTTL, MinTTL) + lease(6, MinTTL, MinTTL)},
		{"lease of no time", leases + "\x01\x01" + lease(7, 0, MinTTL)},
		{"lease of eleven years", leases + "\x01\x01" + lease(7, MaxTTL+1, MaxTTL+1)},
		{"lease that ended before the first entry", leases + "\x01\x01" + lease(7, MinTTL, MinTTL-1)},
		{"lease that is longer than it is", leases + "\x01\x01" + lease(7, MinTTL, MinTTL+1)},
		{"2^63 leases", leases + "\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
		{"more requests than there were ever", requests + "\x01\x02"},
		{"too many requests", requests + "\xff\xff\x7f\xc1\x84\x3d"},
		{"request of 2^63 bytes", requests + "\x01\x01\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01"},
		{"request that is none", requests + "\x01\x01\x03abc"},
		{"request without a key", requests + "\x01\x01" + request(record{op: OpPut, result: created})},
		{"request of the future", requests + "\x01\x01" + request(record{op: OpPut, key: []byte("k"), clock: 1, result: created})},
		{"request of a strange kind", requests + "\x01\x01" + request(record{op: OpGet, key: []byte("k"), result: created})},
		{"request with no result", requests + "\x01\x01" + request(record{op: OpPut, key: []byte("k")})},
		{"requests with one key", requests + "\x02\x02" + request(record{op: OpPut, key: []byte("k"), result: created}) +
			request(record{op: OpPut, key: []byte("k"), result: created})},
		{"key with a lease that is not there", header + "\x05\x01\x00\x01\x01\x01\x07\x00k" + "\x00"},
		{"key with neither lease nor TTL", header + "\x05\x01\x00\x01\x01\x01\x00\x00\x00\x00k" + "\x00"},
		{"later version with neither lease nor TTL", key + "\x06\x00\x05\x00\x00\x00\x00"},
		{"clock over 63 bits", snapshotMagic + "\x03\x05\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x05\x00\x00"},
		{"number over 64 bits", snapshotMagic + "\x03\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x05\x00"},
		{"number longer than it must be", snapshotMagic + "\x03\x85\x00\x00\x00\x05\x00"},
	} {
		err := NewMachine().Restore(bytes.NewReader([]byte(c.b)))
		// Where much is announced, only the end of the stream tells that it was a lie.
		cut := strings.Contains(c.name, "2^6") && err != nil && strings.Contains(err.Error(), "cut short")
		if !errors.Is(err, ErrBadSnapshot) || strings.Contains(err.Error(), "cut short") != cut || strings.Contains(err.Error(), ": version") {
			t.Errorf("%s: got %v", c.name, err)
		}
	}
}

func TestSnapshotOfLargeValues(t *testing.T) {
	m := NewMachine()
	for i, n := range []int{trusted - 1, trusted, trusted + 1, 5*trusted + 3} {
		value := bytes.Repeat([]byte{byte('a' + i)}, n)
		apply(t, m, put(fmt.Sprint(n), string(value)))
	}
	back := restored(t, snapshotOf(t, m))
	sameHashes(t, []*Machine{m, back})
	if back.Bytes() != m.Bytes() {
		t.Errorf("%d bytes, want %d", back.Bytes(), m.Bytes())
	}
}

func TestSnapshotIsFrozenWhileApplyGoesOn(t *testing.T) {
	m := NewMachine()
	for i := range 20_000 {
		apply(t, m, put(fmt.Sprintf("key/%05d", i*7919%20_000), "before"))
	}
	s, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	want := snapshotOf(t, m)
	var got bytes.Buffer
	var wg sync.WaitGroup
	wg.Go(func() {
		if _, err := s.WriteTo(&got); err != nil {
			t.Error(err)
		}
	})
	wg.Go(func() {
		for i := range 20_000 {
			m.Get(fmt.Appendf(nil, "key/%05d", i))
		}
	})
	for i := range 20_000 {
		key := fmt.Sprintf("key/%05d", i)
		switch i % 3 {
		case 0:
			apply(t, m, put(key, "after"))
		case 1:
			apply(t, m, del(key))
		case 2:
			apply(t, m, put(key+"/new", "after"))
		}
	}
	wg.Wait()
	if !bytes.Equal(got.Bytes(), want) {
		t.Fatal("the snapshot is not the state at its beginning")
	}
	m.state.tree.check(t)
}

func TestRestoreKeepsWhatIsTheSame(t *testing.T) {
	m := NewMachine()
	apply(t, m, put("same", "1"), put("other", "1"), put("typed", "1", "text/plain"))
	same := m.state.tree.get([]byte("same"))
	ahead := restored(t, snapshotOf(t, m))
	apply(t, ahead, put("other", "2"), put("new", "3"))
	if err := m.Restore(bytes.NewReader(snapshotOf(t, ahead))); err != nil {
		t.Fatal(err)
	}
	if m.state.tree.get([]byte("same")) != same {
		t.Error("the same item is there anew")
	}
	sameHashes(t, []*Machine{m, ahead})
}

// failAfter fails the write with which n bytes would be passed.
type failAfter struct{ n int }

var errFull = errors.New("disk full")

func (f *failAfter) Write(b []byte) (int, error) {
	if f.n -= len(b); f.n < 0 {
		return 0, errFull
	}
	return len(b), nil
}

func TestSnapshotReportsWriteErrors(t *testing.T) {
	m := NewMachine()
	for i := range 3 {
		apply(t, m, put(fmt.Sprint(i), string(make([]byte, snapshotBuffer))))
	}
	s, err := m.Snapshot()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{0, snapshotBuffer, 3 * snapshotBuffer} {
		if written, err := s.WriteTo(&failAfter{n}); !errors.Is(err, errFull) || written > int64(n) {
			t.Errorf("room for %d bytes: wrote %d, %v", n, written, err)
		}
	}
}

// TestRestoreForgetsTheMoment: a view that was taken of the state before is not
// given to who asks after.
func TestRestoreForgetsTheMoment(t *testing.T) {
	from := NewMachine()
	apply(t, from, put("k", "new"), put("other", "x"))
	m := NewMachine()
	apply(t, m, put("k", "old"))
	if _, err := m.view(0); err != nil {
		t.Fatal(err)
	}
	if err := m.Restore(bytes.NewReader(snapshotOf(t, from))); err != nil {
		t.Fatal(err)
	}
	v, err := m.view(0)
	if it, _ := v.Get(key("k")); err != nil || string(it.Value) != "new" || v.Revision() != 2 {
		t.Errorf("got %q at revision %d, %v", it.Value, v.Revision(), err)
	}
}
