package raftnode

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// ReadFile returns a small file of the directory that WriteFile wrote; one that
// is not there is nil.
func (d *Disk) ReadFile(name string) ([]byte, error) {
	b, err := os.ReadFile(d.path(name))
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return b, nil
}

// WriteFile makes b the contents of a small file. After a crash there are either
// these or the ones before; once it has returned, these. Errors wrap ErrDataDir.
func (d *Disk) WriteFile(name string, b []byte) error {
	if err := writeFileDurably(d.path(name), b); err != nil {
		return fmt.Errorf("%w: %w", ErrDataDir, err)
	}
	return nil
}

func writeFileDurably(path string, b []byte) error {
	tmp := path + ".tmp"
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err == nil {
		err = fileutil.Fsync(f)
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}
