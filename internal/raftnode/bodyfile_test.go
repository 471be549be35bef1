package raftnode

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"testing"
)

// TestDroppedBodyIsReadToItsEnd: giving a body's space back bit by bit must take
// nothing from those who still read it.
func TestDroppedBodyIsReadToItsEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "body")
	want := bytes.Repeat([]byte("0123456789abcdef"), 3*bodyDropBytes/16)
	must(t, saveBody(path, bytes.NewReader(want)))
	var b bodyFiles
	first, err := b.open(path)
	must(t, err)
	second, err := b.open(path)
	must(t, err)
	must(t, b.drop(path))
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("the dropped file has its name still: %v", err)
	}
	must(t, first.Close())
	b.wait()
	got, err := io.ReadAll(second)
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("read %d bytes of %d, %v", len(got), len(want), err)
	}
	watch, err := os.Open("/proc/self/fd/" + strconv.Itoa(int(second.Fd())))
	if err != nil {
		t.Logf("the end is not looked at: %v", err) // not on Linux
	}
	must(t, second.Close())
	b.wait()
	if watch == nil {
		return
	}
	defer watch.Close()
	if info, err := watch.Stat(); err != nil || info.Size() > bodyDropBytes {
		t.Errorf("after the last reader: %v, %v, want no more than %d bytes", info, err, bodyDropBytes)
	}
}

// TestDroppedFileWithAnotherName: who has given a file another name, as backups do, has
// all of it.
func TestDroppedFileWithAnotherName(t *testing.T) {
	dir := t.TempDir()
	path, backup := filepath.Join(dir, "body"), filepath.Join(dir, "backup")
	must(t, saveBody(path, bytes.NewReader(make([]byte, 3*bodyDropBytes))), os.Link(path, backup))
	before, err := os.Stat(backup)
	must(t, err)
	var b bodyFiles
	must(t, b.drop(path))
	b.wait()
	if after, err := os.Stat(backup); err != nil || after.Size() != before.Size() {
		t.Errorf("%v, %v, want %d bytes", after, err, before.Size())
	}
}
