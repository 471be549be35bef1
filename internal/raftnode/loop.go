package raftnode

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// loop owns the RawNode. Everything in it belongs to its goroutine.
type loop[R any] struct {
	n   *Node[R]
	rn  *raft.RawNode
	tr  Transport
	ctx context.Context
	wg  *sync.WaitGroup // of Run: joins the goroutines that forward

	// raft as of the last Ready
	view          view
	lastIndex     uint64 // of the log
	termCommitted bool   // leading: an entry of this term is committed
	singleVoter   bool   // there is one voter, as of the last leader or membership change

	// commands
	open         []*proposal[R] // wait for an entry, or for a hop to the leader
	counter      uint64         // of entry ids
	buf          []byte         // the entry being built
	batches      []uint64       // leading: indexes of uncommitted entries of commands; 0 until placed
	forwards     int            // requests under way to the leader of forwardTerm
	forwardTerm  uint64
	forwardPause bool // the leader could not be reached: wait for a tick

	reads readRounds

	contact   map[uint64]time.Time // when each peer was last heard
	caughtUp  map[uint64]uint64    // leading: commit index at the last look at a learner
	removedIn int                  // ticks until a removed member ends; 0: not removed
	failure   error
	warned    time.Time // of a heartbeat that was ignored

	out    []*raftpb.Message
	probes map[uint64]probe // the newest MsgApp with entries to each peer
}

// probe is what a MsgApp begins with, and when it was sent.
type probe struct {
	index, term uint64
	at          time.Time
}

func newLoop[R any](n *Node[R], rn *raft.RawNode, tr Transport, wg *sync.WaitGroup) *loop[R] {
	last, _ := n.mem.LastIndex() // MemoryStorage has no errors here
	return &loop[R]{
		n: n, rn: rn, tr: tr, wg: wg,
		lastIndex: last,
		reads:     readRounds{id: entryID{Member: n.cfg.Member, Boot: n.boot}},
		contact:   make(map[uint64]time.Time),
		caughtUp:  make(map[uint64]uint64),
		probes:    make(map[uint64]probe),
	}
}

func (l *loop[R]) run(ctx context.Context) (err error) {
	l.ctx = ctx
	defer func() {
		if p := recover(); p != nil {
			msg, ok := p.(raftPanic)
			if !ok {
				panic(p)
			}
			err = fmt.Errorf("raft gave up: %s", msg)
		}
	}()
	ticker := time.NewTicker(l.n.cfg.Tick)
	defer ticker.Stop()
	spare := &inputs[R]{}
	for {
		// A Ready may wait from the start: bootstrap, or a log to apply.
		l.handleReady()
		tick := false
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C: // missed ticks do not pile up in a Ticker
			tick = true
		case <-l.n.inbox.wake:
			// Whoever is about to ask for something runs first, so that a
			// batch and a round of reads serve more of them. It costs nothing
			// when nobody is.
			runtime.Gosched()
		}
		in := l.n.inbox.take(spare)
		l.turn(in, tick)
		if l.failure != nil {
			return l.failure
		}
		spare = in
	}
}

// turn takes in what has come, and lets raft act on it.
func (l *loop[R]) turn(in *inputs[R], tick bool) {
	// Calls come first: apply waits in one for ApplyConfChange, which raft
	// must see before the response to the entry that carried it.
	for _, call := range in.calls {
		call(l)
	}
	for _, m := range in.local {
		l.step(m)
	}
	if len(in.peers) > 0 {
		l.stepPeers(in.peers)
	}
	if tick {
		l.tick()
	}
	l.open = append(l.open, in.props...)
	l.reads.open = append(l.reads.open, in.reads...)
	for {
		// A Ready can end a batch or a round of reads, which lets the next
		// begin, which makes a Ready.
		l.propose()
		l.read()
		if !l.handleReady() {
			return
		}
	}
}

func (l *loop[R]) step(m *raftpb.Message) {
	if err := l.rn.Step(m); err != nil && err != raft.ErrProposalDropped {
		l.n.lg.Debug("message refused by raft", zap.Stringer("type", m.GetType()), zap.Uint64("from", m.GetFrom()), zap.Error(err))
	}
}

func (l *loop[R]) stepPeers(msgs []*raftpb.Message) {
	now := time.Now()
	for _, m := range msgs {
		from := m.GetFrom()
		l.contact[from] = now
		switch m.GetType() {
		case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
			if l.promisesTooMuch(m) {
				continue
			}
			if m.GetTerm() >= l.view.term {
				l.n.heard(now)
			}
		case raftpb.MsgReadIndex:
			// A single voter answers at once, even before it knows what its
			// predecessors had committed. The asker tries again.
			if l.leading() && l.tooEarly() {
				continue
			}
		}
		l.step(m)
	}
}

// standAlone makes the only voter of a cluster lead at once. Nobody else can,
// so that an election timeout would be waited for nothing at every start.
func (l *loop[R]) standAlone() {
	if !l.singleVoter || l.view.state != raft.StateFollower || l.n.members.Load().Members[l.n.cfg.Member].Learner ||
		l.n.applied.index.Load() < l.n.commit.Load() { // raft refuses while a membership change may wait
		return
	}
	if _, voter := l.rn.Status().Config.Voters.IDs()[l.n.cfg.Member]; voter {
		_ = l.rn.Campaign() // its errors say that it is not the time
	}
}

