package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// Sweep removes what runs have left behind that were killed themselves: their
// namespaces, mounts and directories. What belongs to a process that lives, it
// leaves alone.
func Sweep() error {
	var all error
	names, err := namespaces()
	all = errors.Join(all, err)
	for _, name := range names {
		if ownerGone(name) {
			all = errors.Join(all, removeNamespace(name))
		}
	}
	dirs, err := filepath.Glob(filepath.Join(os.TempDir(), prefix+"*"))
	all = errors.Join(all, err)
	for _, dir := range dirs {
		if ownerGone(filepath.Base(dir)) {
			all = errors.Join(all, unmountBelow(dir), os.RemoveAll(dir))
		}
	}
	return all
}

// ownerGone tells whether the process is gone whose number stands in the name.
func ownerGone(name string) bool {
	number, _, _ := strings.Cut(strings.TrimPrefix(name, prefix), "-")
	pid, err := strconv.Atoi(number)
	if err != nil {
		return false
	}
	_, err = os.Stat(filepath.Join("/proc", strconv.Itoa(pid)))
	return errors.Is(err, os.ErrNotExist)
}
