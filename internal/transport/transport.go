package transport

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// clusterWarnInterval is how often a lasting disagreement with one peer is
// logged.
const clusterWarnInterval = time.Minute

// Transport connects one member with its peers. All methods may be called from
// any goroutine.
type Transport struct {
	// set by New
	cfg    Config
	lg     *zap.Logger
	client *http.Client // for snapshots and questions to peers
	hosts  map[string]struct{}
	pacer  pacer // of snapshot bodies on their way out

	warned     throttle
	removed    sync.Once // guards the call of MarkRemoved
	violations atomic.Uint64
	refusals   atomic.Uint64
	unroutable atomic.Uint64

	// peers is what Send reads. The map is never written to; reconcile puts
	// a new one in its place.
	peers atomic.Pointer[map[uint64]*peer]

	mu        sync.Mutex
	set       map[uint64]string // given to SetPeers
	learned   map[uint64]string // found out by asking; goes before set
	inbound   map[inboundKey]*inbound
	receiving map[uint64]struct{} // members whose snapshot is being received
	giving    map[uint64]struct{} // members that fetch a snapshot
	recv      Receiver            // nil but while Run runs
	ctx       context.Context     // ends with Run
	ran       bool
	learner   learner
	wg        sync.WaitGroup // grows only while recv is not nil
}

// New returns a Transport that listens to nobody until Run.
func New(cfg Config) (*Transport, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, fmt.Errorf("transport: %w", err)
	}
	t := &Transport{
		cfg:       cfg,
		lg:        cfg.Logger.Named("transport"),
		client:    newClient(cfg),
		hosts:     allowedHosts(cfg),
		pacer:     pacer{rate: cfg.SnapshotSendBytesPerSecond},
		learned:   make(map[uint64]string),
		inbound:   make(map[inboundKey]*inbound),
		receiving: make(map[uint64]struct{}),
		giving:    make(map[uint64]struct{}),
	}
	t.peers.Store(new(map[uint64]*peer))
	return t, nil
}

// Run connects to the peers and accepts them, until ctx ends. It returns when
// every goroutine and every request it had to do with has ended; r is called
// afterwards only from within Send. Messages that still wait are dropped.
func (t *Transport) Run(ctx context.Context, r Receiver) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	t.mu.Lock()
	if t.ran {
		t.mu.Unlock()
		return ErrAlreadyRun
	}
	t.ran, t.recv, t.ctx = true, r, ctx
	t.reconcileLocked()
	t.mu.Unlock()

	<-ctx.Done()

	t.mu.Lock()
	t.recv = nil // from here on nothing is added to wg
	t.peers.Store(new(map[uint64]*peer))
	t.mu.Unlock()
	t.wg.Wait()
	return nil
}

// Send queues messages for their receivers. It never blocks. The messages must
// not be changed afterwards, by anyone.
func (t *Transport) Send(msgs []*pb.Message) {
	peers := *t.peers.Load()
	for _, m := range msgs {
		p := peers[m.GetTo()]
		if p == nil {
			t.unrouted(m)
			continue
		}
		if m.GetType() == pb.MsgSnap {
			p.snapshot.begin(m)
			continue
		}
		s := p.stream(m)
		if s == nil {
			t.unroutable.Add(1)
			continue
		}
		s.put(m, proto.Size(m))
	}
	// Only now, so that messages given together leave together.
	for _, m := range msgs {
		if p := peers[m.GetTo()]; p != nil {
			if s := p.stream(m); s != nil {
				s.out.flush()
			}
		}
	}
}

// unrouted drops a message whose receiver has no address here.
func (t *Transport) unrouted(m *pb.Message) {
	t.unroutable.Add(1)
	if m.GetType() != pb.MsgSnap {
		return
	}
	t.mu.Lock()
	r := t.recv
	t.mu.Unlock()
	if r != nil {
		r.ReportSnapshot(m.GetTo(), false)
	}
}

// SetPeers replaces the set of peers, by id, with their base URLs. This member
// itself is ignored. Connections with those that are in it no longer are closed.
func (t *Transport) SetPeers(peers map[uint64]string) {
	set := maps.Clone(peers)
	delete(set, t.cfg.ID)
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.learned, func(id uint64, _ string) bool { return set[id] != t.set[id] }) // the log knows better
	t.set = set
	t.reconcileLocked()
	if t.recv != nil && len(t.learned) > 0 {
		// Not here: the caller may hold what IsRemoved needs.
		t.wg.Go(t.forgetRemoved)
	}
}

// reconcileLocked starts and stops peers until they are those of set and
// learned. It does nothing before Run and after.
func (t *Transport) reconcileLocked() {
	if t.recv == nil {
		return
	}
	old := *t.peers.Load()
	now := make(map[uint64]*peer, len(old)+1)
	want := make(map[uint64]string, len(t.set)+len(t.learned))
	maps.Copy(want, t.set)
	maps.Copy(want, t.learned)
	for id, url := range want {
		if p := old[id]; p != nil && p.url == url {
			now[id] = p
			continue
		}
		p := newPeer(t.ctx, t, t.recv, id, url)
		if p.urlErr != nil {
			t.lg.Warn("peer cannot be reached", zap.Uint64("peer", id), zap.Error(p.urlErr))
		}
		for _, ln := range []line{p.appends, p.control, p.forward} {
			t.wg.Go(func() { p.keep(ln) })
		}
		now[id] = p
	}
	t.peers.Store(&now)
	for id, p := range old {
		if now[id] != p {
			p.cancel()
		}
	}
	for key, in := range t.inbound {
		if _, ok := now[key.from]; !ok {
			in.l.Close() // it learns why when it dials again
		}
	}
}

// forgetRemoved gives up learned peers that were members once.
func (t *Transport) forgetRemoved() {
	t.mu.Lock()
	r, learned := t.recv, maps.Clone(t.learned)
	t.mu.Unlock()
	if r == nil {
		return
	}
	maps.DeleteFunc(learned, func(id uint64, _ string) bool { return !r.IsRemoved(id) })
	if len(learned) == 0 {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	maps.DeleteFunc(t.learned, func(id uint64, _ string) bool { _, gone := learned[id]; return gone })
	t.reconcileLocked()
}

// spawn runs f on a goroutine that Run waits for. It is false outside of Run.
func (t *Transport) spawn(f func()) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.recv == nil {
		return false
	}
	t.wg.Go(f)
	return true
}

// violation counts what a peer should not have sent.
func (t *Transport) violation(from uint64, what string, err error) {
	t.violations.Add(1)
	if t.warned.allow("violation", time.Second) {
		t.lg.Warn("peer broke the protocol, connection closed",
			zap.Uint64("peer", from), zap.String("kind", what), zap.Error(err))
	}
}
