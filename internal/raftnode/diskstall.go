package raftnode

import (
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// timedLog is the storage of the log with a note of when the write under way
// began. It belongs to wal.
type timedLog[R any] struct{ n *Node[R] }

func (t timedLog[R]) begin() { t.n.writeBegan.Store(int64(time.Since(t.n.born)) + 1) }
func (t timedLog[R]) end()   { t.n.writeBegan.Store(0) }

func (t timedLog[R]) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	t.begin()
	defer t.end()
	return t.n.storage.Save(hs, ents)
}

func (t timedLog[R]) Sync() error {
	t.begin()
	defer t.end()
	return t.n.storage.Sync()
}

func (t timedLog[R]) SaveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error {
	t.begin()
	defer t.end()
	return t.n.storage.SaveSnapshot(meta, installed)
}

func (t timedLog[R]) Release(index uint64) error {
	t.begin()
	defer t.end()
	return t.n.storage.Release(index)
}

func (t timedLog[R]) Prepare() {
	t.begin()
	defer t.end()
	t.n.storage.Prepare()
}

// stallWatch counts the ticks that the loop has seen go by during one write. A
// process that was stopped sees none, and so does not blame its disk.
type stallWatch struct {
	write int64 // as writeBegan
	ticks int
}

func (s *stallWatch) tick(write int64) int {
	if write != s.write || write == 0 {
		*s = stallWatch{write: write}
	} else {
		s.ticks++
	}
	return s.ticks
}

// diskStall tells for how long the disk has not answered, once that is longer
// than an election timeout.
func (n *Node[R]) diskStall() (time.Duration, bool) {
	at := n.writeBegan.Load()
	if at == 0 || at != n.stalledWrite.Load() {
		return 0, false
	}
	return max(0, time.Since(n.born)-time.Duration(at-1)), true
}

// watchDisk reports whether the disk has stalled. Nothing that needs this disk
// goes on then: a leader commits what the others have, and cannot apply it. So it
// hands leadership on; and a member that does not lead lets no time pass for raft,
// which would make it stand for an election that it could not be of use in.
func (l *loop[R]) watchDisk() bool {
	if l.stall.tick(l.n.writeBegan.Load()) < l.n.cfg.ElectionTicks {
		return false
	}
	if l.n.stalledWrite.Swap(l.stall.write) != l.stall.write {
		l.n.lg.Warn("disk does not answer", zap.Bool("leading", l.leading()))
		l.n.health.hurry()
	}
	if l.leading() && l.rn.BasicStatus().LeadTransferee == raft.None && l.othersCanLead() {
		to := l.transfer()
		l.n.lg.Warn("leadership is handed over: the disk does not answer", zap.Uint64("to", to))
	}
	return true
}

// othersCanLead reports whether a majority is left without this member, of voters
// that answer and whose disks do. Without one, a leader that can at least
// serve reads is better than none.
func (l *loop[R]) othersCanLead() bool {
	voters, now, able := l.n.members.Load().voters(), time.Now(), 0
	for _, id := range voters {
		if !l.n.isSelf(id) && l.answering([]uint64{id}, now) > 0 && !l.n.health.stalled(id, now) {
			able++
		}
	}
	return able > len(voters)/2
}
