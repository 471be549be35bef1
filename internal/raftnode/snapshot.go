package raftnode

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// snapshotRecord is a snapshot whose body is durable, for wal to record.
type snapshotRecord struct {
	meta      *raftpb.SnapshotMetadata
	keepAfter uint64 // the log after this index is still needed
	sending   uint64 // and that after this one by a member that is being sent a snapshot; 0: none is
	took      time.Duration
	seeded    bool // it came from the leader, in the place of a state that differed
}

// snapshotPause is the time between two tries of a snapshot that has no room.
const snapshotPause = 10 * time.Second

// maybeSnapshot freezes the state when the log has grown enough or somebody
// waits for it, and leaves the writing to a goroutine: apply goes on at once.
func (a *applier[R]) maybeSnapshot(ctx context.Context) {
	cfg := &a.n.cfg
	due := a.sinceEntries >= cfg.SnapshotEntries || a.sinceBytes >= cfg.SnapshotBytes || a.n.snapshotWanted.Load()
	due = due && time.Since(a.n.born) >= time.Duration(a.n.snapshotPause.Load())
	if asked := a.n.snapshots.assign(a.index); !due && !asked {
		return
	}
	if err := a.n.Diverged(); err != nil {
		a.n.snapshots.fail(err) // a snapshot would make a wrong state last
		return
	}
	if !a.n.snapshotting.CompareAndSwap(false, true) {
		return // the last one is still being written
	}
	confState, err := proto.Marshal(a.confState)
	if err != nil {
		panic(fmt.Sprintf("marshal ConfState: %v", err))
	}
	h := &bodyHeader{
		Cluster: cfg.Cluster, Index: a.index, Term: a.term, Clock: a.clock,
		ConfState: confState, Membership: a.members,
	}
	meta := &raftpb.SnapshotMetadata{
		Index: new(a.index), Term: new(a.term), ConfState: proto.Clone(a.confState).(*raftpb.ConfState),
	}
	a.sinceEntries, a.sinceBytes = 0, 0
	a.n.snapshotWanted.Store(false)
	state, err := a.n.sm.Snapshot()
	// The loop starts the goroutine, since it is the loop that Run's WaitGroup
	// already counts while the goroutine is added.
	a.n.do(func(l *loop[R]) {
		l.wg.Go(func() {
			start := time.Now()
			if err == nil {
				err = a.n.writeSnapshot(l.ctx, h, state)
			}
			a.n.do(func(l *loop[R]) {
				if l.ctx.Err() != nil {
					return // it was given up
				}
				if noRoom(err) {
					l.putOffSnapshot(h.Index, err)
					return
				}
				if errors.Is(err, ErrDiverged) {
					l.n.snapshotting.Store(false)
					l.n.snapshots.fail(err)
					return
				}
				if err != nil {
					l.diskFailed(h.Index, err)
					return
				}
				l.recordSnapshot(&snapshotRecord{meta: meta, took: time.Since(start)})
			})
		})
	})
}

