package raftnode

import (
	"slices"
	"testing"
	"time"
)

// TestSnapshotNamesItsVoters: a snapshot carries the configuration of its index.
// Without it whoever starts from one knows of no voters, and nobody leads again.
func TestSnapshotNamesItsVoters(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	n, stop := start(t, singleConfig(), newTestMachine(), d)
	ctx := within(t, 30*time.Second)
	for range 50 {
		_, err := n.Propose(ctx, []byte("x"))
		must(t, err)
	}
	for n.snapshotIndex.Load() == 0 {
		_, err := n.Propose(ctx, []byte("x")) // until the goroutine that writes it has had its turn
		must(t, err)
	}
	must(t, stop())
	index := n.snapshotIndex.Load()
	snap, err := n.mem.Snapshot()
	must(t, err)
	want := []uint64{testID.Member}
	if got := snap.GetMetadata().GetConfState().GetVoters(); index == 0 || !slices.Equal(got, want) {
		t.Errorf("in memory the snapshot at %d has the voters %v, want %v", index, got, want)
	}
	kill(d)
	d, err = OpenDisk(d.dir, nil)
	must(t, err)
	defer kill(d)
	rec, err := d.Load(testID)
	must(t, err)
	if got := rec.Snapshot.GetConfState().GetVoters(); rec.Snapshot.GetIndex() != index || !slices.Equal(got, want) {
		t.Errorf("on disk the snapshot at %d has the voters %v, want %v at %d", rec.Snapshot.GetIndex(), got, want, index)
	}
}
