package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"unsafe"
)

// From linux/loop.h.
const (
	loopGetFree   = 0x4c82
	loopConfigure = 0x4c0a
	loopAutoclear = 4
	loopMajor     = 7
)

// loopConfig is struct loop_config.
type loopConfig struct {
	fd        uint32
	blockSize uint32
	numbers   [5]uint64 // device, inode, rdevice, offset, sizelimit
	number    uint32
	encrypt   [2]uint32
	flags     uint32
	names     [160]byte
	init      [2]uint64
	reserved  [8]uint64
}

// attachLoop makes a block device of a file. The device is free again when all
// that have it open have closed it.
func attachLoop(image, dir string) (*os.File, error) {
	file, err := os.OpenFile(image, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	control, err := os.OpenFile("/dev/loop-control", os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer control.Close()
	for range 50 { // whoever looks for a free device at the same time finds the same
		n, _, errno := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), loopGetFree, 0)
		if errno != 0 {
			return nil, fmt.Errorf("no free loop device: %w", errno)
		}
		dev, err := openLoop(int(n), dir)
		if err != nil {
			return nil, err
		}
		cfg := loopConfig{fd: uint32(file.Fd()), flags: loopAutoclear}
		_, _, errno = syscall.Syscall(syscall.SYS_IOCTL, dev.Fd(), loopConfigure, uintptr(unsafe.Pointer(&cfg)))
		if errno == 0 {
			return dev, nil
		}
		dev.Close()
		if errno != syscall.EBUSY {
			return nil, fmt.Errorf("%s for %s: %w", dev.Name(), image, errno)
		}
	}
	return nil, errors.New("loop devices are taken by others all the time")
}

// openLoop opens a loop device, by a node of its own where /dev has none.
func openLoop(n int, dir string) (*os.File, error) {
	path := fmt.Sprintf("/dev/loop%d", n)
	if _, err := os.Stat(path); err != nil {
		path = filepath.Join(dir, fmt.Sprintf("loop%d", n))
		if err := syscall.Mknod(path, syscall.S_IFBLK|0o600, loopMajor<<8|n); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, fmt.Errorf("make %s: %w", path, err)
		}
	}
	return os.OpenFile(path, os.O_RDWR, 0)
}
