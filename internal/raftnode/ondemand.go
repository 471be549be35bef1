package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// SnapshotInfo is what is known of a snapshot without reading it.
type SnapshotInfo struct {
	Index, Term uint64    // of the last log entry in it
	Size        int64     // of its file, in bytes
	Taken       time.Time // when this member had it on its disk; zero: not known
}

// TakeSnapshot takes a snapshot of what this member has applied, waits until it
// is durable and recorded in the log, and returns the newest there is then. It
// takes none when nothing was applied since the newest one; callers that come
// together share one. Errors: ErrDiskFull, ErrStopped, and the end of ctx, after
// which the snapshot may still come about.
func (n *Node[R]) TakeSnapshot(ctx context.Context) (SnapshotInfo, error) {
	w := &snapshotWaiter{done: make(chan error, 1)}
	if !n.snapshots.add(w) {
		return SnapshotInfo{}, ErrStopped
	}
	n.applyq.put(applyJob{}) // for apply to look
	select {
	case err := <-w.done:
		if err != nil {
			return SnapshotInfo{}, err
		}
	case <-ctx.Done():
		n.snapshots.remove(w)
		return SnapshotInfo{}, context.Cause(ctx)
	}
	info, file, err := n.OpenLatestSnapshot()
	if err != nil {
		return SnapshotInfo{}, err
	}
	return info, file.Close()
}

// OpenLatestSnapshot opens the file of the newest snapshot on this member's
// disk. The file can be read to its end however long that takes, also when the
// member replaces the snapshot meanwhile. Errors: ErrNoSnapshot, ErrDiverged, and
// the disk's.
func (n *Node[R]) OpenLatestSnapshot() (SnapshotInfo, io.ReadSeekCloser, error) {
	if err := n.Diverged(); err != nil {
		return SnapshotInfo{}, nil, err
	}
	for tries := 0; ; tries++ {
		info := n.snapshots.newest()
		if info.Index == 0 {
			return SnapshotInfo{}, nil, ErrNoSnapshot
		}
		body, size, err := n.storage.OpenBody(info.Index)
		if err == nil {
			info.Size = size
			return info, body, nil
		}
		// Two newer ones may have come between the two lines above.
		if tries == 3 || n.snapshots.newest().Index == info.Index {
			return SnapshotInfo{}, nil, fmt.Errorf("open snapshot %d: %w", info.Index, err)
		}
	}
}

// snapshotDesk knows the newest snapshot, and who waits for one that is newer.
type snapshotDesk struct {
	asked atomic.Int64 // len(waiting): spares apply the mutex

	mu      sync.Mutex
	latest  SnapshotInfo // without its size
	waiting []*snapshotWaiter
	closed  bool
}

// snapshotWaiter is one caller of TakeSnapshot.
type snapshotWaiter struct {
	index uint64     // that the snapshot must reach; 0 until apply has seen it
	done  chan error // cap 1
}

// add is false when nobody will ever serve w.
func (d *snapshotDesk) add(w *snapshotWaiter) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		return false
	}
	d.waiting = append(d.waiting, w)
	d.asked.Store(int64(len(d.waiting)))
	return true
}

func (d *snapshotDesk) remove(w *snapshotWaiter) {
	d.endIf(nil, func(other *snapshotWaiter) bool { return other == w })
}

// assign tells those who have come since the last call that their snapshot must
// reach index, which apply has, and reports whether any waits for one. Before the
// first entry there is nothing to take a snapshot of: they go on waiting.
func (d *snapshotDesk) assign(index uint64) bool {
	if d.asked.Load() == 0 || index == 0 {
		return false
	}
	d.mu.Lock()
	for _, w := range d.waiting {
		if w.index == 0 {
			w.index = index
		}
	}
	latest := d.latest.Index
	d.mu.Unlock()
	d.endIf(nil, func(w *snapshotWaiter) bool { return w.index != 0 && w.index <= latest })
	return d.asked.Load() > 0
}

// record notes a snapshot that is durable and recorded in the log.
func (d *snapshotDesk) record(meta *raftpb.SnapshotMetadata, taken time.Time) {
	d.mu.Lock()
	d.latest = SnapshotInfo{Index: meta.GetIndex(), Term: meta.GetTerm(), Taken: taken}
	d.mu.Unlock()
	d.endIf(nil, func(w *snapshotWaiter) bool { return w.index != 0 && w.index <= meta.GetIndex() })
}

// fail ends all who wait for a snapshot that has failed.
func (d *snapshotDesk) fail(err error) {
	d.endIf(err, func(w *snapshotWaiter) bool { return w.index != 0 })
}

// close ends all who wait, and refuses others.
func (d *snapshotDesk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.endIf(ErrStopped, func(*snapshotWaiter) bool { return true })
}

func (d *snapshotDesk) newest() SnapshotInfo {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.latest
}

// endIf gives err to those whom f names.
func (d *snapshotDesk) endIf(err error, f func(*snapshotWaiter) bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	kept := d.waiting[:0]
	for _, w := range d.waiting {
		if f(w) {
			w.done <- err
		} else {
			kept = append(kept, w)
		}
	}
	clear(d.waiting[len(kept):])
	d.waiting = kept
	d.asked.Store(int64(len(kept)))
}

// bodyTime is when a stored body was written, as far as its storage knows.
func (n *Node[R]) bodyTime(index uint64) time.Time {
	body, _, err := n.storage.OpenBody(index)
	if err != nil {
		return time.Time{}
	}
	defer body.Close()
	if f, ok := body.(fs.File); ok {
		if info, err := f.Stat(); err == nil {
			return info.ModTime()
		}
	}
	return time.Time{}
}

// roomStep is how much of a snapshot is written between two looks at the room.
const roomStep = 4 << 20

// roomReader reads a snapshot that is written to the disk, and ends with
// ErrDiskFull before what is left there is needed by the log: a snapshot can be
// taken another time, a log that cannot be written ends the member.
type roomReader struct {
	r    io.Reader
	room func() error // Config.SnapshotRoom
	left int
}

func newRoomReader(r io.Reader, room func() error) io.Reader {
	if room == nil {
		return r
	}
	return &roomReader{r: r, room: room}
}

func (r *roomReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		if err := r.room(); err != nil {
			return 0, fmt.Errorf("%w: %w", ErrDiskFull, err)
		}
		r.left = roomStep
	}
	k, err := r.r.Read(p)
	r.left -= k
	return k, err
}

// noRoom reports an error that says nothing of the disk but that it is full. The
// file that was begun is gone.
func noRoom(err error) bool { return errors.Is(err, ErrDiskFull) || errors.Is(err, syscall.ENOSPC) }
