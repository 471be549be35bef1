//go:build !race

// The race detector allocates for itself, so these counts hold without it: `make test`
// runs TestAllocations of all packages once more, without -race.

package raftnode

import (
	"bytes"
	"slices"
	"testing"
)

// benchProposals are as many commands as a busy loop joins, each the length of a PUT of
// 128 bytes.
func benchProposals() []*proposal[string] {
	props := make([]*proposal[string], 64)
	for i := range props {
		props[i] = &proposal[string]{cmd: bytes.Repeat([]byte("c"), 180)}
	}
	return props
}

func encodeBench(dst []byte, props []*proposal[string]) []byte {
	dst = entryHeader{kind: kindCommands, id: entryID{1, 2, 3}, clock: 4}.append(dst)
	return appendCommands(dst, props)
}

// TestAllocations counts what the hot paths allocate. Raise nothing here without a reason.
func TestAllocations(t *testing.T) {
	props := benchProposals()
	entry := encodeBench(nil, props)
	var cmds [][]byte
	decode := func() {
		_, payload, err := decodeEntry(entry)
		if err != nil {
			t.Fatal(err)
		}
		if cmds, err = decodeCommands(cmds[:0], payload); err != nil || len(cmds) != len(props) {
			t.Fatal(len(cmds), err)
		}
	}
	q, taken := newQueue[int](), []int(nil)
	box, spare := newInbox[string](), &inputs[string]{}
	var dst []byte
	for _, row := range []struct {
		name string
		run  func()
		most float64
	}{
		{"encode an entry into memory it has", func() { dst = encodeBench(dst[:0], props) }, 0},
		{"decode an entry", decode, 0},
		{"the queue", func() { q.put(1, 2, 3); taken = q.take(taken) }, 0},
		{"the loop's mailbox", func() {
			box.put(func(in *inputs[string]) { in.props = append(in.props, props[0]) })
			spare = box.take(spare)
		}, 0},
	} {
		if n := testing.AllocsPerRun(500, row.run); n > row.most {
			t.Errorf("%s: %v allocations, was %v", row.name, n, row.most)
		}
	}
}

func BenchmarkEncodeEntry(b *testing.B) {
	props := benchProposals()
	dst := slices.Grow([]byte(nil), 1<<16)
	b.ReportAllocs()
	for b.Loop() {
		dst = encodeBench(dst[:0], props)
	}
	b.SetBytes(int64(len(dst)))
}

func BenchmarkDecodeEntry(b *testing.B) {
	entry := encodeBench(nil, benchProposals())
	var cmds [][]byte
	b.SetBytes(int64(len(entry)))
	b.ReportAllocs()
	for b.Loop() {
		_, payload, err := decodeEntry(entry)
		if err != nil {
			b.Fatal(err)
		}
		if cmds, err = decodeCommands(cmds[:0], payload); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInbox(b *testing.B) {
	box, spare := newInbox[string](), &inputs[string]{}
	p := &proposal[string]{}
	b.ReportAllocs()
	for b.Loop() {
		box.put(func(in *inputs[string]) { in.props = append(in.props, p) })
		spare = box.take(spare)
	}
}
