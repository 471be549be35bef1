package kvstore

import (
	"bytes"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
)

const (
	benchKeys  = 100_000
	benchValue = 128
)

func benchKey(i int) []byte { return fmt.Appendf(nil, "bench/key/%022d", i) }

func benchMachine(b *testing.B) (*Machine, [][]byte) {
	b.Helper()
	m := NewMachine()
	value := make([]byte, benchValue)
	keys := make([][]byte, benchKeys)
	for i, k := range rand.New(rand.NewPCG(1, 2)).Perm(benchKeys) {
		keys[i] = benchKey(k)
		cmd := encodeCommand(commandPut, false, Condition{}, keys[i], "", value)
		if _, err := m.Apply(uint64(i+1), 0, [][]byte{cmd}); err != nil {
			b.Fatal(err)
		}
	}
	return m, keys
}

func BenchmarkGet(b *testing.B) {
	m, keys := benchMachine(b)
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		if _, ok := m.Get(keys[i%benchKeys]); !ok {
			b.Fatal("not found")
		}
		i += 7919
	}
}

// BenchmarkApply replaces values in entries of 64 commands; an operation is one
// command. History is kept to 10,000 revisions.
func BenchmarkApply(b *testing.B) { benchApply(b, func(*Machine) {}) }

// BenchmarkApplyBesideViews has somebody ask for a view after each entry.
func BenchmarkApplyBesideViews(b *testing.B) {
	benchApply(b, func(m *Machine) {
		if _, err := m.view(0); err != nil {
			b.Fatal(err)
		}
	})
}

func benchApply(b *testing.B, between func(*Machine)) {
	m, keys := benchMachine(b)
	apply(b, m, encodeCompact(m.Revision()))
	const batch = 64
	entries := make([][][]byte, 200)
	for i := range entries {
		for j := range batch {
			key := keys[(i*batch+j)*7919%benchKeys]
			entries[i] = append(entries[i], encodeCommand(commandPut, false, Condition{}, key, "", make([]byte, benchValue)))
		}
	}
	index, _ := m.Hash()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n%batch == 0 {
			index++
			cmds := entries[n/batch%len(entries)]
			if revision, due := m.CompactionDue(Retention{Revisions: 10_000}); due {
				cmds = append(cmds[:batch:batch], encodeCompact(revision))
			}
			if _, err := m.Apply(index, 0, cmds); err != nil {
				b.Fatal(err)
			}
			between(m)
		}
		n++
	}
}

// BenchmarkView takes a view and reads a page of 100 keys from its middle.
func BenchmarkView(b *testing.B) {
	m, _ := benchMachine(b)
	b.ReportAllocs()
	for b.Loop() {
		v, err := m.view(0)
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for range v.Ascend(benchKey(benchKeys/2), nil) {
			if n++; n == 100 {
				break
			}
		}
	}
}

// BenchmarkCompactHotKey cuts a tenth off a chain of 10,000 versions.
func BenchmarkCompactHotKey(b *testing.B) {
	m := NewMachine()
	index := uint64(0)
	b.ReportAllocs()
	for b.Loop() {
		b.StopTimer()
		for m.Revision()-m.Compacted() < 11_000 {
			index++
			if _, err := m.Apply(index, 0, [][]byte{put("hot", "v")}); err != nil {
				b.Fatal(err)
			}
		}
		index++
		cmd := [][]byte{encodeCompact(m.Compacted() + 1_000)}
		b.StartTimer()
		if _, err := m.Apply(index, 0, cmd); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkEncodeCommand(b *testing.B) {
	key, value := benchKey(1), make([]byte, benchValue)
	b.ReportAllocs()
	for b.Loop() {
		encodeCommand(commandPut, false, Condition{Kind: IfRevision, Revision: 1 << 40}, key, "application/json", value)
	}
}

func BenchmarkResult(b *testing.B) {
	m := NewMachine()
	r := Result{Code: Replaced, Revision: 1 << 40, ModRevision: 1 << 40}
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		buf = m.AppendResult(buf[:0], r)
		if _, err := m.DecodeResult(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSnapshot(b *testing.B) {
	m, _ := benchMachine(b)
	b.ReportAllocs()
	for b.Loop() {
		s, err := m.Snapshot()
		if err != nil {
			b.Fatal(err)
		}
		n, err := s.WriteTo(io.Discard)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(n)
	}
}

func BenchmarkRestore(b *testing.B) {
	m, _ := benchMachine(b)
	snapshot := snapshotOf(b, m)
	b.SetBytes(int64(len(snapshot)))
	b.ReportAllocs()
	for b.Loop() {
		if err := NewMachine().Restore(bytes.NewReader(snapshot)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkApplyTxn compares a key's revision and replaces two values.
func BenchmarkApplyTxn(b *testing.B) {
	m, keys := benchMachine(b)
	value := make([]byte, benchValue)
	index, _ := m.Hash()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		one, two := keys[i%benchKeys], keys[(i+1)%benchKeys]
		cmd := encodeTxn(&Txn{
			If:   []Comparison{{Key: one, Target: CompareExists, Op: Equal, Number: 1}},
			Then: []Op{{Kind: OpPut, Key: one, Value: value}, {Kind: OpPut, Key: two, Value: value}},
		})
		index++
		if _, err := m.Apply(index, 0, [][]byte{cmd}); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

// BenchmarkApplyRequest replaces a value, with an idempotency key that is new.
func BenchmarkApplyRequest(b *testing.B) {
	m, keys := benchMachine(b)
	value := make([]byte, benchValue)
	index, _ := m.Hash()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		cmd := encodeCommand(commandPut, false, Condition{}, keys[i%benchKeys], "", value)
		index++
		if _, err := m.Apply(index, 0, [][]byte{encodeRequest(fmt.Sprint(index), cmd)}); err != nil {
			b.Fatal(err)
		}
		i += 7919
	}
}

// BenchmarkExpire puts 1,000 keys with a TTL and ends them in one command; an
// operation is one key.
func BenchmarkExpire(b *testing.B) {
	m, keys := benchMachine(b)
	value := make([]byte, benchValue)
	const batch = 1_000
	index, _ := m.Hash()
	b.ReportAllocs()
	n := 0
	for b.Loop() {
		if n++; n%batch != 0 {
			continue
		}
		cmds := make([][]byte, batch, batch+1)
		for i := range cmds {
			cmds[i] = encodeWrite(commandPut, keys[(n+i)*7919%benchKeys], value, PutOptions{TTL: MinTTL})
		}
		for _, cmds := range [][][]byte{cmds, {encodeExpire(), encodeCompact(m.Revision())}} {
			index++
			if _, err := m.Apply(index, m.Clock()+MinTTL, cmds); err != nil {
				b.Fatal(err)
			}
		}
	}
}