// promisesTooMuch reports a heartbeat that would make raft commit entries that
// are not in the log, and panic. A leader only tells what this member has
// acknowledged: either the message is forged, or the disk has forgotten.
func (l *loop[R]) promisesTooMuch(m *raftpb.Message) bool {
	if m.GetType() != raftpb.MsgHeartbeat || m.GetCommit() <= l.lastIndex {
		return false
	}
	if now := time.Now(); now.Sub(l.warned) > time.Minute {
		l.warned = now
		l.n.lg.Error("heartbeat ignored: its commit index is not in this member's log; "+
			"if the data directory was replaced by an older copy, this member must be replaced",
			zap.Uint64("from", m.GetFrom()), zap.Uint64("commit", m.GetCommit()), zap.Uint64("last", l.lastIndex))
	}
	return true
}

func (l *loop[R]) tick() {
	l.rn.Tick()
	l.standAlone()
	l.forwardPause = false
	now := time.Now()
	l.n.peers.expire(now)
	l.dropWithdrawn()
	l.reads.dropGone()
	l.reads.elapsed++
	if l.leading() {
		if l.quorumContact(now) {
			l.n.heard(now)
		}
		l.promoteLearners()
	}
	if l.removedIn > 0 {
		if l.removedIn--; l.removedIn == 0 {
			l.failure = ErrRemoved
		}
	}
}

func (l *loop[R]) leading() bool { return l.view.state == raft.StateLeader }

// handleReady lets raft's pending work happen; false: there was none.
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
		if len(l.out) > 0 {
			l.tr.Send(l.out)
			clear(l.out)
			l.out = l.out[:0]
		}
		for _, state := range rd.ReadStates {
			if readers := l.reads.answered(state); readers != nil {
				l.n.applied.await(state.Index, readers)
			}
		}
	}
	return worked
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
	l.view = next
	l.n.view.Store(&next)
	if next.leader == was.leader && next.term == was.term {
		return
	}
	if next.leader != was.leader {
		l.n.lg.Info("leader changed", zap.Uint64("leader", next.leader), zap.Uint64("term", next.term))
	}
	// Whatever was under way with the old leader: reads begin anew, and
	// entries are no longer counted as in flight; apply will resolve them.
	l.reads.abandon()
	l.batches = l.batches[:0]
	l.termCommitted = false
	l.forwardPause = false
	if next.term != l.forwardTerm {
		l.forwardTerm, l.forwards = next.term, 0
	}
	clear(l.caughtUp)
	l.noteVoters()
}

// placed notes the indexes of own entries that raft has put into its log.
func (l *loop[R]) placed(m *raftpb.Message) {
	ents := m.GetEntries()
	if len(ents) > 0 {
		l.lastIndex = ents[len(ents)-1].GetIndex()
	} else if m.Snapshot != nil {
		l.lastIndex = m.GetSnapshot().GetMetadata().GetIndex()
	}
	if !l.leading() {
		return
	}
	next := 0
	for _, e := range ents {
		switch {
		case e.GetType() == raftpb.EntryConfChange:
			if id, ok := changeID(e); ok {
				l.n.inFlight.place(id, e.GetIndex())
			}
		case len(e.GetData()) > 0:
			h, _, err := decodeEntry(e.GetData())
			if err != nil || h.kind != kindCommands || !l.n.inFlight.place(h.id, e.GetIndex()) {
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
}

// read begins a round of ReadIndex when readers wait and none is under way,
// or when the one under way has had no answer for too long: raft loses a
// request without a word when a message or a leader is lost.
func (l *loop[R]) read() {
	if len(l.reads.open) == 0 && len(l.reads.round) == 0 || l.view.leader == raft.None {
		return
	}
	if len(l.reads.round) > 0 && l.reads.elapsed < max(2, l.n.cfg.ElectionTicks/2) {
		return
	}
	if l.leading() && l.tooEarly() {
		return
	}
	l.rn.ReadIndex(l.reads.begin())
}

// tooEarly reports that raft would answer a ReadIndex with an index that may
// lie below what earlier leaders had acknowledged: with a single voter it does
// not wait, as it should, until an entry of its own term is committed.
func (l *loop[R]) tooEarly() bool { return l.singleVoter && !l.termCommitted }

func (l *loop[R]) noteVoters() {
	l.singleVoter = len(l.rn.Status().Config.Voters.IDs()) == 1
}

// applyConfChange tells raft of a change that apply has come to.
func (l *loop[R]) applyConfChange(cc *raftpb.ConfChange) *raftpb.ConfState {
	cs := l.rn.ApplyConfChange(cc)
	l.noteVoters()
	return cs
}

func (l *loop[R]) quorumContact(now time.Time) bool {
	m := l.n.members.Load()
	return l.answering(m.voters(), now) > len(m.voters())/2
}

// answering counts those that were heard within an election timeout.
func (l *loop[R]) answering(ids []uint64, now time.Time) int {
	limit := time.Duration(l.n.cfg.ElectionTicks) * l.n.cfg.Tick
	count := 0
	for _, id := range ids {
		if t, ok := l.contact[id]; l.n.isSelf(id) || ok && now.Sub(t) < limit {
			count++
		}
	}
	return count
}
