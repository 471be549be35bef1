package raftnode

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// Node is one member. Create it with New, load its state with Open, then let
// Run work until its context ends. All other methods are safe for concurrent
// use; before Run they wait or refuse.
type Node[R any] struct {
	// set by New
	cfg       Config
	lg        *zap.Logger
	sm        StateMachine[R]
	storage   Storage
	boot      uint64    // random, tells this life from earlier ones
	born      time.Time // what monotonic times are counted from
	proposals sync.Pool

	// set by Open
	mem       *raft.MemoryStorage
	recovered *Recovered
	header    *bodyHeader // of the recovered snapshot, or an empty one

	// the mailboxes, one reader each
	inbox  *inbox[R]
	walq   *queue[walJob]
	applyq *queue[applyJob]

	// shared state with owners of its own
	inFlight                   inFlightSet[R]
	applied                    appliedIndex
	clock                      logClock
	peers                      peerSet
	verifier                   verifier
	seeds                      seeds
	waitingCount, waitingBytes atomic.Int64
	waitingReads               atomic.Int64
	snapshots                  snapshotDesk
	health                     health

	// written by one goroutine, read by all
	members        atomic.Pointer[membership] // apply
	view           atomic.Pointer[view]       // loop
	commit         atomic.Uint64              // loop
	snapshotIndex  atomic.Uint64              // wal
	lastContact    atomic.Int64               // loop: when a leader (or, leading, a majority) was last heard, in ns after born, plus one; 0: never
	snapshotting   atomic.Bool                // a snapshot is being made: set by apply, cleared by wal
	snapshotWanted atomic.Bool                // a member needs a newer snapshot than there is: set by loop, cleared by apply
	snapshotPause  atomic.Int64               // no automatic snapshot before this time, in ns after born: set by loop when one had no room
	writeBegan     atomic.Int64               // wal: when the write of the log under way began, in ns after born, plus one; 0: none
	stalledWrite   atomic.Int64               // loop: the value of writeBegan whose write takes too long
	ready          atomic.Bool                // publish: a linearizable read has succeeded in this life
}

// view is what the loop tells everybody about raft.
type view struct {
	term, leader uint64
	state        raft.StateType
}

// New returns a Node that has touched nothing yet.
func New[R any](cfg Config, sm StateMachine[R], storage Storage) (*Node[R], error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	var boot [8]byte
	rand.Read(boot[:]) // never fails
	n := &Node[R]{
		cfg:     cfg,
		lg:      cfg.Logger,
		sm:      sm,
		storage: storage,
		boot:    binary.BigEndian.Uint64(boot[:]),
		born:    time.Now(),
		mem:     raft.NewMemoryStorage(),
		inbox:   newInbox[R](),
		walq:    newQueue[walJob](),
		applyq:  newQueue[applyJob](),
		health:  newHealth(),
	}
	n.verifier.init(n.born)
	n.clock.owner, n.clock.monotonic = entryID{Member: cfg.Member, Boot: n.boot}, cfg.Monotonic
	n.proposals.New = func() any { return &proposal[R]{done: make(chan struct{}, 1)} }
	n.view.Store(&view{})
	n.members.Store(&membership{})
	return n, nil
}

// Open loads what is on disk and restores the state machine. Errors wrap
// ErrDataDir when the directory is at fault.
func (n *Node[R]) Open() error {
	rec, err := n.storage.Load(n.cfg.Identity)
	if err != nil {
		return err
	}
	if rec.HardState == nil && rec.Snapshot == nil && len(n.cfg.Founders) > 0 {
		// A crash has torn the very first save, whose end is the hard state.
		// Nobody was told of any of it: Run founds anew, with the same entries.
		rec.Entries = nil
	}
	n.recovered = rec
	n.header = &bodyHeader{Cluster: n.cfg.Cluster, Membership: &membership{}}
	if meta := rec.Snapshot; meta != nil {
		if n.header, err = n.restore(meta.GetIndex()); err != nil {
			return fmt.Errorf("%w: %w", ErrDataDir, err)
		}
		if err := n.mem.ApplySnapshot(&raftpb.Snapshot{Metadata: meta}); err != nil {
			return fmt.Errorf("load snapshot %d: %w", meta.GetIndex(), err)
		}
		n.snapshotIndex.Store(meta.GetIndex())
		n.snapshots.record(meta, n.bodyTime(meta.GetIndex()))
	}
	if rec.HardState != nil {
		if err := n.mem.SetHardState(rec.HardState); err != nil {
			return err
		}
		n.commit.Store(rec.HardState.GetCommit())
	}
	if err := n.mem.Append(rec.Entries); err != nil {
		return err
	}
	n.members.Store(n.header.Membership)
	n.applied.index.Store(n.header.Index)
	n.clock.observe(n.header.Clock, entryID{})
	n.lg.Info("data directory loaded", zap.Uint64("snapshot", n.header.Index),
		zap.Int("entries", len(rec.Entries)), zap.Uint64("commit", rec.HardState.GetCommit()))
	rec.Entries = nil
	return nil
}

// restore loads the body of a snapshot into the state machine.
func (n *Node[R]) restore(index uint64) (*bodyHeader, error) {
	body, _, err := n.storage.OpenBody(index)
	if err != nil {
		return nil, fmt.Errorf("open snapshot %d: %w", index, err)
	}
	defer body.Close()
	r := newBodyReader(body)
	h, err := readBodyHeader(r)
	if err != nil {
		return nil, fmt.Errorf("read snapshot %d: %w", index, err)
	}
	if h.Index != index || h.Cluster != n.cfg.Cluster {
		return nil, fmt.Errorf("read snapshot %d: %w: it is index %d of cluster %016x", index, errBadBody, h.Index, h.Cluster)
	}
	if err := n.sm.Restore(r); err != nil {
		return nil, fmt.Errorf("restore snapshot %d: %w", index, err)
	}
	return h, nil
}

