package kvstore

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"
)

func noPause() error { return nil }

// checkDigest compares the scan with the hash that was kept.
func checkDigest(tb testing.TB, m *Machine) {
	tb.Helper()
	_, want := m.Hash()
	if got, err := m.Digest()(noPause); err != nil || got != want {
		tb.Fatalf("digest %016x, error %v, want %016x", got, err, want)
	}
}

// wornMachine has all that a store can have: keys with and without an end, their
// history, forgotten versions behind it, tombstones, leases and requests.
func wornMachine(tb testing.TB) *Machine {
	m := NewMachine()
	clock := time.Duration(0)
	index := uint64(0)
	do := func(cmds ...[]byte) []Result {
		tb.Helper()
		index++
		clock += 700 * time.Millisecond
		rs, err := m.Apply(index, clock, cmds)
		if err != nil {
			tb.Fatal(err)
		}
		return rs
	}
	lease := do(grant(time.Hour))[0].Lease
	for i := range 400 {
		key := fmt.Sprintf("key/%04d", i)
		do(put(key, "value one", "text/plain"))
		switch i % 4 {
		case 0:
			do(putLease(key, lease))
		case 1:
			do(putTTL(key, time.Hour))
		case 2:
			do(del(key))
		default:
			do(encodeRequest(fmt.Sprint("request", i), put(key, "again", "text/html")))
		}
	}
	for range 200 {
		do(put("hot", "x"))
	}
	do(encodeCompact(m.Revision() - 20))
	return m
}

// TestDigestSeesDamage: each thing that is in memory, changed behind the back of
// Apply.
func TestDigestSeesDamage(t *testing.T) {
	find := func(m *Machine, key string) *item { return m.state.tree.get([]byte(key)) }
	someLeaf := func(m *Machine) *leaf { return m.state.tree.find([]byte("key/0003")).leaf }
	for _, c := range []struct {
		name   string
		damage func(m *Machine)
	}{
		{"value", func(m *Machine) { find(m, "key/0003").value()[0] ^= 1 }},
		{"key", func(m *Machine) { find(m, "key/0003").kv[5] ^= 1 }},
		{"old value", func(m *Machine) { find(m, "hot").prev.prev.value()[0] ^= 1 }},
		{"version", func(m *Machine) { find(m, "key/0003").version++ }},
		{"revision", func(m *Machine) { find(m, "key/0003").createRevision-- }},
		{"chain", func(m *Machine) { find(m, "hot").prev = find(m, "hot").prev.prev }},
		{"loop", func(m *Machine) { find(m, "hot").prev.prev = find(m, "hot") }},
		{"content type", func(m *Machine) { find(m, "key/0003").traits.contentType = "text/htmm" }},
		{"deadline", func(m *Machine) { find(m, "key/0001").traits.deadline++ }},
		{"lease", func(m *Machine) { first(&m.state.leases.tree).value()[9] ^= 1 }},
		{"attachment", func(m *Machine) { m.state.leases.attached.drop(first(&m.state.leases.attached).kv) }},
		{"deadlines", func(m *Machine) { first(&m.state.leases.deadlines).kv[0] ^= 0x40 }},
		{"request", func(m *Machine) { first(&m.state.requests.records).value()[2] ^= 1 }},
		{"index of requests", func(m *Machine) { first(&m.state.requests.index).value()[7] ^= 1 }},
		{"mark", func(m *Machine) { m.state.marks[0].clock++ }},
		{"lost key", func(m *Machine) { m.state.tree.drop([]byte("key/0003")) }},
		{"count", func(m *Machine) { m.state.tree.n++ }},
		{"bytes", func(m *Machine) { m.state.bytes++ }},
		{"history", func(m *Machine) { m.state.history++ }},
		{"tag", func(m *Machine) { someLeaf(m).tags[3] ^= 1 }},
		{"order", func(m *Machine) {
			l := someLeaf(m)
			l.items[3], l.items[4] = l.items[4], l.items[3]
			l.tags[3], l.tags[4] = l.tags[4], l.tags[3]
		}},
		{"separator", func(m *Machine) { in := m.state.tree.root.(*inner); in.seps[0] = in.seps[1] }},
		{"head", func(m *Machine) { m.state.tree.root.(*inner).heads[1]++ }},
		{"sum", func(m *Machine) { m.state.sum++ }},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := wornMachine(t)
			checkDigest(t, m)
			c.damage(m)
			if _, err := m.Digest()(noPause); !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
			// A snapshot has no end, or none of the damage.
			var b bytes.Buffer
			s, _ := m.Snapshot()
			if _, err := s.WriteTo(&b); err == nil {
				if err := NewMachine().Restore(&b); err != nil {
					t.Errorf("a snapshot was written that cannot be read: %v", err)
				}
			} else if !errors.Is(err, ErrDamaged) {
				t.Errorf("snapshot: %v", err)
			}
		})
	}
}

func first(t *tree) (found *item) {
	ascend(t.root, nil, nil, func(it *item) bool { found = it; return false })
	return found
}

// TestDigestIsOfOneMoment: what is applied during a scan is not in it.
func TestDigestIsOfOneMoment(t *testing.T) {
	m := wornMachine(t)
	index, want := m.Hash()
	scan := m.Digest()
	pauses := 0
	got, err := scan(func() error {
		pauses++
		index++
		rev := m.Revision()
		rs, err := m.Apply(index, m.Clock()+time.Second, [][]byte{
			encodeRequest(fmt.Sprint(index), putTTL("key/0003", time.Minute)),
			encodeCompact(rev), deleteRange("key/01", "key/02"), grant(time.Hour),
		})
		if err != nil || rs[0].Code != Replaced {
			t.Fatalf("%+v, %v", rs, err)
		}
		return nil
	})
	if err != nil || got != want || pauses < 2 {
		t.Errorf("digest %016x, error %v after %d pauses, want %016x", got, err, pauses, want)
	}
	checkDigest(t, m)
	checkState(t, m)
}

func TestDigestStopsWithPause(t *testing.T) {
	stop := errors.New("stop")
	calls := 0
	_, err := wornMachine(t).Digest()(func() error { calls++; return stop })
	if !errors.Is(err, stop) || errors.Is(err, ErrDamaged) || calls != 1 {
		t.Errorf("error %v after %d calls", err, calls)
	}
}

// BenchmarkDigest scans keys of 32 bytes with values of 128.
func BenchmarkDigest(b *testing.B) {
	m, _ := benchMachine(b)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.Digest()(noPause); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDigestFreeze(b *testing.B) {
	m, _ := benchMachine(b)
	b.ReportAllocs()
	for b.Loop() {
		m.Digest()
	}
}
