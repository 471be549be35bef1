package clustertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"kvd/internal/raftnode"
)

// Receiver is a member as the network sees it: the methods a transport calls.
type Receiver interface {
	Step(msgs []*raftpb.Message)
	ReportUnreachable(id uint64)
	ReportSnapshot(id uint64, ok bool)
	HandleForward(ctx context.Context, from uint64, req []byte) ([]byte, error)
	OpenSnapshot(index uint64) (io.ReadCloser, int64, error)
	ReceiveSnapshot(ctx context.Context, msg *raftpb.Message, body io.Reader) error
	IsRemoved(id uint64) bool
	MarkRemoved()
}

// Link is how one direction between two members behaves.
type Link struct {
	Cut                bool
	Drop, Duplicate    float64 // probabilities
	MinDelay, MaxDelay time.Duration
	BytesPerSecond     int // of appends and, apart, of snapshots; the rest is small; 0: no limit
	QueueBytes         int // of appends that may wait for a slow link; beyond it they are dropped, as a transport does
}

// Network carries messages between members as its links allow. Messages are
// copied, as on a wire, and overtake each other at random.
type Network struct {
	mu      sync.Mutex
	seed    uint64
	dices   map[[2]uint64]*rand.Rand
	def     Link
	links   map[[2]uint64]Link
	lines   map[[2]uint64]*line
	members map[uint64]Receiver
	leaders map[uint64]uint64 // term to the member that led it
	wg      sync.WaitGroup    // of what is under way
	report  func(string)      // of a broken invariant
	filter  Filter
	trace   *trace // nil: nobody asks

	sent, lost int  // messages
	noBodies   bool // snapshots get nowhere
	fetched    int  // snapshots that a member has asked for and been given
	snapshots  int  // of sent
	addresses  bool // a member is found where it listens, and nowhere else
	cutNext    int  // how many of the next snapshots are cut in their middle
}

var errLost = errors.New("lost on the network")

func newNetwork(rng *rand.Rand, report func(string)) *Network {
	return &Network{
		seed: rng.Uint64(), dices: make(map[[2]uint64]*rand.Rand), report: report,
		def:     Link{MaxDelay: 2 * time.Millisecond},
		links:   make(map[[2]uint64]Link),
		lines:   make(map[[2]uint64]*line),
		members: make(map[uint64]Receiver),
		leaders: make(map[uint64]uint64),
	}
}

// SetDefault sets how links behave that have no setting of their own.
func (n *Network) SetDefault(l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.def = l
}

// SetLink sets how messages from one member to another fare.
func (n *Network) SetLink(from, to uint64, l Link) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.links[[2]uint64{from, to}] = l
}

// Isolate cuts a member off from all others, in both directions.
func (n *Network) Isolate(id uint64, others ...uint64) {
	for _, other := range others {
		if other != id {
			n.SetLink(id, other, Link{Cut: true})
			n.SetLink(other, id, Link{Cut: true})
		}
	}
}

// Heal makes all links good again.
func (n *Network) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.def = Link{MaxDelay: 2 * time.Millisecond}
	clear(n.links)
}

// Counts says how many messages were sent and how many of them lost, for a test
// to see that faults happened.
func (n *Network) Counts() (sent, lost int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.sent, n.lost
}

func (n *Network) attach(id uint64, r Receiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.members[id] = r
}

// leave takes a life off the network, if no later one of the member has come.
func (n *Network) leave(id uint64, r Receiver) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.members[id] == r {
		delete(n.members, id)
	}
}

// fate says after which delay a message arrives, and how often: 0 for lost.
func (n *Network) fate(from, to uint64) (time.Duration, int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l, ok := n.links[[2]uint64{from, to}]
	if !ok {
		l = n.def
	}
	n.sent++
	dice := n.dice(from, to)
	if l.Cut || dice.Float64() < l.Drop {
		n.lost++
		return 0, 0
	}
	delay := l.MinDelay + time.Duration(dice.Int64N(int64(l.MaxDelay-l.MinDelay)+1))
	if dice.Float64() < l.Duplicate {
		return delay, 2
	}
	return delay, 1
}

func (n *Network) member(id uint64) Receiver {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.members[id]
}

