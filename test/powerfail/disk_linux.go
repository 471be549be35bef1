package main

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
	"unsafe"
)

// diskBytes is the size of a file system; its file is sparse. Power fails more often
// here than a snapshot of a heavy load takes, so that the log grows.
const diskBytes = 2 << 30

// The shutdown ioctl, FS_IOC_SHUTDOWN: the same number and flag for ext4
// (EXT4_IOC_SHUTDOWN) and xfs (XFS_IOC_GOINGDOWN).
const (
	ioctlShutdown = 0x8004587d
	noLogFlush    = 2
)

// disk is one file system in a loop file.
type disk struct {
	fs      string
	mount   string   // where it is mounted
	device  *os.File // held open: the device is gone when this and the mount are
	mounted bool

	canary []byte // what was written last, and not synced; nil: nothing
}

// openDisk makes a file system with an image in dir, and mounts it.
func openDisk(fs, dir string) (*disk, error) {
	d := &disk{fs: fs, mount: filepath.Join(dir, "mnt")}
	image := filepath.Join(dir, "image")
	if err := os.MkdirAll(d.mount, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskBytes), f.Close()); err != nil {
		return nil, err
	}
	args := append(append([]string(nil), mkfs[fs][1:]...), image)
	if out, err := exec.Command(mkfs[fs][0], args...).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", mkfs[fs][0], err, out)
	}
	if d.device, err = attachLoop(image, dir); err != nil {
		return nil, err
	}
	if err := d.remount(); err != nil {
		return nil, errors.Join(err, d.Close())
	}
	return d, nil
}

// remount mounts the file system, as a machine does that has power again.
func (d *disk) remount() error {
	if err := d.unmount(); err != nil {
		return err
	}
	if err := syscall.Mount(d.device.Name(), d.mount, d.fs, 0, ""); err != nil {
		return fmt.Errorf("mount %s: %w", d.fs, err)
	}
	d.mounted = true
	return nil
}

// unmount waits for the kernel to let go of what a killed process had open.
func (d *disk) unmount() error {
	if !d.mounted {
		return nil
	}
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	var err error
	for began := time.Now(); time.Since(began) < 10*time.Second; <-tick.C {
		if err = syscall.Unmount(d.mount, 0); !errors.Is(err, syscall.EBUSY) {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("unmount %s: %w", d.fs, err)
	}
	d.mounted = false
	return nil
}

// cut is the power failure: nothing that was not synced is kept from here on.
func (d *disk) cut() error {
	root, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer root.Close()
	flag := uint32(noLogFlush)
	_, _, errno := syscall.Syscall(syscall.SYS_IOCTL, root.Fd(), ioctlShutdown, uintptr(unsafe.Pointer(&flag)))
	if errno != 0 {
		return fmt.Errorf("shutdown of %s: %w", d.fs, errno)
	}
	return nil
}

// plant writes a file that is not synced.
func (d *disk) plant(rng *rand.Rand) error {
	d.canary = make([]byte, 4096)
	for i := range d.canary {
		d.canary[i] = byte('a' + rng.IntN(26))
	}
	return os.WriteFile(filepath.Join(d.mount, "canary"), d.canary, 0o600)
}

// dropped reports whether the file that was not synced is gone, whole or in part.
func (d *disk) dropped() (bool, error) {
	path := filepath.Join(d.mount, "canary")
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return true, nil
	}
	if err != nil {
		return false, err
	}
	return !bytes.Equal(b, d.canary), os.Remove(path)
}

// Close unmounts the file system and frees its device.
func (d *disk) Close() error {
	err := d.unmount()
	if err != nil { // whatever has it open: the mount goes with it
		err = errors.Join(err, syscall.Unmount(d.mount, syscall.MNT_DETACH))
	}
	return errors.Join(err, d.device.Close())
}
