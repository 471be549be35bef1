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

	// membership
	joint       bool            // the configuration is a joint one
	jointSince  time.Time       // or since the last alarm
	leaveTried  time.Time       // to leave it
	changeIndex uint64          // of the last membership change put into the log here
	termFirst   uint64          // leading: index of the first entry of the term; 0 until placed
	ledSince    time.Time       // this member's last becoming leader
	learners    map[uint64]look // leading: what the last look at each has shown

	// commands
	open         []*proposal[R] // wait for an entry, or for a hop to the leader
	counter      uint64         // of entry ids
	buf          []byte         // the entry being built
	batches      []uint64       // leading: indexes of uncommitted entries of commands; 0 until placed
	gather       gathering
	gatherEnd    *time.Timer // makes a turn at gatherAt; nil: never needed yet
	gatherAt     time.Time
	forwards     int // requests under way to the leader of forwardTerm
	forwardTerm  uint64
	forwardPause bool // the leader could not be reached: wait for a tick

	reads readRounds

	contact   map[uint64]time.Time // when each peer was last heard
	stall     stallWatch
	removedIn int // ticks until a removed member ends; 0: not removed
	failure   error
	warned    time.Time // of a heartbeat that was ignored

	out    []*raftpb.Message
	held   []*raftpb.Message // spare of out
	probes map[uint64]probe  // the newest MsgApp with entries to each peer
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
		learners:  make(map[uint64]look),
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
	l.hurry()
	ticker := time.NewTicker(l.n.cfg.Tick)
	defer ticker.Stop()
	spare := &inputs[R]{}
	for {
		// A Ready may wait from the start: bootstrap, or a log to apply.
		l.handleReady()
		l.send()
		l.n.inbox.want(l.wants())
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
			l.send() // also the last of it
			return l.failure
		}
		spare = in
	}
}

// hurry lets the member that has just started stand for election after a fifth of the
// time that it would wait for a silent leader: there was none to be silent. If there is
// one, it is heard by then, or refuses the others' votes in a pre-vote.
//
// Not where a leader serves reads on a lease: it counts on those who have followed it
// not to elect another for an election timeout, and they have forgotten that they did.
func (l *loop[R]) hurry() {
	if l.n.cfg.ReadOnlyLeaseBased {
		return
	}
	for range l.n.cfg.ElectionTicks * 4 / 5 {
		l.rn.Tick()
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
		case raftpb.MsgTimeoutNow:
			if _, stalled := l.n.diskStall(); stalled {
				continue // it could not lead: whoever asks for it gives up, and asks another
			}
		case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
			if l.promisesTooMuch(m) {
				continue
			}
			if m.GetTerm() >= l.view.term {
				l.n.heard(now)
			}
		case raftpb.MsgReadIndex:
			// Not l.leading, which is as of the last Ready: a single voter that has
			// been elected since would answer at once (see tooEarly).
			if l.rn.BasicStatus().RaftState == raft.StateLeader {
				l.reads.ask(m)
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
	if !l.watchDisk() || l.leading() {
		l.rn.Tick()
		l.standAlone()
	}
	l.forwardPause = false
	now := time.Now()
	l.n.peers.expire(now)
	l.dropWithdrawn()
	l.reads.dropGone()
	l.n.applied.dropGone()
	l.reads.elapsed++
	if l.leading() {
		if l.quorumContact(now) {
			l.n.heard(now)
		}
		l.lookAtLearners(now)
		l.leaveJoint(now)
	}
	if l.removedIn > 0 {
		if l.removedIn--; l.removedIn == 0 {
			l.failure = ErrRemoved
		}
	}
}

func (l *loop[R]) leading() bool { return l.view.state == raft.StateLeader }

// read begins a round of ReadIndex when readers wait and none is under way,
// or when the one under way has had no answer for too long: raft loses a
// request without a word when a message or a leader is lost.
func (l *loop[R]) read() {
	if !l.reads.waits() && !l.reads.served() || l.view.leader == raft.None {
		return
	}
	if l.reads.served() && l.reads.elapsed < max(2, l.n.cfg.ElectionTicks/2) {
		return
	}
	if l.leading() && l.tooEarly() {
		return
	}
	if !l.reads.served() {
		if _, wait := l.reads.gather.more(l.reads.waiting(), time.Now()); wait > 0 {
			l.gatherUntil(wait)
			return
		}
	}
	l.rn.ReadIndex(l.reads.begin())
}

// tooEarly reports that raft would answer a ReadIndex with an index that may
// lie below what earlier leaders had acknowledged: with a single voter it does
// not wait, as it should, until an entry of its own term is committed.
func (l *loop[R]) tooEarly() bool { return l.singleVoter && !l.termCommitted }

func (l *loop[R]) noteVoters() {
	voters := l.rn.Status().Config.Voters
	l.singleVoter = len(voters[0]) == 1 && len(voters[1]) == 0
	if joint := len(voters[1]) > 0; joint != l.joint {
		l.joint, l.jointSince = joint, time.Now()
	}
}

// applyConfChange tells raft of a change that apply has come to. gone says that
// it removes this member.
func (l *loop[R]) applyConfChange(cc raftpb.ConfChangeI, gone bool) *raftpb.ConfState {
	if gone {
		// A moment is left to tell the others what is in the queues. If this
		// one leads, they may need its vote to elect another.
		l.removedIn = int(lingerTime/l.n.cfg.Tick) + 1
		if l.leading() {
			l.removedIn = max(l.removedIn, 3*l.n.cfg.ElectionTicks)
		}
	}
	cs := l.rn.ApplyConfChange(cc)
	l.noteVoters()
	l.leaveTried = time.Now() // raft's turn
	l.leaveJoint(l.leaveTried)
	return cs
}