// Run works as a member until ctx ends, and returns nil then. Any other end
// has a reason: ErrRemoved, ErrNewerVersion, or an error of the storage, after
// which the process must exit without touching the storage again.
func (n *Node[R]) Run(ctx context.Context, tr Transport) error {
	rn, err := raft.NewRawNode(n.raftConfig())
	if err != nil {
		return fmt.Errorf("start raft: %w", err)
	}
	if last, _ := n.mem.LastIndex(); last == 0 && len(n.cfg.Founders) > 0 {
		if err := rn.Bootstrap(foundingPeers(n.cfg.Founders)); err != nil {
			return fmt.Errorf("found cluster: %w", err)
		}
	}
	n.peers.init(n.cfg.Member, n.cfg.Seeds, tr)
	n.peers.update(n.members.Load())

	inner, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var wg sync.WaitGroup
	var once sync.Once
	var failure error
	goroutine := func(f func(context.Context) error) {
		wg.Go(func() {
			if err := f(inner); err != nil {
				once.Do(func() { failure = err })
				cancel(err)
			}
		})
	}
	w := newWALWriter(n, tr)
	a := newApplier(n)
	l := newLoop(n, rn, tr, &wg)
	goroutine(l.run)
	goroutine(w.run)
	goroutine(a.run)
	goroutine(n.publish)
	goroutine(n.shareHealth)
	goroutine(n.guard)
	wg.Wait()
	n.failAll(l)
	return failure
}

// failAll ends all who still wait, once no goroutine is left to serve them.
func (n *Node[R]) failAll(l *loop[R]) {
	rest := n.inbox.close()
	for _, p := range append(l.open, rest.props...) {
		if p.take() {
			p.fail(ErrStopped)
		}
	}
	for _, f := range n.inFlight.takeAll() {
		f.fail(ErrOutcomeUnknown)
	}
	for _, call := range rest.calls {
		call(nil) // a nil loop tells a call that nobody will do it
	}
	n.snapshots.close()
	n.view.Store(&view{})
}

func (n *Node[R]) raftConfig() *raft.Config {
	reads := raft.ReadOnlySafe
	if n.cfg.ReadOnlyLeaseBased {
		reads = raft.ReadOnlyLeaseBased
	}
	return &raft.Config{
		ID:                        n.cfg.Member,
		ElectionTick:              n.cfg.ElectionTicks,
		HeartbeatTick:             n.cfg.HeartbeatTicks,
		Storage:                   n.mem,
		AsyncStorageWrites:        true,
		MaxSizePerMsg:             maxSizePerMsg,
		MaxCommittedSizePerReady:  maxApplyBytes,
		MaxUncommittedEntriesSize: maxUncommittedBytes,
		MaxInflightMsgs:           maxInflightMsgs,
		MaxInflightBytes:          maxInflightBytes,
		CheckQuorum:               true,
		PreVote:                   true,
		ReadOnlyOption:            reads,
		DisableProposalForwarding: true,
		StepDownOnRemoval:         true,
		Logger:                    newRaftLogger(n.lg),
	}
}

// Propose waits until cmd, which the node owns from now on, has been applied,
// and returns its result. Errors: ErrNoLeader, ErrOverloaded and ErrStopped
// say that it surely was not and will not be applied, ErrOutcomeUnknown that
// it may be.
func (n *Node[R]) Propose(ctx context.Context, cmd []byte) (R, error) {
	var none R
	count, size := n.waitingCount.Add(1), n.waitingBytes.Add(int64(len(cmd)))
	defer func() {
		n.waitingCount.Add(-1)
		n.waitingBytes.Add(int64(-len(cmd)))
	}()
	if count > int64(n.cfg.MaxWaiting) || size > int64(n.cfg.MaxWaitingBytes) && count > 1 {
		return none, ErrOverloaded
	}
	p := n.proposals.Get().(*proposal[R])
	p.cmd = cmd
	p.state.Store(waiting)
	if !n.inbox.propose(p) {
		return none, ErrStopped
	}
	select {
	case <-p.done:
		res, err := p.res, p.err
		p.cmd, p.res, p.err = nil, none, nil
		n.proposals.Put(p)
		return res, err
	case <-ctx.Done():
		// From here on p may still be referred to: it is not used again.
		if p.withdraw() {
			if n.view.Load().leader != raft.None {
				return none, ErrOverloaded
			}
			return none, ErrNoLeader
		}
		return none, ErrOutcomeUnknown
	}
}

// ReadBarrier returns once this member has applied everything that was
// acknowledged anywhere before the call: a read that follows is linearizable.
// Errors: ErrNoLeader when ctx ends first, ErrOverloaded, ErrStopped.
func (n *Node[R]) ReadBarrier(ctx context.Context) error {
	defer n.waitingReads.Add(-1)
	if n.waitingReads.Add(1) > int64(n.cfg.MaxWaitingReads) {
		return ErrOverloaded
	}
	q := &readRequest{done: make(chan struct{}, 1)}
	if !n.inbox.read(q) {
		return ErrStopped
	}
	select {
	case <-q.done:
		return nil
	case <-ctx.Done():
		q.gone.Store(true)
		return ErrNoLeader
	}
}

func (n *Node[R]) isSelf(id uint64) bool { return id == n.cfg.Member }

// heard notes that a leader, or as leader a majority, was heard at t.
func (n *Node[R]) heard(t time.Time) { n.lastContact.Store(int64(t.Sub(n.born)) + 1) }
