package raftnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"

	"go.uber.org/zap"
)

// watermark is a small file that holds a log index which is durable in the
// WAL. The WAL alone cannot tell a torn tail from a lost one: wal.Repair cuts
// both and calls it a success, and a missing last segment leaves no trace.
//
// The file may lag behind the WAL, never run ahead of it. So it is raised
// after the WAL's fsync, by a plain write (a killed process loses nothing of
// it, a power failure a few indexes), and lowered, with an fsync of its own,
// before raft replaces entries or a snapshot replaces the log.
type watermark struct {
	path  string
	f     *os.File
	index uint64
}

const (
	watermarkMagic = "kvdmark\x01"
	watermarkBytes = 20 // magic, index (8, big endian), CRC-32C of both (4)
)

// readWatermark reads without changing anything; a missing file is index 0.
func readWatermark(path string, lg *zap.Logger) (*watermark, error) {
	w := &watermark{path: path}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return w, nil
	}
	if err != nil {
		return nil, err
	}
	if len(b) != watermarkBytes || string(b[:8]) != watermarkMagic ||
		binary.BigEndian.Uint32(b[16:]) != crc32.Checksum(b[:16], castagnoli) {
		// It only guards the log; the log has checksums of its own.
		lg.Warn("watermark is damaged: a loss at the end of the log would not be noticed", zap.String("file", path))
		return w, nil
	}
	w.index = binary.BigEndian.Uint64(b[8:])
	return w, nil
}

// create makes the file durable in its directory before it is first needed.
func (w *watermark) create() error {
	if err := w.write(0); err != nil {
		return err
	}
	return errors.Join(w.f.Sync(), syncDir(filepath.Dir(w.path)))
}

func (w *watermark) raise(index uint64) error {
	if index <= w.index {
		return nil
	}
	return w.write(index)
}

func (w *watermark) lower(index uint64) error {
	if index >= w.index {
		return nil
	}
	if err := w.write(index); err != nil {
		return err
	}
	return w.f.Sync()
}

func (w *watermark) write(index uint64) error {
	if w.f == nil {
		f, err := os.OpenFile(w.path, os.O_RDWR|os.O_CREATE, 0o600)
		if err != nil {
			return err
		}
		w.f = f
	}
	b := make([]byte, 0, watermarkBytes)
	b = append(b, watermarkMagic...)
	b = binary.BigEndian.AppendUint64(b, index)
	b = binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
	if _, err := w.f.WriteAt(b, 0); err != nil {
		return fmt.Errorf("write watermark: %w", err)
	}
	w.index = index
	return nil
}

func (w *watermark) close() error {
	if w.f == nil {
		return nil
	}
	return w.f.Close()
}
