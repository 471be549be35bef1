//go:build linux

package test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// Whoever reads the log may stop for ever, with its pipe full: reads, writes and the
// end go on without it (etcd issue 22214).
func TestLogReaderStops(t *testing.T) {
	t.Parallel()
	fifo := filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	fd, err := syscall.Open(fifo, syscall.O_RDWR|syscall.O_NONBLOCK, 0) // that it has a reader, who never reads
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Close(fd)
	fill := func() (bytes int) {
		for {
			n, err := syscall.Write(fd, []byte{'.'})
			if err != nil {
				if err != syscall.EAGAIN {
					t.Fatal(err)
				}
				return bytes
			}
			bytes += n
		}
	}
	if fill() == 0 {
		t.Fatal("the pipe was full before")
	}
	m := newMember(t, 1, "--tick", "20ms", "--snapshot-entries", "10") // a line of the log each
	m.mu.Lock()
	m.proc = start(t, m.name(), m.log, exec.Command("sh", append([]string{"-c", `exec "$@" 2>` + fifo, "sh"}, m.command().Args...)...))
	m.mu.Unlock()
	m.waitReady(15 * time.Second)
	for i := range 300 {
		m.put("k", fmt.Sprint(i))
		m.wantValue("k", fmt.Sprint(i))
	}
	if s := m.mustStatus(); s.SnapshotIndex < 100 {
		t.Errorf("the newest snapshot is at %d: what is logged did not happen", s.SnapshotIndex)
	}
	if fill() > 0 {
		t.Error("somebody reads the pipe")
	}
	if code := m.term(); code != 0 {
		t.Errorf("exit code %d, want 0", code)
	}
}
