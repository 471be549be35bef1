package raftnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// walJob is a message of raft for the append thread, or a snapshot that
// snapshot has written and that is to be recorded.
type walJob struct {
	msg      *raftpb.Message
	snapshot *snapshotRecord
}

// sendingSnapshots is how much of the log is kept for a member that is being sent a
// snapshot, in what lies between two snapshots.
const sendingSnapshots = 4

// walWriter is the wal goroutine: the only one to write the log and raft's
// MemoryStorage. Any error of the storage ends the member (an fsync that is
// tried again may report success for pages that were thrown away).
type walWriter[R any] struct {
	n        *Node[R]
	tr       Transport
	log      LogStorage
	previous uint64 // index of the snapshot before the newest: may still be fallen back to

	ents []*raftpb.Entry
	self []*raftpb.Message
	out  []*raftpb.Message
}

func newWALWriter[R any](n *Node[R], tr Transport) *walWriter[R] {
	return &walWriter[R]{n: n, tr: tr, log: timedLog[R]{n}}
}

func (w *walWriter[R]) run(ctx context.Context) error {
	w.previous = w.n.snapshotIndex.Load()
	var jobs []walJob
	for {
		select {
		case <-ctx.Done():
			// Everything acknowledged is durable. What is queued was promised
			// to nobody; the newest commit index saves the next start work.
			return w.log.Sync()
		case <-w.n.walq.wake:
		}
		jobs = w.n.walq.take(jobs)
		if err := w.do(jobs); err != nil {
			return err
		}
		w.log.Prepare()
	}
}

// do handles jobs in order, with as few fsyncs as their kinds allow.
func (w *walWriter[R]) do(jobs []walJob) error {
	for len(jobs) > 0 {
		n := 0
		for n < len(jobs) && jobs[n].msg != nil && jobs[n].msg.Snapshot == nil {
			n++
		}
		if n > 0 {
			if err := w.appendLog(jobs[:n]); err != nil {
				return err
			}
			jobs = jobs[n:]
			continue
		}
		var err error
		if jobs[0].snapshot != nil {
			err = w.recordSnapshot(jobs[0].snapshot)
		} else {
			err = w.installSnapshot(jobs[0].msg)
		}
		if err != nil {
			return err
		}
		jobs = jobs[1:]
	}
	return nil
}

// appendLog saves any number of appends with one fsync.
func (w *walWriter[R]) appendLog(jobs []walJob) error {
	var hs *raftpb.HardState
	w.ents = w.ents[:0]
	for _, j := range jobs {
		w.ents = append(w.ents, j.msg.GetEntries()...)
		if s := hardStateOf(j.msg); s != nil {
			hs = s
		}
	}
	if hs != nil || len(w.ents) > 0 {
		if err := w.log.Save(hs, w.ents); err != nil {
			return fmt.Errorf("save log: %w", err)
		}
	}
	clear(w.ents)
	for _, j := range jobs {
		if err := w.n.mem.Append(j.msg.GetEntries()); err != nil {
			return fmt.Errorf("append to memory storage: %w", err)
		}
		w.respond(j.msg)
	}
	w.deliver()
	return nil
}

// installSnapshot replaces the log by a snapshot from a peer, whose body the
// transport has already stored.
func (w *walWriter[R]) installSnapshot(m *raftpb.Message) error {
	meta := m.GetSnapshot().GetMetadata()
	// The commit index in the hard state makes the record valid; without the
	// sync a crash could keep the record and lose the index.
	if err := w.log.SaveSnapshot(meta, true); err != nil {
		return fmt.Errorf("save snapshot %d: %w", meta.GetIndex(), err)
	}
	if err := w.log.Save(hardStateOf(m), m.GetEntries()); err != nil {
		return fmt.Errorf("save log: %w", err)
	}
	if err := w.log.Sync(); err != nil {
		return fmt.Errorf("sync log: %w", err)
	}
	if err := w.n.mem.ApplySnapshot(&raftpb.Snapshot{Metadata: meta}); err != nil {
		return fmt.Errorf("install snapshot %d: %w", meta.GetIndex(), err)
	}
	if err := w.n.mem.Append(m.GetEntries()); err != nil {
		return fmt.Errorf("append to memory storage: %w", err)
	}
	// apply's queue is in order: the state is replaced before any entry that
	// follows the snapshot comes to it.
	w.n.applyq.put(applyJob{restore: meta})
	w.respond(m)
	w.deliver()
	w.n.snapshotIndex.Store(meta.GetIndex())
	w.n.snapshots.record(meta, time.Now())
	w.n.lg.Info("snapshot received", zap.Uint64("index", meta.GetIndex()), zap.Uint64("term", meta.GetTerm()))
	if err := w.log.Release(meta.GetIndex()); err != nil {
		return fmt.Errorf("release log: %w", err)
	}
	w.previous = meta.GetIndex()
	return nil
}

