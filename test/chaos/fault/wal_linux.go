package fault

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
)

// frame is where a record of a log file lies.
type frame struct{ at, size int64 }

// entryFrames lists the entries of a file of the log: frames of a length of
// eight bytes, whose highest byte says how much padding follows, and a record
// that begins with its type.
func entryFrames(f io.ReaderAt) ([]frame, error) {
	var all []frame
	for at := int64(0); ; {
		var head [10]byte
		if _, err := f.ReadAt(head[:], at); errors.Is(err, io.EOF) {
			return all, nil
		} else if err != nil {
			return nil, err
		}
		field := int64(binary.LittleEndian.Uint64(head[:8]))
		if field == 0 {
			return all, nil // preallocated
		}
		size := int64(uint64(field) & (1<<56 - 1))
		padding := int64(0)
		if field < 0 {
			padding = int64(uint64(field) >> 56 & 7)
		}
		if size <= 0 || size > 1<<30 {
			return nil, fmt.Errorf("a record of %d bytes at %d", size, at)
		}
		if head[8] == 0x08 && head[9] == 2 { // type: entry
			all = append(all, frame{at + 8, size})
		}
		at += 8 + size + padding
	}
}

// data is where the data of a record lie, which is what its checksum covers. The
// record's other fields can bear a bit that means nothing, such as the highest of
// the checksum's own five bytes.
func data(f io.ReaderAt, record frame) (frame, error) {
	b := make([]byte, min(record.size, 32))
	if _, err := f.ReadAt(b, record.at); err != nil {
		return frame{}, err
	}
	at := 3 // the type with its tag, and the tag of the checksum
	_, n := binary.Uvarint(b[min(at, len(b)):])
	at += n
	if n <= 0 || b[2] != 0x10 || at >= len(b) || b[at] != 0x1a {
		return frame{}, fmt.Errorf("the record at %d has another form", record.at)
	}
	size, n := binary.Uvarint(b[at+1:])
	if at += 1 + n; n <= 0 || size == 0 || int64(at)+int64(size) != record.size {
		return frame{}, fmt.Errorf("the record at %d has data of %d bytes", record.at, size)
	}
	return frame{record.at + int64(at), int64(size)}, nil
}

// flipBit changes one bit of an entry that is not among the last.
func flipBit(file string, rng *rand.Rand) (at int64, err error) {
	f, err := os.OpenFile(file, os.O_RDWR, 0)
	if err != nil {
		return 0, err
	}
	defer f.Close()
	entries, err := entryFrames(f)
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	if len(entries) < 10 {
		return 0, fmt.Errorf("%s holds %d entries, too few to spoil one", file, len(entries))
	}
	e, err := data(f, entries[rng.IntN(len(entries)*9/10)])
	if err != nil {
		return 0, fmt.Errorf("read %s: %w", file, err)
	}
	at = e.at + rng.Int64N(e.size)
	var b [1]byte
	if _, err := f.ReadAt(b[:], at); err != nil {
		return 0, err
	}
	b[0] ^= 1 << rng.IntN(8)
	if _, err := f.WriteAt(b[:], at); err != nil {
		return 0, err
	}
	return at, f.Sync()
}
