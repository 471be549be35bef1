package kvstore

import (
	"bufio"
	"io"
)

// SnapshotRevision reads from the front of a snapshot which revision it is of,
// and nothing else. Errors wrap ErrBadSnapshot and ErrNewerVersion, or are r's.
func SnapshotRevision(r io.Reader) (uint64, error) {
	d := &snapshotReader{r: bufio.NewReaderSize(r, 64)}
	d.begin()
	revision := d.uvarint()
	return revision, d.err
}
