package kvstore

import (
	"fmt"
	"testing"
	"time"
)

// at applies cmds as one entry at clock.
func (m *Machine) at(tb testing.TB, clock time.Duration, cmds ...[]byte) {
	tb.Helper()
	index, _ := m.Hash()
	if _, err := m.Apply(index+1, clock, cmds); err != nil {
		tb.Fatal(err)
	}
}

func TestCompactionDueByRevisions(t *testing.T) {
	m := NewMachine()
	r := Retention{Revisions: 100}
	for i := range 109 {
		m.at(t, 0, put("k", fmt.Sprint(i)))
		if revision, due := m.CompactionDue(r); due {
			t.Fatalf("due up to %d at revision %d", revision, i+1)
		}
	}
	m.at(t, 0, put("k", "x"))
	m.at(t, 0, put("k", "x")) // 11 of 111 are over
	if revision, due := m.CompactionDue(r); !due || revision != 11 {
		t.Fatalf("up to %d, %v", revision, due)
	}
	apply(t, m, encodeCompact(11))
	if revision, due := m.CompactionDue(r); due || revision != 11 {
		t.Fatalf("after a compaction: up to %d, %v", revision, due)
	}
}

func TestCompactionDueByAge(t *testing.T) {
	m := NewMachine()
	r := Retention{Age: 10 * time.Second}
	for i := range 20 {
		m.at(t, time.Duration(i)*400*time.Millisecond, put("k", fmt.Sprint(i)))
	}
	for _, c := range []struct {
		clock time.Duration
		want  uint64 // 0: not due
	}{
		{10 * time.Second, 0},
		{11 * time.Second, 0}, // what a mark says is older than it, not as old
		{11200 * time.Millisecond, 3},
		{13 * time.Second, 6},
		{100 * time.Second, 18}, // there is no mark behind revision 19
	} {
		m.at(t, c.clock)
		revision, due := m.CompactionDue(r)
		if due != (c.want > 0) || due && revision != c.want {
			t.Errorf("at %s: up to %d, %v, want %d", c.clock, revision, due, c.want)
		}
	}
	// A later change tells the age of the rest; a restored store knows it too.
	m.at(t, 101*time.Second, put("other", ""))
	m.at(t, 112*time.Second)
	for _, m := range []*Machine{m, restored(t, snapshotOf(t, m))} {
		if revision, due := m.CompactionDue(r); !due || revision != 20 {
			t.Errorf("at the end: up to %d, %v", revision, due)
		}
		apply(t, m, encodeCompact(20))
		if len(m.state.marks) != 1 {
			t.Errorf("%d marks after a compaction, want 1", len(m.state.marks))
		}
		checkState(t, m)
	}
}

func TestCompactionDueByBytes(t *testing.T) {
	m := NewMachine()
	value := string(make([]byte, 1_000-1-versionBytes)) // 1,000 with its key
	for range 30 {
		m.at(t, 0, put("k", value))
	}
	m.at(t, 0, del("k"))
	m.at(t, 0, put("new", "x"))
	tombstone := uint64(1 + versionBytes)
	if want := 30*1_000 + tombstone; m.HistoryBytes() != want {
		t.Fatalf("%d bytes of history, want %d", m.HistoryBytes(), want)
	}
	for _, c := range []struct{ limit, want, left uint64 }{
		{31_000, 0, 30_000 + tombstone},
		{29_500, 0, 30_000 + tombstone}, // 1 of 32 is too little
		{20_000 + tombstone, 11, 20_000 + tombstone},
		{1_000 + tombstone, 30, 1_000 + tombstone},
		{1, 31, 0},
	} {
		revision, due := m.CompactionDue(Retention{Bytes: c.limit})
		if due != (c.want > 0) || due && revision != c.want {
			t.Fatalf("limit of %d: up to %d, %v, want %d", c.limit, revision, due, c.want)
		}
		if due {
			apply(t, m, encodeCompact(revision))
		}
		if m.HistoryBytes() != c.left {
			t.Fatalf("limit of %d: %d bytes left, want %d", c.limit, m.HistoryBytes(), c.left)
		}
		checkState(t, m)
	}
}

func TestCompactionDueInSteps(t *testing.T) {
	m := NewMachine()
	cmds := make([][]byte, 0, stepMost+stepMost/2)
	for i := range cap(cmds) {
		cmds = append(cmds, put(fmt.Sprint(i), ""))
	}
	m.at(t, 0, cmds...)
	m.at(t, 0, encodeDeleteRange(nil, nil)) // more than a step in one revision
	all := uint64(cap(cmds) + 1)
	m.at(t, 0, put("k", ""))
	r := Retention{Revisions: 1}
	var steps []uint64
	for {
		revision, due := m.CompactionDue(r)
		if !due {
			break
		}
		if revision <= m.Compacted() {
			t.Fatalf("due up to %d, compacted to %d", revision, m.Compacted())
		}
		steps = append(steps, revision)
		apply(t, m, encodeCompact(revision))
	}
	if len(steps) != 3 || steps[0] != stepMost || steps[1] != all-1 || steps[2] != all {
		t.Errorf("steps to %d", steps)
	}
	if m.HistoryBytes() != 0 || m.state.tree.n != 1 {
		t.Errorf("%d bytes of history, %d keys in the tree", m.HistoryBytes(), m.state.tree.n)
	}
	checkState(t, m)
}

func TestNothingIsDueByDefault(t *testing.T) {
	m := NewMachine()
	if revision, due := m.CompactionDue(Retention{}); due {
		t.Errorf("empty store: due up to %d", revision)
	}
	for i := range 5_000 {
		m.at(t, time.Duration(i)*time.Millisecond, put("k", "v"))
	}
	if revision, due := m.CompactionDue(Retention{}); due {
		t.Errorf("due up to %d", revision)
	}
	m.at(t, 2*time.Hour)
	if revision, due := m.CompactionDue(Retention{}); !due || revision != stepMost {
		t.Errorf("after two hours: up to %d, %v", revision, due)
	}
}
