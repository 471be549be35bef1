package test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A log that cannot be written ends the member with exit code 1, at once and in
// the words of the system; it acknowledges nothing more, and all that it did is
// there when the disk has room again. Without a reserve, that is: with one, no
// write comes so far.
func TestDiskErrorEndsTheProcess(t *testing.T) {
	t.Parallel()
	small := smallDisk(t, 256<<20)
	m := newCluster(t, 1, "--disk-reserve-bytes", "0", "--snapshot-bytes", "1GiB", "--snapshot-entries", "1000000").members[0]
	m.dir = filepath.Join(small, "data")
	m.start()
	m.waitReady(15 * time.Second)
	m.put("first", "1")
	// The log has what it takes in advance: two files of 64 MB.
	waitFor(t, 10*time.Second, "the disk is full", func() error {
		left := freeSpace(t, small)
		if left == 0 {
			return nil
		}
		_, err := ballast(small, left)
		return errors.Join(fmt.Errorf("%d bytes are left", left), err)
	})
	value := strings.Repeat("v", 256<<10)
	acked := 0
	var failed time.Time
	for range 1000 {
		r, err := send(t.Context(), http.MethodPut, fmt.Sprintf("%s/v1/kv/%d?timeout=2s", m.clientURL, acked), []byte(value))
		if err != nil || r.status >= 300 {
			failed = time.Now()
			break
		}
		acked++
	}
	if failed.IsZero() {
		t.Fatal("the disk is full, and all writes are acknowledged")
	}
	if code := m.process().exitCode(10 * time.Second); code != 1 {
		t.Errorf("exit code %d, want 1", code)
	}
	if took := time.Since(failed); took > time.Second {
		t.Errorf("it ended %v after a write had failed", took)
	}
	out := strings.TrimSpace(m.process().output())
	last := out[strings.LastIndexByte(out, '\n')+1:]
	for _, says := range []string{"nothing more was acknowledged", "no space left on device"} {
		if !strings.Contains(last, says) {
			t.Errorf("the last line does not say %q: %s", says, last)
		}
	}
	t.Logf("after %d values of 256 KiB: %s", acked, last)

	files, err := filepath.Glob(filepath.Join(small, "ballast*"))
	if err != nil {
		t.Fatal(err)
	}
	remove(t, files...)
	m.start()
	m.waitReady(20 * time.Second)
	m.wantValue("first", "1")
	for i := range acked {
		m.wantValue(fmt.Sprint(i), value)
	}
	m.put("after", "x")
}

// A directory on a file system that is mounted read-only is refused like one
// without permission: with its path and the system's reason.
func TestReadOnlyFileSystem(t *testing.T) {
	t.Parallel()
	small := smallDisk(t, 128<<20)
	used := newCluster(t, 1, "--disk-reserve-bytes", "0").members[0]
	used.dir = filepath.Join(small, "used")
	used.start()
	used.waitReady(15 * time.Second)
	used.kill()
	if err := syscall.Mount("none", small, "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Skipf("NOT RUN: no file system can be made read-only here: %v", err)
	}
	wantRefusal(t, used.command(), used.dir, "read-only file system")
	fresh := newMember(t, 1)
	fresh.dir = filepath.Join(small, "fresh")
	wantRefusal(t, fresh.command(), fresh.dir, "read-only file system")
}
