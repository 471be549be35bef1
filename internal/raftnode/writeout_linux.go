package raftnode

import (
	"fmt"
	"os"
	"syscall"
)

// Flags of sync_file_range(2): wait for what is being written of the range,
// write it, and wait for that.
const writeAndWait = 1 | 2 | 4

// writeOut has a part of a file written to the disk. It makes nothing durable,
// that takes an fsync; but the fsync then finds little to do.
func writeOut(f *os.File, off, n int64) error {
	err := syscall.SyncFileRange(int(f.Fd()), off, n, writeAndWait)
	if err != nil && err != syscall.ENOSYS && err != syscall.ESPIPE {
		return fmt.Errorf("write out %s: %w", f.Name(), err)
	}
	return nil
}

// startWriteOut has a part of a file written to the disk soon, and waits for nothing.
func startWriteOut(f *os.File, off, n int64) {
	_ = syscall.SyncFileRange(int(f.Fd()), off, n, 2) // a hint
}

// aheadHere is the step in which the way of the log is prepared on this system.
const aheadHere = aheadStep

// nameless tells whether a file that is open has no name any more.
func nameless(info os.FileInfo) bool {
	st, ok := info.Sys().(*syscall.Stat_t)
	return ok && st.Nlink == 0
}
