package raftnode

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"
)

// The data of a normal raft entry:
//
//	version  1 byte   entryVersion
//	kind     1 byte   what follows
//	id       24 bytes member, boot, counter (big endian): unique for ever
//	clock    8 bytes  the log's clock in nanoseconds (big endian)
//	kindCommands: count (uvarint), then count times length (uvarint) and command
//	kindMember:   a Member as JSON
//	kindCheck:    nothing
//	kindVerdict:  a verdict as JSON
//	kindReseed:   a reseedPoint as JSON
//
// An entry without data is the one with which raft begins a term.
const (
	entryVersion = 1

	kindCommands = 1
	kindMember   = 2
	kindCheck    = 3 // members hash their state as it is after this entry
	kindVerdict  = 4 // what came of it
	kindReseed   = 5 // a member takes over another's state as it is after this entry

	entryHeaderBytes = 2 + 24 + 8
)

var errBadEntry = errors.New("malformed entry")

// entryID tells the entries of all members and all their lives apart.
type entryID struct{ Member, Boot, Counter uint64 }

type entryHeader struct {
	kind  byte
	id    entryID
	clock time.Duration
}

func (h entryHeader) append(dst []byte) []byte {
	dst = append(dst, entryVersion, h.kind)
	dst = binary.BigEndian.AppendUint64(dst, h.id.Member)
	dst = binary.BigEndian.AppendUint64(dst, h.id.Boot)
	dst = binary.BigEndian.AppendUint64(dst, h.id.Counter)
	return binary.BigEndian.AppendUint64(dst, uint64(h.clock))
}

// decodeEntry splits the data of an entry into header and payload.
func decodeEntry(b []byte) (entryHeader, []byte, error) {
	if len(b) > 0 && b[0] > entryVersion {
		return entryHeader{}, nil, fmt.Errorf("entry version %d: %w", b[0], ErrNewerVersion)
	}
	if len(b) < entryHeaderBytes || b[0] != entryVersion {
		return entryHeader{}, nil, errBadEntry
	}
	return entryHeader{
		kind: b[1],
		id: entryID{
			Member:  binary.BigEndian.Uint64(b[2:]),
			Boot:    binary.BigEndian.Uint64(b[10:]),
			Counter: binary.BigEndian.Uint64(b[18:]),
		},
		clock: time.Duration(binary.BigEndian.Uint64(b[26:])),
	}, b[entryHeaderBytes:], nil
}

// appendCommand adds one command to a list that decodeCommands reads.
func appendCommand(dst, cmd []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(cmd))), cmd...)
}

// decodeCommands reads a count and that many commands into dst; they alias b.
func decodeCommands(dst [][]byte, b []byte) ([][]byte, error) {
	count, n := binary.Uvarint(b)
	if n <= 0 || count > uint64(len(b)) {
		return nil, errBadEntry
	}
	b = b[n:]
	for range count {
		size, n := binary.Uvarint(b)
		if n <= 0 || size > uint64(len(b)-n) {
			return nil, errBadEntry
		}
		b = b[n:]
		dst = append(dst, b[:size:size])
		b = b[size:]
	}
	if len(b) != 0 {
		return nil, errBadEntry
	}
	return dst, nil
}
