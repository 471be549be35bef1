package cluster

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// diskBytes is the size of the file system of a place: small enough to be
// filled at once, with room above the reserve for the logs of all members that ever
// lived there.
const diskBytes = 3 << 30

// Reserve is what members keep free on such a disk.
const Reserve = 192 << 20

// makeDisk gives the place a file system of its own, in a file that takes room
// only for what is written: ext4 and xfs in turn, where xfs can be made.
func (p *Place) makeDisk(dir string) error {
	image, mount := filepath.Join(dir, fmt.Sprintf("disk%d.img", p.Number)), filepath.Join(dir, fmt.Sprintf("disk%d", p.Number))
	if err := os.Mkdir(mount, 0o700); err != nil {
		return err
	}
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		return err
	}
	if err := os.Truncate(image, diskBytes); err != nil {
		return err
	}
	mkfs := []string{"mkfs.ext4", "-q", "-F", "-m", "0", image}
	if p.Number%2 == 0 && Has("mkfs.xfs") {
		mkfs = []string{"mkfs.xfs", "-q", "-f", image}
	}
	if err := Run(mkfs[0], mkfs[1:]...); err != nil {
		return err
	}
	if err := Run("mount", "-o", "loop", image, mount); err != nil {
		return err
	}
	p.Disk, p.Dir = mount, mount
	return nil
}

// Free is what is left of the disk of the place, in bytes.
func (p *Place) Free() (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(p.Dir, &st); err != nil {
		return 0, fmt.Errorf("statfs %s: %w", p.Dir, err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}

// Fill takes bytes of the disk without writing to it.
func (p *Place) Fill(bytes int64) (file string, err error) {
	f, err := os.CreateTemp(p.Dir, "ballast")
	if err != nil {
		return "", err
	}
	defer f.Close()
	return f.Name(), syscall.Fallocate(int(f.Fd()), 0, 0, bytes)
}

// unmountBelow unmounts every file system that is mounted below dir.
func unmountBelow(dir string) error {
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	var all error
	for line := range strings.Lines(string(b)) {
		fields := strings.Fields(line)
		if len(fields) > 1 && strings.HasPrefix(fields[1], dir+"/") {
			all = errors.Join(all, Run("umount", "-l", fields[1]))
		}
	}
	return all
}
