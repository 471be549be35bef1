package raftnode

import (
	"os"
	"path/filepath"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

// tornCopySuffix is what wal.Repair puts behind the name of a segment that it keeps
// as it was. The copy is as large as the segment.
const tornCopySuffix = ".broken"

// removeTornCopies removes what earlier repairs have kept: the newest is enough to
// find out what happened, and a machine that loses power often would fill its disk
// with all of them.
func (d *Disk) removeTornCopies() error {
	names, err := fileutil.ReadDir(d.path("wal"))
	if err != nil {
		return err
	}
	for _, name := range names {
		if !strings.HasSuffix(name, tornCopySuffix) {
			continue
		}
		if err := os.Remove(filepath.Join(d.path("wal"), name)); err != nil {
			return err
		}
	}
	return nil
}
