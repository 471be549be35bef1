package clustertest

import (
	"errors"
	"syscall"
)

// errFull is what a disk without room answers.
var errFull = errors.Join(ErrFault, syscall.ENOSPC)

const (
	plenty      = 1 << 40   // bytes that are free on a disk that has room
	diskReserve = 256 << 20 // below which members refuse writes that add data
)

// FullAfter makes the n-th write from now fail for lack of room, and all that
// follow.
func (d *Disk) FullAfter(n int) { d.fail(n, errFull) }

// SetFree says how many bytes a member sees as free. Writes go on all the same: it
// is the member that has to stop in time.
func (d *Disk) SetFree(bytes uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = bytes
}

func (d *Disk) free() uint64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.room
}

// term is that of the durable entry at index; false: a snapshot covers it, or
// nothing does.
func (d *Disk) term(index uint64) (uint64, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.synced.term(index)
}

// holdsEntry reports whether that very entry is durable here, or a snapshot that
// covers it.
func (d *Disk) holdsEntry(index, term uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if index <= d.synced.base.GetIndex() || index <= d.synced.start {
		return true
	}
	got, ok := d.synced.term(index)
	return ok && got == term
}

func (im *image) term(index uint64) (uint64, bool) {
	if index <= im.start || index > im.start+uint64(len(im.log)) {
		return 0, false
	}
	return im.log[index-im.start-1].GetTerm(), true
}