// putOffSnapshot lets things be as if the snapshot had not been begun. The log
// grows meanwhile, which costs less than the last of the room would.
func (l *loop[R]) putOffSnapshot(index uint64, err error) {
	l.n.lg.Warn("snapshot put off", zap.Uint64("index", index), zap.Error(err))
	l.n.snapshotPause.Store(int64(time.Since(l.n.born) + snapshotPause))
	l.n.snapshotWanted.Store(true)
	l.n.snapshotting.Store(false)
	if !errors.Is(err, ErrDiskFull) { // the disk itself has said so
		err = fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	l.n.snapshots.fail(err)
}

// diskFailed ends the member: a disk that fails to store a snapshot is the disk of
// the log.
func (l *loop[R]) diskFailed(index uint64, err error) {
	l.failure = fmt.Errorf("write snapshot %d: %w", index, err)
}

// writeSnapshot streams a frozen state into the storage. It gives up when ctx ends:
// a member that must stop does not first write gigabytes.
func (n *Node[R]) writeSnapshot(ctx context.Context, h *bodyHeader, state io.WriterTo) error {
	r, w := io.Pipe()
	defer context.AfterFunc(ctx, func() { r.CloseWithError(io.ErrClosedPipe) })()
	done := make(chan struct{})
	var stateErr error
	go func() { // ends with the pipe, which WriteBody's return closes
		defer close(done)
		stateErr = writeBody(w, h, state)
		w.CloseWithError(stateErr)
	}()
	err := n.storage.WriteBody(h.Index, newRoomReader(r, n.cfg.SnapshotRoom))
	r.CloseWithError(io.ErrClosedPipe)
	<-done
	if stateErr != nil && !errors.Is(stateErr, io.ErrClosedPipe) {
		// Not the disk is at fault but the state: it found that out itself.
		n.damaged(h.Index, fmt.Errorf("snapshot %d: %w", h.Index, stateErr))
		return fmt.Errorf("%w: %w", ErrDiverged, stateErr)
	}
	return err
}

// storeBody stores the body of another member's snapshot. What goes wrong on its way
// is no more than that; what goes wrong on the disk ends this member.
func (n *Node[R]) storeBody(index uint64, body io.Reader) error {
	source := &sourceReader{r: newBodyCopier(body)}
	err := n.storage.WriteBody(index, newRoomReader(source, n.cfg.SnapshotRoom))
	if err == nil {
		return nil
	}
	if source.err == nil && !noRoom(err) {
		n.do(func(l *loop[R]) { l.diskFailed(index, err) })
	}
	return fmt.Errorf("store snapshot %d: %w", index, err)
}

// sourceReader remembers how reading has failed.
type sourceReader struct {
	r   io.Reader
	err error
}

func (s *sourceReader) Read(p []byte) (int, error) {
	k, err := s.r.Read(p)
	if err != nil && err != io.EOF {
		s.err = err
	}
	return k, err
}

// usable reports whether a member can install the snapshot that raft is about
// to send it. A snapshot taken before the member was added does not name it,
// and is ignored there without a word: a newer one is taken instead, and raft
// tries again.
func (l *loop[R]) usable(m *raftpb.Message) bool {
	cs := m.GetSnapshot().GetMetadata().GetConfState()
	for _, ids := range [][]uint64{cs.GetVoters(), cs.GetLearners(), cs.GetVotersOutgoing(), cs.GetLearnersNext()} {
		if slices.Contains(ids, m.GetTo()) {
			return true
		}
	}
	l.rn.ReportSnapshot(m.GetTo(), raft.SnapshotFailure)
	// raft tries again and again. While one is being written, that is what it
	// shall try next; should it not name the member either, this comes back.
	if !l.n.snapshotting.Load() {
		l.n.snapshotWanted.Store(true)
		l.n.applyq.put(applyJob{}) // for apply to look
	}
	return false
}

// recordSnapshot sends a written snapshot to wal. It passes through the loop
// for two reasons: wal must have seen the commit index that covers it, or a
// restart would ignore the record; and only raft knows how much of the log may
// go. Compacting what it has not applied would break it; what a follower needs
// that is just being sent an older snapshot, would start that over.
func (l *loop[R]) recordSnapshot(s *snapshotRecord) {
	if err := l.n.Diverged(); err != nil && !s.seeded {
		l.n.snapshotting.Store(false)
		l.n.snapshots.fail(err)
		return // frozen before that was found out
	}
	s.keepAfter = l.rn.BasicStatus().Applied
	l.rn.WithProgress(func(_ uint64, _ raft.ProgressType, pr tracker.Progress) {
		if pr.State == tracker.StateSnapshot && pr.RecentActive {
			if s.sending == 0 || pr.PendingSnapshot < s.sending {
				s.sending = pr.PendingSnapshot
			}
		}
	})
	l.n.walq.put(walJob{snapshot: s})
}
