package replica

import (
	"errors"
	"strings"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// fakeNode is a member that knows of itself alone.
type fakeNode struct{ ids []uint64 }

func (n *fakeNode) SetDiskShort(short bool) {
	n.ids = nil
	if short {
		n.ids = []uint64{1}
	}
}
func (n *fakeNode) DiskShort() []uint64 { return n.ids }

// A disk counts as short below the reserve, and as good again only with an eighth
// more than that.
func TestDiskSpace(t *testing.T) {
	core, logs := observer.New(zap.InfoLevel)
	node := &fakeNode{}
	d := newDiskSpace("somewhere", 800, nil, zap.New(core))
	d.node = node
	for i, step := range []struct {
		free  uint64
		err   error
		short bool
		lines int
	}{
		{free: 5000},
		{free: 800},
		{free: 799, short: true, lines: 1},
		{free: 0, short: true, lines: 1},
		{free: 850, short: true, lines: 1},
		{free: 899, short: true, lines: 1},
		{err: errors.New("input/output error"), short: true, lines: 2},
		{err: errors.New("input/output error"), short: true, lines: 2},
		{free: 900, lines: 3},
		{free: 850, lines: 3},
		{free: 700, short: true, lines: 4},
	} {
		d.stat = func(string) (uint64, error) { return step.free, step.err }
		d.Look()
		if short := len(node.ids) > 0; short != step.short || logs.Len() != step.lines {
			t.Errorf("step %d: with %d bytes free: short %v after %d lines, want %v and %d", i, step.free, short, logs.Len(), step.short, step.lines)
		}
		if err := d.noSpace(); (err != nil) != step.short || err != nil && !strings.Contains(err.Error(), "member 1 is short of space: make room there") {
			t.Errorf("step %d: writes get %v", i, err)
		}
		if err := d.snapshotRoom(); (err != nil) != (step.err == nil && step.free < 400) {
			t.Errorf("step %d: a snapshot gets %v", i, err)
		}
	}
	if d.free.Load() != 700 {
		t.Errorf("free %d, want 700", d.free.Load())
	}
}

func TestDiskSpaceWithoutReserve(t *testing.T) {
	d := newDiskSpace("somewhere", 0, func(string) (uint64, error) { return 0, nil }, zap.NewNop())
	d.node = &fakeNode{}
	d.Look()
	if d.short || d.noSpace() != nil || d.snapshotRoom() != nil {
		t.Errorf("a member without a reserve is short: %v, %v, %v", d.short, d.noSpace(), d.snapshotRoom())
	}
	d.node = &fakeNode{ids: []uint64{2, 3}}
	if err := d.noSpace(); err == nil || !strings.Contains(err.Error(), "members [2 3]") {
		t.Errorf("with others that are short: %v", err)
	}
}
