package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"io"
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
	golden(t, "snapshot-v2.golden", b)
	back := restored(t, b)
	sameHashes(t, []*Machine{m, back})
	back.state.tree.check(t)
	if back.Revision() != 10 || back.Len() != 7 || back.Clock() != 90*time.Second || back.Bytes() != m.Bytes() ||
		back.Compacted() != 3 || back.HistoryBytes() != m.HistoryBytes() {
		t.Errorf("restored: revision %d, %d keys, clock %s, %d bytes", back.Revision(), back.Len(), back.Clock(), back.Bytes())
	}
	for _, want := range []Item{
		{[]byte("bin"), []byte("\xff\xfe\x00A"), "", 1, 1, 1},
		{[]byte("typed"), []byte("[]"), "application/json", 2, 9, 2},
		{[]byte("a//b"), []byte("1"), "", 4, 4, 1},
		{[]byte("../x"), []byte("2"), "", 5, 5, 1},
		{[]byte("%2F"), []byte("3"), "", 6, 6, 1},
		{[]byte("a?b"), []byte("4"), "", 7, 7, 1},
		{[]byte("\x00"), nil, "", 8, 8, 1},
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

func TestRestoreRefusesLies(t *testing.T) {
	// Revision 5, compacted to 4, clock 0, index 5, no marks.
	header := snapshotMagic + "\x02\x05\x04\x00\x05\x00"
	key := header + "\x01\x01\x00\x01\x01\x01\x00k" // written at revision 1
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
		{"unknown tag", header + "\x04\x01\x00\x01\x01\x01\x00k"},
		{"no version before", header + "\x01\x01\x00\x01\x05\x02\x00k"},
		{"begins with a later version", header + "\x02\x00\x05\x00"},
		{"begins with a delete", header + "\x03\x05"},
		{"deleted twice", snapshotMagic + "\x02\x05\x00\x00\x05\x00" + "\x01\x01\x00\x01\x01\x01\x00k" + "\x03\x02\x03\x03"},
		{"later version before", key + "\x02\x00\x01\x00"},
		{"later version that is compacted", key + "\x02\x00\x04\x00"},
		{"later version after the store's revision", key + "\x02\x00\x06\x00"},
		{"later version of 2^64-1 bytes", key + "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x05\x00"},
		{"compacted beyond the revision", snapshotMagic + "\x02\x05\x06\x00\x05\x00"},
		{"mark of revision 0", snapshotMagic + "\x02\x05\x00\x09\x05\x01\x00\x01"},
		{"mark after the store's revision", snapshotMagic + "\x02\x05\x00\x09\x05\x01\x06\x01"},
		{"mark after the clock", snapshotMagic + "\x02\x05\x00\x09\x05\x01\x01\x0a"},
		{"two marks at one clock", snapshotMagic + "\x02\x05\x00\x09\x05\x02\x01\x01\x01\x00"},
		{"2^63 marks", snapshotMagic + "\x02\x05\x00\x09\x05\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x01\x01"},
		{"clock over 63 bits", snapshotMagic + "\x02\x05\x00\x80\x80\x80\x80\x80\x80\x80\x80\x80\x01\x05\x00\x00"},
		{"number over 64 bits", snapshotMagic + "\x02\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02\x00\x05\x00"},
		{"number longer than it must be", snapshotMagic + "\x02\x85\x00\x00\x00\x05\x00"},
	} {
		if err := NewMachine().Restore(bytes.NewReader([]byte(c.b))); !errors.Is(err, ErrBadSnapshot) {
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
