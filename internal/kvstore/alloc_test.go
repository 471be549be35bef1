//go:build !race

// The race detector allocates for itself, so these counts hold without it: `make test`
// runs TestAllocations of all packages once more, without -race.

package kvstore

import "testing"

// TestAllocations counts what the hot paths allocate. Raise nothing here without a reason.
func TestAllocations(t *testing.T) {
	m := NewMachine()
	key, value := benchKey(1), make([]byte, benchValue)
	cmd := encodeCommand(commandPut, false, Condition{}, key, "", value)
	index := uint64(0)
	batch := [][]byte{cmd, cmd, cmd, cmd, cmd, cmd, cmd, cmd}
	apply := func() {
		index++
		if _, err := m.Apply(index, 0, batch); err != nil {
			t.Fatal(err)
		}
	}
	apply()
	var buf []byte
	result := Result{Code: Replaced, Revision: 1 << 40, ModRevision: 1 << 40}
	for _, row := range []struct {
		name string
		run  func()
		most float64
	}{
		{"encode a command", func() { encodeCommand(commandPut, false, Condition{}, key, "", value) }, 1},
		{"apply eight replacing PUTs", apply, 17},
		{"get", func() { m.Get(key) }, 0},
		{"encode and decode a result", func() {
			buf = m.AppendResult(buf[:0], result)
			if _, err := m.DecodeResult(buf); err != nil {
				t.Fatal(err)
			}
		}, 0},
	} {
		if n := testing.AllocsPerRun(500, row.run); n > row.most {
			t.Errorf("%s: %v allocations, was %v", row.name, n, row.most)
		}
	}
}
