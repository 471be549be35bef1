package raftnode

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// TestNoPermission: what may not be read or written is refused with its path
// and the system's reason.
func TestNoPermission(t *testing.T) {
	for _, tt := range []struct {
		name      string
		dir, file fs.FileMode
	}{
		{"read-only", 0o500, 0o400},
		{"not even readable", 0, 0o600},
		{"files of somebody else", 0o777, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			d, _ := openLoaded(t, dir)
			must(t, d.Save(hardState(1, 0), entries(1, 1, 5)))
			kill(d)
			must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
				if err != nil || e.IsDir() {
					return err
				}
				return os.Chmod(path, tt.file)
			}), os.Chmod(dir, tt.dir))
			t.Cleanup(func() { must(t, os.Chmod(dir, 0o700)) })
			before := digest(t, dir)
			asNobody(t, dir, func() {
				_, err := OpenDisk(dir, nil)
				if !errors.Is(err, ErrDataDir) || !errors.Is(err, fs.ErrPermission) || !strings.Contains(err.Error(), dir) {
					t.Errorf("error %v, want one that names %s and says why", err, dir)
				}
			})
			if digest(t, dir) != before {
				t.Error("the directory was changed")
			}
		})
	}
}

// TestExamineReadOnly: a copy that nobody can write to, or lock, can be read.
func TestExamineReadOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 0), entries(1, 1, 5)))
	kill(d)
	chmod := func(dirs, files fs.FileMode) {
		must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
			if err != nil || !e.IsDir() {
				return errors.Join(err, os.Chmod(path, files))
			}
			return os.Chmod(path, dirs)
		}))
	}
	chmod(0o555, 0o444)
	t.Cleanup(func() { chmod(0o700, 0o600) })
	asNobody(t, dir, func() {
		r, err := Examine(dir)
		if err != nil || r.Fault != nil || r.Last != 5 {
			t.Errorf("report %+v, %v", r, err)
		}
	})
}

// asNobody runs f with the rights of a user who owns nothing: nobody is kept
// out of root's files but root.
func asNobody(t *testing.T, dir string, f func()) {
	t.Helper()
	if os.Getuid() != 0 {
		f()
		return
	}
	for d := filepath.Dir(dir); d != os.TempDir() && d != filepath.Dir(d); d = filepath.Dir(d) {
		must(t, os.Chmod(d, 0o755))
	}
	runtime.LockOSThread() // the rights are the thread's
	defer runtime.UnlockOSThread()
	must(t, syscall.Setfsgid(65534), syscall.Setfsuid(65534))
	defer func() { must(t, syscall.Setfsuid(0), syscall.Setfsgid(0)) }()
	f()
}