// later delivers something unless it is lost.
func (n *Network) later(from, to uint64, extra time.Duration, f func(Receiver)) bool {
	delay, copies := n.fate(from, to)
	for range copies {
		n.wg.Go(func() {
			time.Sleep(delay + extra)
			if r := n.member(to); r != nil {
				f(r)
			}
		})
	}
	return copies > 0
}

// noteLeader checks that a term has one leader.
func (n *Network) noteLeader(m *raftpb.Message) {
	switch m.GetType() {
	case raftpb.MsgApp, raftpb.MsgHeartbeat, raftpb.MsgSnap:
	default:
		return
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if was, ok := n.leaders[m.GetTerm()]; ok && was != m.GetFrom() {
		n.report(fmt.Sprintf("term %d has two leaders: %d and %d", m.GetTerm(), was, m.GetFrom()))
	}
	n.leaders[m.GetTerm()] = m.GetFrom()
}

// endpoint is the raftnode.Transport of one member in one life.
type endpoint struct {
	n    *Network
	id   uint64
	disk *Disk
	gate *gate
	self func() Receiver // nil once the life has ended

	mu    sync.Mutex
	peers map[uint64]string
}

func (e *endpoint) SetPeers(peers map[uint64]string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.peers = peers
}

// knows reports whether the transport can send to a member: it is a peer, or a
// peer that runs can tell where it is, as when it was added, or moved, while this
// one was away.
func (e *endpoint) knows(id uint64) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if url, ok := e.peers[id]; ok && e.n.hears(id, url) {
		return true
	}
	for peer, url := range e.peers {
		if teller, ok := e.n.member(peer).(interface{ Members() []raftnode.Member }); ok && e.n.hears(peer, url) &&
			slices.ContainsFunc(teller.Members(), func(mb raftnode.Member) bool { return mb.ID == id && e.n.hears(id, mb.PeerURL) }) {
			return true
		}
	}
	return false
}

func (e *endpoint) Send(msgs []*raftpb.Message) {
	e.gate.pass()
	if e.self() == nil {
		return
	}
	for _, m := range msgs {
		to := m.GetTo()
		e.n.noteLeader(m)
		e.checkPromise(m)
		if !e.knows(to) {
			// As transport does: raft would wait for the end of it for ever.
			if self := e.self(); self != nil && m.GetType() == raftpb.MsgSnap {
				self.ReportSnapshot(to, false)
			}
			continue
		}
		fate := e.n.judge(m)
		if m.GetType() == raftpb.MsgApp && !fate.Lose && e.n.slow(e.id, to) {
			// Not copied while it waits: what a queue holds is the leader's memory.
			e.sendSlowly(to, m)
			continue
		}
		m = proto.Clone(m).(*raftpb.Message)
		if m.GetType() == raftpb.MsgSnap {
			e.n.wg.Go(func() { e.sendSnapshot(to, m, fate) })
			continue
		}
		ok := !fate.Lose && e.n.later(e.id, to, fate.Delay, func(r Receiver) {
			if r.IsRemoved(e.id) {
				if self := e.self(); self != nil {
					self.MarkRemoved()
				}
				return
			}
			r.Step([]*raftpb.Message{proto.Clone(m).(*raftpb.Message)})
		})
		if self := e.self(); !ok && self != nil {
			self.ReportUnreachable(to)
		}
	}
}

func (e *endpoint) Forward(ctx context.Context, to uint64, req []byte) ([]byte, bool, error) {
	e.gate.pass()
	if e.self() == nil || !e.knows(to) || e.n.member(to) == nil {
		return nil, false, errLost // nobody listens there
	}
	delay, copies := e.n.fate(e.id, to)
	if copies == 0 {
		if _, again := e.n.fate(e.id, to); again == 0 {
			return nil, false, errLost // no connection
		}
		return nil, true, errLost // cut after it was written
	}
	time.Sleep(delay)
	r := e.n.member(to)
	if r == nil {
		return nil, true, errLost
	}
	reply, err := r.HandleForward(ctx, e.id, append([]byte(nil), req...))
	if err != nil {
		return nil, true, err
	}
	delay, copies = e.n.fate(to, e.id)
	time.Sleep(delay)
	if e.gate.pass(); copies == 0 {
		return nil, true, errLost
	}
	return reply, true, ctx.Err()
}
