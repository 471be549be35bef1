package client

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const snapshotsPath = "/v1/snapshots"

// errDigest is for a snapshot that is not what the member says it is.
var errDigest = errors.New("the snapshot's digest is another one")

// SnapshotInfo names a snapshot: no two of a cluster have the same index and
// term.
type SnapshotInfo struct {
	Index    uint64 `json:"index"`
	Term     uint64 `json:"term"`
	Revision uint64 `json:"revision"`   // of the store; 0: not told
	Size     int64  `json:"size_bytes"` // of the file
}

// TakeSnapshot makes the member at endpoint, one of Config.Endpoints, take a
// snapshot of what it has applied, and returns when that is on its disk. It asks
// once; "" asks whichever answers.
func (c *Client) TakeSnapshot(ctx context.Context, endpoint string) (*SnapshotInfo, error) {
	q, err := c.callAt(snapshotsPath, endpoint)
	if err != nil {
		return nil, err
	}
	q.kind, q.method, q.timed, q.slow = repeatable, http.MethodPost, true, true
	var info SnapshotInfo
	if _, err := c.doJSON(ctx, q, &info); err != nil {
		return nil, err
	}
	return &info, nil
}

// Snapshot is the file of a snapshot, read as it comes. Not before Read has
// returned io.EOF is it known to be whole and right: what was read of one that
// ends with another error is to be thrown away.
type Snapshot struct {
	SnapshotInfo
	Endpoint string // of the member whose it is

	call   *call
	stream *stream
	digest [sha256.Size]byte // as the member told it
	hash   hash.Hash
	read   int64
	err    error // the end
}

// LatestSnapshot opens the newest snapshot of the member at endpoint, one of
// Config.Endpoints; "" takes that of whichever answers. ErrNotFound: it has none.
// The caller closes it. It ends with ctx, and when nothing comes for
// Config.AttemptTimeout while Read waits; as a whole it may take as long as it
// likes.
func (c *Client) LatestSnapshot(ctx context.Context, endpoint string) (*Snapshot, error) {
	q, err := c.callAt(snapshotsPath+"/latest", endpoint)
	if err != nil {
		return nil, err
	}
	q.slow = true // a large file is read once before it is sent, for its digest
	q.set("Accept", "application/octet-stream")
	t := c.tries(q, c.cfg.Timeout)
	for {
		s, e := t.open(ctx, c.cfg.AttemptTimeout)
		if e == nil {
			snap := &Snapshot{Endpoint: t.endpoint(), call: q, stream: s, hash: sha256.New()}
			if err := snap.describe(s.header); err != nil {
				s.close()
				return nil, snap.failure(err)
			}
			return snap, nil
		}
		if err := t.again(ctx, e); err != nil {
			return nil, err
		}
	}
}

// describe reads what the header tells of the file.
func (s *Snapshot) describe(h http.Header) error {
	s.Revision = headerUint(h, "Kvd-Revision")
	index, term, _ := strings.Cut(strings.Trim(h.Get("ETag"), `"`), "-")
	var errs [3]error
	s.Index, errs[0] = strconv.ParseUint(index, 10, 64)
	s.Term, errs[1] = strconv.ParseUint(term, 10, 64)
	s.Size, errs[2] = strconv.ParseInt(h.Get("Content-Length"), 10, 64)
	if err := errors.Join(errs[:]...); err != nil {
		return fmt.Errorf("%w: %w", ErrBadAnswer, err)
	}
	for field := range strings.SplitSeq(h.Get("Repr-Digest"), ",") {
		text, ok := strings.CutPrefix(strings.TrimSpace(field), "sha-256=:")
		sum, err := base64.StdEncoding.DecodeString(strings.TrimSuffix(text, ":"))
		if ok && err == nil && len(sum) == len(s.digest) {
			copy(s.digest[:], sum)
			return nil
		}
	}
	return fmt.Errorf("%w: no digest of the snapshot", ErrBadAnswer)
}

// Read reads of the file. Its errors other than io.EOF are of type *Error.
func (s *Snapshot) Read(p []byte) (int, error) {
	if s.err != nil || len(p) == 0 {
		return 0, s.err
	}
	n, err := s.stream.Read(p)
	s.hash.Write(p[:n])
	s.read += int64(n)
	switch {
	case err == nil:
	case err != io.EOF:
		s.err = s.failure(fmt.Errorf("read snapshot: %w", err))
	case s.read != s.Size || [sha256.Size]byte(s.hash.Sum(nil)) != s.digest:
		s.err = s.failure(fmt.Errorf("%w: %w", ErrBadAnswer, errDigest))
	default:
		s.err = io.EOF
	}
	return n, s.err
}

// failure is the error of a download that has begun.
func (s *Snapshot) failure(err error) *Error {
	e := s.call.failure(err)
	e.Endpoint, e.Status, e.Attempts = s.Endpoint, http.StatusOK, 1
	return e
}

// Close ends the download, wherever it stands. It may be called twice.
func (s *Snapshot) Close() error {
	if s.err == nil {
		s.err = s.failure(errors.New("the snapshot was closed"))
	}
	s.stream.close()
	return nil
}
