package raftnode

import (
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"time"
)

// SnapshotFile is what the front of a snapshot file says: the body of a
// snapshot as a data directory has it, and as members send it.
type SnapshotFile struct {
	Cluster uint64
	Index   uint64 // of the last entry in it
	Term    uint64
	Clock   time.Duration // the log's
	Members []Member
	Removed []uint64 // ids that are never used again
	Bytes   int64    // of the whole file
}

// ReadSnapshot reads a snapshot file through to its checksum. The state in it
// goes to state, which reads to io.EOF; an error of state ends the reading. A
// file that is damaged behind its front is described all the same, together
// with the error.
func ReadSnapshot(path string, state func(io.Reader) error) (SnapshotFile, error) {
	sf, _, err := readSnapshotFile(path, state)
	return sf, err
}

func readSnapshotFile(path string, state func(io.Reader) error) (SnapshotFile, *bodyHeader, error) {
	f, err := os.Open(path)
	if err != nil {
		return SnapshotFile{}, nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return SnapshotFile{}, nil, err
	}
	sf := SnapshotFile{Bytes: info.Size()}
	r := newBodyReader(f)
	h, err := readBodyHeader(r)
	if err != nil {
		return sf, nil, fmt.Errorf("%s: %w", path, err)
	}
	sf.Cluster, sf.Index, sf.Term, sf.Clock = h.Cluster, h.Index, h.Term, h.Clock
	sf.Members, sf.Removed = h.Membership.sorted(), slices.Sorted(maps.Keys(h.Membership.Removed))
	if err := state(r); err != nil {
		return sf, h, fmt.Errorf("%s: %w", path, err)
	}
	return sf, h, nil
}
