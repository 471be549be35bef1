package raftnode

import (
	"io"
	"testing"
	"testing/synctest"
	"time"
)

// slowBodies is a storage whose snapshot bodies take their time.
type slowBodies struct {
	Storage
	pause time.Duration
}

func (s slowBodies) WriteBody(index uint64, r io.Reader) error {
	time.Sleep(s.pause)
	return s.Storage.WriteBody(index, r)
}

// TestSnapshotDueWhileOneIsWritten: it is taken when the first is done, without
// waiting for an entry that may never come.
func TestSnapshotDueWhileOneIsWritten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		cfg := singleConfig()
		cfg.VerifyEvery = -1 // no entry but those below
		n, stop := start(t, cfg, newTestMachine(), slowBodies{d, time.Minute})
		ctx := within(t, time.Hour)
		for range 3 * singleConfig().SnapshotEntries {
			if _, err := n.Propose(ctx, []byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		last := n.applied.index.Load()
		time.Sleep(5 * time.Minute)
		if got := n.snapshotIndex.Load(); got != last {
			t.Errorf("newest snapshot at %d, want %d", got, last)
		}
		must(t, stop())
		must(t, d.Close())
	})
}
