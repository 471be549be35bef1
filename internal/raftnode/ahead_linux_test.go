package raftnode

import (
	"encoding/binary"
	"os"
	"syscall"
	"testing"
	"unsafe"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// TestAheadIsWritten: what was only allocated counts as written, which is what it is
// all about.
func TestAheadIsWritten(t *testing.T) {
	a := ahead{dir: t.TempDir(), step: 64 << 10}
	defer a.close()
	f, err := os.Create(a.dir + "/0000000000000000-0000000000000000.wal")
	must(t, err)
	defer f.Close()
	const size = 1 << 20
	must(t, fileutil.Preallocate(f, size, true))
	before, ok := unwritten(t, f)
	if !ok || before != size {
		t.Skipf("NOT RUN: %d bytes of %d are known to be allocated and not written: not a file system that tells", before, size)
	}
	for range size/a.step + 1 {
		must(t, a.prepare())
	}
	if after, _ := unwritten(t, f); after != 0 {
		t.Errorf("%d bytes of %d count as not written still", after, size)
	}
}

// unwritten asks the file system (FS_IOC_FIEMAP) how many bytes of a file are allocated
// and not written.
func unwritten(t *testing.T, f *os.File) (n uint64, ok bool) {
	t.Helper()
	const header, extent, most = 32, 56, 64
	buf := make([]byte, header+most*extent)
	le := binary.LittleEndian
	le.PutUint64(buf[8:], ^uint64(0)) // length: all
	le.PutUint32(buf[16:], 1)         // FIEMAP_FLAG_SYNC
	le.PutUint32(buf[24:], most)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, f.Fd(), 0xc020660b, uintptr(unsafe.Pointer(&buf[0])))
	if errno != 0 {
		return 0, false
	}
	for i := range le.Uint32(buf[20:]) {
		e := buf[header+i*extent:]
		if le.Uint32(e[40:])&0x800 != 0 { // FIEMAP_EXTENT_UNWRITTEN
			n += le.Uint64(e[16:])
		}
	}
	return n, true
}
