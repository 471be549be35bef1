package raftnode

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// mkdirAll makes a directory, and those above it that are missing. A power failure
// leaves none of them out: a member that finds its directory gone begins anew, and
// breaks what the one before it has promised.
func mkdirAll(dir string) error {
	_, err := os.Stat(dir)
	above := filepath.Dir(dir)
	if !errors.Is(err, fs.ErrNotExist) || above == dir {
		return os.MkdirAll(dir, 0o700) // which says what stands there instead
	}
	if err := mkdirAll(above); err != nil {
		return err
	}
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return syncDir(above)
}

// syncDir makes the names in a directory durable.
func syncDir(dir string) error {
	f, err := fileutil.OpenDir(dir)
	if err != nil {
		return err
	}
	return errors.Join(fileutil.Fsync(f), f.Close())
}
