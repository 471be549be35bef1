package raftnode

import (
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// handleReady lets raft's pending work happen; false: there was none. What goes to
// other members waits for send.
func (l *loop[R]) handleReady() bool {
	worked := false
	for l.rn.HasReady() {
		worked = true
		rd := l.rn.Ready()
		l.follow(rd)
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				l.placed(m)
				l.n.walq.put(walJob{msg: m})
			case raft.LocalApplyThread:
				l.committed(m)
				l.n.applyq.put(applyJob{msg: m})
			default:
				if m.GetType() == raftpb.MsgSnap && !l.usable(m) || l.repeats(m) {
					continue
				}
				l.out = append(l.out, m)
			}
		}
		for _, state := range rd.ReadStates {
			readers, peers := l.reads.answered(state)
			if len(readers) > 0 {
				l.n.applied.await(state.Index, readers)
			}
			for _, m := range peers {
				l.out = append(l.out, &raftpb.Message{
					Type: new(raftpb.MsgReadIndexResp), From: m.To, To: m.From, Term: new(l.view.term),
					Index: new(state.Index), Entries: m.GetEntries(),
				})
			}
		}
	}
	return worked
}

// send passes on what a turn has for other members, at its end: when one batch is
// committed and the next begins, raft tells followers of the one and sends them the
// other, which tells them too. Two messages, and two answers, where one does. While the
// next batch gathers, what it will tell waits for it.
func (l *loop[R]) send() {
	if len(l.out) == 0 {
		return
	}
	wait := l.nextBatchIn()
	held, kept := l.held[:0], l.out[:0]
	for i, m := range l.out {
		switch {
		case overtaken(m, l.out[i+1:]):
		case wait > 0 && tellsOnly(m):
			held = append(held, m)
		default:
			kept = append(kept, m)
		}
	}
	if len(kept) > 0 {
		l.tr.Send(kept)
	}
	clear(l.out)
	l.held, l.out = l.out[:0], held
	if len(held) > 0 {
		l.gatherUntil(wait)
	}
}

// tellsOnly reports that a message does nothing but tell of a commit index.
func tellsOnly(m *raftpb.Message) bool {
	return m.GetType() == raftpb.MsgApp && len(m.GetEntries()) == 0
}

// overtaken reports that a message only tells of a commit index, which one of those
// behind it tells as well. To leave it out is as if it had been lost just before a newer
// one arrives.
func overtaken(m *raftpb.Message, behind []*raftpb.Message) bool {
	return tellsOnly(m) && slices.ContainsFunc(behind, func(b *raftpb.Message) bool {
		return b.GetType() == raftpb.MsgApp && b.GetTo() == m.GetTo() && b.GetTerm() == m.GetTerm() &&
			b.GetCommit() >= m.GetCommit() && b.GetIndex() >= m.GetIndex()
	})
}

// repeats reports a MsgApp that was sent a moment ago. While raft probes how far
// a peer's log goes it sends the same entries again, up to a megabyte of them,
// after each answer to a heartbeat. Every round of reads is one: thousands a
// second would bury a member that comes back. A probe that was lost is sent
// again by the next heartbeat after the pause.
func (l *loop[R]) repeats(m *raftpb.Message) bool {
	if m.GetType() != raftpb.MsgApp || len(m.GetEntries()) == 0 {
		return false
	}
	now, last := time.Now(), l.probes[m.GetTo()]
	if m.GetIndex() == last.index && m.GetLogTerm() == last.term && now.Sub(last.at) < l.n.cfg.Tick {
		return true
	}
	l.probes[m.GetTo()] = probe{m.GetIndex(), m.GetLogTerm(), now}
	return false
}

// follow notes what a Ready tells of term, leader and commit index.
func (l *loop[R]) follow(rd raft.Ready) {
	next := l.view
	if rd.HardState != nil {
		next.term = rd.HardState.GetTerm()
		l.n.commit.Store(rd.HardState.GetCommit())
	}
	if rd.SoftState != nil {
		next.leader, next.state = rd.SoftState.Lead, rd.SoftState.RaftState
	}
	if next == l.view {
		return
	}
	was := l.view
	if next.state == raft.StateLeader && was.state != raft.StateLeader {
		l.n.heard(time.Now()) // a majority has just voted
	}
	l.view = next
	l.n.view.Store(&next)
	if next.leader == was.leader && next.term == was.term {
		return
	}
	l.n.health.hurry() // the new leader knows nothing yet
	if next.leader != was.leader {
		l.n.lg.Info("leader changed", zap.Uint64("leader", next.leader), zap.Uint64("term", next.term))
	}
	// Whatever was under way with the old leader: reads begin anew, and
	// entries are no longer counted as in flight; apply will resolve them.
	l.reads.abandon()
	l.batches = l.batches[:0]
	l.gather = gathering{}
	l.termCommitted = false
	l.forwardPause = false
	if next.term != l.forwardTerm {
		l.forwardTerm, l.forwards = next.term, 0
	}
	clear(l.learners)
	l.termFirst = 0
	l.noteVoters()
	if next.state == raft.StateLeader {
		l.ledSince = time.Now()
		l.leaveTried = l.ledSince
		l.leaveJoint(l.ledSince)
	}
}

// placed notes the indexes of own entries that raft has put into its log.
func (l *loop[R]) placed(m *raftpb.Message) {
	ents := m.GetEntries()
	if len(ents) > 0 {
		l.lastIndex = ents[len(ents)-1].GetIndex()
	} else if m.Snapshot != nil {
		l.lastIndex = m.GetSnapshot().GetMetadata().GetIndex()
		l.noteVoters()
	}
	if !l.leading() {
		return
	}
	next := 0
	for _, e := range ents {
		if l.termFirst == 0 && e.GetTerm() == l.view.term {
			l.termFirst = e.GetIndex()
		}
		switch {
		case e.GetType() == raftpb.EntryConfChange, e.GetType() == raftpb.EntryConfChangeV2:
			l.changeIndex = e.GetIndex()
			if id, ok := changeID(e); ok {
				l.n.inFlight.place(id, e.GetIndex())
			}
		case len(e.GetData()) > 0:
			h, _, err := decodeEntry(e.GetData())
			if err != nil || !l.n.inFlight.place(h.id, e.GetIndex()) || h.kind != kindCommands {
				continue
			}
			for ; next < len(l.batches); next++ {
				if l.batches[next] == 0 {
					l.batches[next] = e.GetIndex()
					break
				}
			}
		}
	}
}

// committed notes what raft hands to apply.
func (l *loop[R]) committed(m *raftpb.Message) {
	ents := m.GetEntries()
	last := ents[len(ents)-1]
	if l.leading() && last.GetTerm() == l.view.term {
		l.termCommitted = true
	}
	done := 0
	for done < len(l.batches) && l.batches[done] != 0 && l.batches[done] <= last.GetIndex() {
		done++
	}
	l.batches = append(l.batches[:0], l.batches[done:]...)
	if done > 0 && len(l.batches) == 0 {
		l.gather.end(len(l.open), time.Now())
	}
}
