package raftnode

import (
	"os"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/goleak"
)

// TestMain makes WAL segments small, so that tests cross their borders.
func TestMain(m *testing.M) {
	wal.SegmentSizeBytes = 64 << 10
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}
