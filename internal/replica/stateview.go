package replica

import (
	"context"
	"errors"
	"fmt"
	"io"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// TakeSnapshot implements httpapi.Snapshots.
func (v clusterView) TakeSnapshot(ctx context.Context) (httpapi.SnapshotInfo, error) {
	if _, err := v.node.TakeSnapshot(ctx); err != nil {
		return httpapi.SnapshotInfo{}, translate(err)
	}
	info, body, err := v.OpenSnapshot()
	if err != nil {
		return httpapi.SnapshotInfo{}, err
	}
	return info, body.Close()
}

// OpenSnapshot implements httpapi.Snapshots.
func (v clusterView) OpenSnapshot() (httpapi.SnapshotInfo, io.ReadSeekCloser, error) {
	s, body, err := v.node.OpenLatestSnapshot()
	if err != nil {
		return httpapi.SnapshotInfo{}, nil, translate(err)
	}
	info := httpapi.SnapshotInfo{Index: s.Index, Term: s.Term, Size: s.Size}
	if info.Revision, err = snapshotRevision(body); err != nil {
		return httpapi.SnapshotInfo{}, nil, errors.Join(fmt.Errorf("read snapshot %d: %w", s.Index, err), body.Close())
	}
	return info, body, nil
}

// snapshotRevision reads the store's revision from the front of a snapshot's file, and
// goes back to its beginning.
func snapshotRevision(file io.ReadSeeker) (uint64, error) {
	state, err := raftnode.SnapshotState(file)
	if err != nil {
		return 0, err
	}
	revision, err := kvstore.SnapshotRevision(state)
	if err != nil {
		return 0, err
	}
	_, err = file.Seek(0, io.SeekStart)
	return revision, err
}

// Verify implements httpapi.Verifier.
func (v clusterView) Verify(ctx context.Context) (httpapi.Verification, error) {
	seen, err := v.node.Verify(ctx)
	return httpapi.Verification(seen), translate(err)
}

// LastVerification implements httpapi.Verifier.
func (v clusterView) LastVerification() (httpapi.Verification, bool) {
	seen, ok := v.node.LastVerification()
	return httpapi.Verification(seen), ok
}

// Serving implements httpapi.Guard.
func (v clusterView) Serving() error {
	if err := v.node.Diverged(); err != nil {
		return &translated{as: httpapi.ErrDiverged, err: err}
	}
	return nil
}

// Disk implements httpapi.Guard.
func (v clusterView) Disk() httpapi.Disk {
	return httpapi.Disk{Free: v.space.free.Load(), Reserve: v.space.reserve, Short: v.node.DiskShort()}
}
