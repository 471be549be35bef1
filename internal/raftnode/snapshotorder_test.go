package raftnode

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestSnapshotIsRecordedLast: when the file of a snapshot cannot be written, the
// log must not name it. The record may count much later, when the log has grown
// past it, and then takes the place of entries that nothing else holds.
func TestSnapshotIsRecordedLast(t *testing.T) {
	for _, installed := range []bool{false, true} {
		dir := t.TempDir()
		d, _ := openLoaded(t, dir)
		must(t, d.Save(hardState(1, 50), entries(1, 1, 50)), d.WriteBody(60, bytes.NewReader(body(t, 4, 60, "state"))))
		inTheWay := d.metaPath(4, 60)
		must(t, os.MkdirAll(filepath.Join(inTheWay, "x"), 0o700))
		if err := d.SaveSnapshot(snapshotMeta(4, 60), installed); err == nil {
			t.Fatal("there is no file, and no error")
		}
		kill(d)
		must(t, os.RemoveAll(inTheWay))
		// Another leader sends entries instead.
		d, _ = openLoaded(t, dir)
		must(t, d.Save(hardState(5, 100), entries(5, 51, 100)))
		kill(d)
		d, err := OpenDisk(dir, nil)
		must(t, err)
		rec, err := d.Load(testID)
		kill(d)
		if err != nil {
			t.Errorf("installed %v: refused: %v", installed, err)
		} else if got, want := logOf(rec), "0: 1/1 1/50 5/51 5/100"; got != want {
			t.Errorf("installed %v: log %s, want %s", installed, got, want)
		}
	}
}

// TestSnapshotBeforeTheNewestIsKept: a member whose newest snapshot is damaged
// starts from the one before it, and has lost nothing. So the log behind that one
// must not be released with the newest.
func TestSnapshotBeforeTheNewestIsKept(t *testing.T) {
	dir := t.TempDir()
	d, err := OpenDisk(dir, nil)
	must(t, err)
	sm := newTestMachine()
	n, stop := start(t, singleConfig(), sm, d)
	ctx := within(t, 30*time.Second)
	command := bytes.Repeat([]byte("x"), 4<<10) // so that segments of the log fill, and go
	for range 100 {
		_, err := n.Propose(ctx, command)
		must(t, err)
	}
	must(t, stop())
	kill(d)
	newest := n.snapshotIndex.Load()
	segments, err := segmentNames(d.path("wal"))
	must(t, err)
	if newest < 60 || strings.HasPrefix(segments[0], "0000000000000000-") {
		t.Fatalf("the newest snapshot is at %d, and there are %v", newest, segments)
	}
	damage(t, d.bodyPath(newest), func(b []byte) []byte { return []byte(strings.ToUpper(string(b))) })
	d, err = OpenDisk(dir, nil)
	must(t, err)
	defer kill(d)
	again := newTestMachine()
	n, stop = start(t, singleConfig(), again, d)
	must(t, n.ReadBarrier(within(t, 30*time.Second)), stop())
	if got, want := len(again.log.cmds), len(sm.log.cmds); got != want {
		t.Errorf("%d commands after the restart, want %d", got, want)
	}
}