// recordSnapshot records an own snapshot and shortens the log.
func (w *walWriter[R]) recordSnapshot(s *snapshotRecord) error {
	defer func() {
		if !s.seeded {
			w.n.snapshotting.Store(false)
		}
		w.n.applyq.put(applyJob{}) // the next one may be due already
	}()
	index := s.meta.GetIndex()
	if index <= w.n.snapshotIndex.Load() {
		return nil // a newer one came from a peer in the meantime
	}
	if err := w.log.SaveSnapshot(s.meta, false); err != nil {
		return fmt.Errorf("save snapshot %d: %w", index, err)
	}
	if _, err := w.n.mem.CreateSnapshot(index, s.meta.GetConfState(), nil); err != nil {
		return fmt.Errorf("record snapshot %d: %w", index, err)
	}
	if err := w.n.mem.Compact(w.compactTo(s)); err != nil && !errors.Is(err, raft.ErrCompacted) {
		return fmt.Errorf("compact log: %w", err)
	}
	w.n.snapshotIndex.Store(index)
	w.n.snapshots.record(s.meta, time.Now())
	if s.seeded {
		w.previous = index // nobody must fall back to the snapshot before, or to the log
	}
	if err := w.log.Release(w.previous); err != nil {
		return fmt.Errorf("release log: %w", err)
	}
	w.previous = index
	w.n.lg.Info("snapshot taken", zap.Uint64("index", index), zap.Duration("took", s.took))
	return nil
}

// compactTo says which entries memory may forget: those up to the snapshot that
// raft has applied, less some that let a slow follower catch up without a
// snapshot, and those that a member needs which is being sent one. Both are
// bounded in bytes: a member behind a slow line must not cost the memory of all
// that is written meanwhile, and can be sent another snapshot.
func (w *walWriter[R]) compactTo(s *snapshotRecord) uint64 {
	first, _ := w.n.mem.FirstIndex()
	index := s.meta.GetIndex()
	to, size := index, uint64(0)
	for to >= first {
		wanted := index-to < w.n.cfg.CatchUpEntries && size <= w.n.cfg.CatchUpBytes
		sent := s.sending > 0 && to > s.sending && size <= sendingSnapshots*w.n.cfg.SnapshotBytes
		if !wanted && !sent {
			break
		}
		ents, err := w.n.mem.Entries(to, to+1, ^uint64(0))
		if err != nil || len(ents) == 0 {
			break
		}
		if size += uint64(len(ents[0].GetData())); size > w.n.cfg.CatchUpBytes && !sent {
			break
		}
		to--
	}
	return min(to, s.keepAfter)
}

// respond queues the responses raft attached to m.
func (w *walWriter[R]) respond(m *raftpb.Message) {
	for _, r := range m.GetResponses() {
		if w.n.isSelf(r.GetTo()) {
			w.self = append(w.self, r)
		} else {
			w.out = append(w.out, r)
		}
	}
}

// deliver sends the queued responses, each kind in its order.
func (w *walWriter[R]) deliver() {
	if len(w.out) > 0 {
		w.tr.Send(w.out)
	}
	if len(w.self) > 0 {
		w.n.inbox.put(func(in *inputs[R]) { in.local = append(in.local, w.self...) })
	}
	clear(w.out)
	clear(w.self)
	w.out, w.self = w.out[:0], w.self[:0]
}

func hardStateOf(m *raftpb.Message) *raftpb.HardState {
	if m.Term == nil {
		return nil
	}
	return &raftpb.HardState{Term: m.Term, Vote: m.Vote, Commit: m.Commit}
}
