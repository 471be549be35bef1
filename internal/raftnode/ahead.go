package raftnode

import (
	"bytes"

	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"go.etcd.io/etcd/client/pkg/v3/fileutil"
)

const (
	// aheadStep is how much is written in one go: some 100 µs of the log's time.
	aheadStep = 128 << 10
	// aheadGoal is how much of the log's way is kept prepared.
	aheadGoal = 8 << 20
)

// ahead writes zeros where the log will grow, over the zeros that are read there.
//
// The log's files are allocated before they are written, but a file system (ext4, xfs)
// notes of allocated blocks that nothing was written to them yet. The first write
// to each changes that note, so that every fsync of the log has to wait for a commit
// of the file system's journal, and for all that others have put into it. An fsync
// over blocks that have been written before does not: on ext4 it took 107 µs instead of
// 180, and with three members beside each other on a disk 115 instead of 220, with a
// p90 of 0.3 ms instead of 6 (2026-11-28).
//
// It changes no byte, whatever it is mistaken about: it writes zeros where it has just
// read zeros, and nobody else writes meanwhile, since it belongs to the goroutine that
// appends to the log. What it writes need not be durable.
type ahead struct {
	dir  string // of the log
	step int    // bytes; 0: not to be done here

	file     *os.File      // being prepared; nil: to be found
	off      int64         // where it goes on
	distance int64         // about how far the log has to grow to come here
	done     []os.FileInfo // the last files that are prepared to their end

	buf, zeros []byte // of a step
}

// saved notes that the log has grown.
func (a *ahead) saved(bytes int) { a.distance = max(0, a.distance-int64(bytes)) }

// prepare writes a piece, if the log has come near. It does not wait for the disk.
func (a *ahead) prepare() error {
	if a.step == 0 || a.distance >= aheadGoal {
		return nil
	}
	if a.file == nil {
		if err := a.find(); err != nil || a.file == nil {
			return err
		}
	}
	if a.buf == nil {
		a.buf, a.zeros = make([]byte, a.step), make([]byte, a.step)
	}
	n, err := a.file.ReadAt(a.buf, a.off)
	switch {
	case err != nil && !errors.Is(err, io.EOF):
		return fmt.Errorf("read ahead of the log: %w", err)
	case n < len(a.buf):
		return a.finish()
	case !bytes.Equal(a.buf, a.zeros):
		a.distance = 0 // the log has been here
	default:
		if _, err := a.file.WriteAt(a.zeros, a.off); err != nil {
			return fmt.Errorf("write ahead of the log: %w", err)
		}
		startWriteOut(a.file, a.off, int64(a.step))
		a.distance += int64(a.step)
	}
	a.off += int64(a.step)
	return nil
}

// find opens the file that the log will grow into next: its newest segment, or the one
// that lies ready behind that.
func (a *ahead) find() error {
	names, err := fileutil.ReadDir(a.dir) // sorted
	if err != nil {
		return err
	}
	var candidates []string
	for _, name := range slices.Backward(names) {
		if strings.HasSuffix(name, ".wal") {
			candidates = append(candidates, name)
			break
		}
	}
	for _, name := range names {
		if strings.HasSuffix(name, ".tmp") {
			candidates = append(candidates, name)
		}
	}
	for _, name := range candidates {
		f, err := os.OpenFile(filepath.Join(a.dir, name), os.O_RDWR, 0)
		if errors.Is(err, os.ErrNotExist) {
			continue // it has got its place in the log meanwhile
		}
		if err != nil {
			return err
		}
		info, err := f.Stat()
		if err != nil {
			return errors.Join(err, f.Close())
		}
		if !slices.ContainsFunc(a.done, func(done os.FileInfo) bool { return os.SameFile(done, info) }) {
			a.file, a.off = f, 0
			return nil
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	a.distance = aheadGoal / 2 // look again when the log has grown by as much
	return nil
}

// finish closes a file that is prepared to its end, and remembers it under whatever
// name it will have: the newest segment, and the one before that is behind it.
func (a *ahead) finish() error {
	info, err := a.file.Stat()
	if err == nil {
		a.done = append(a.done, info)
		a.done = a.done[max(0, len(a.done)-2):]
	}
	return errors.Join(err, a.close())
}

func (a *ahead) close() error {
	if a.file == nil {
		return nil
	}
	err := a.file.Close()
	a.file = nil
	return err
}
