package raftnode

import (
	"os"
	"runtime"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.uber.org/goleak"
)

// TestMain makes WAL segments small, so that tests cross their borders. One
// processor is for the race detector's sake, which does not survive two that read
// timers of one synctest bubble at once (see clustertest's TestMain).
func TestMain(m *testing.M) {
	runtime.GOMAXPROCS(1)
	wal.SegmentSizeBytes = 16 << 10
	code := m.Run()
	if err := goleak.Find(); code == 0 && err != nil {
		println(err.Error())
		code = 1
	}
	os.Exit(code)
}
