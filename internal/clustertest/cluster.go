package clustertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
	"kvd/internal/replica"
)

// Cluster is a cluster of real members on a Network and on Disks.
type Cluster struct {
	Net  *Network
	Rand *rand.Rand

	// What members are started with besides, from their next life on.
	API     httpapi.Config
	History kvstore.Retention

	t       testing.TB
	cfg     raftnode.Config
	founder []raftnode.Founder
	truth   *truth // nil: nobody asks
	trace   *trace // nil: nobody asks

	mu           sync.Mutex
	members      map[uint64]*Member
	applied      map[uint64]entry      // by index
	predecessors map[string][][]uint64 // the sets of voters before each set
	broken       []string
}

// Member is one member over all its lives.
type Member struct {
	ID   uint64
	Disk *Disk

	c     *Cluster
	seeds map[uint64]string
	join  bool

	applyDelay atomic.Int64 // what each log entry of commands takes to apply
	clock      *clock
	gone       atomic.Bool // it was removed from the cluster

	mu      sync.Mutex
	node    *raftnode.Node[kvstore.Result] // nil: not running
	db      *kvstore.DB
	machine *kvstore.Machine
	server  *server
	gate    *gate
	recv    *receiver
	url     string // where peers find it, from its next life on; "": as from the start
	listens string // where it is in this life
	lives   uint64 // so far
	ending  bool   // the last has not ended yet, and has the disk
	checked *checked
	stop    context.CancelFunc
	done    chan error
	killed  bool // by Kill; its end may still be on its way
}

// New starts nothing: call Start of its members. It must be called inside a
// synctest bubble, and Close at its end.
func New(t testing.TB, seed uint64, founders int, cfg raftnode.Config) *Cluster {
	c := &Cluster{
		t: t, cfg: cfg,
		Rand:    rand.New(rand.NewPCG(seed, 1)),
		members: make(map[uint64]*Member),
		applied: make(map[uint64]entry), predecessors: make(map[string][][]uint64),
	}
	c.Net = newNetwork(rand.New(rand.NewPCG(seed, 2)), c.violated)
	for id := range uint64(founders) {
		c.founder = append(c.founder, raftnode.Founder{ID: id + 1, PeerURL: peerURL(id + 1)})
	}
	for _, f := range c.founder {
		c.members[f.ID] = &Member{ID: f.ID, c: c, clock: newClock(1), Disk: newDisk(rand.New(rand.NewPCG(seed, 100+f.ID)))}
	}
	return c
}

// clusterID is the id of every cluster here: they do not meet.
const clusterID = 0x6b7664

func peerURL(id uint64) string { return fmt.Sprintf("http://member-%d:1", id) }

// Member returns a member, a new one that will join if there is none yet.
func (c *Cluster) Member(id uint64) *Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	m, ok := c.members[id]
	if !ok {
		m = &Member{ID: id, c: c, join: true, clock: newClock(1), seeds: make(map[uint64]string), Disk: newDisk(rand.New(rand.NewPCG(id, 100)))}
		for other := range c.members {
			m.seeds[other] = peerURL(other)
		}
		c.members[id] = m
	}
	return m
}

// Members returns all members by id.
func (c *Cluster) Members() []*Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	var out []*Member
	for _, m := range c.members {
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b *Member) int { return int(a.ID) - int(b.ID) })
	return out
}

// StartAll starts all members.
func (c *Cluster) StartAll() {
	for _, m := range c.Members() {
		m.Start()
	}
}

// Close stops all members and waits for everything that is under way.
func (c *Cluster) Close() {
	for _, m := range c.Members() {
		m.Disk.Unstall()
		m.Stop()
	}
	c.Net.wg.Wait()
}

// Violations lists the invariants that were broken.
func (c *Cluster) Violations() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.broken)
}

func (c *Cluster) violated(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.broken = append(c.broken, what)
}

// Start begins a life of the member. It is no error if it is running.
func (m *Member) Start() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node != nil || m.ending {
		return
	}
	cfg := m.c.cfg
	cfg.Identity = raftnode.Identity{Cluster: clusterID, Member: m.ID, Name: fmt.Sprintf("n%d", m.ID)}
	cfg.PeerURL = peerURL(m.ID)
	cfg.ClientURL = fmt.Sprintf("http://member-%d:2", m.ID)
	if !m.join {
		cfg.Founders = m.c.founder
	}
	cfg.Seeds = m.seeds
	cfg.PeerURL = cmp.Or(m.url, cfg.PeerURL)
	if cfg.Logger == nil {
		cfg.Logger = zap.NewNop()
	}
	cfg.Monotonic = m.clock.now
	g := &gate{}
	var watched *checked
	rep, err := replica.New(replica.Config{
		Node:    cfg,
		Storage: m.Disk.mount(g),
		StateMachine: func(machine *kvstore.Machine) raftnode.StateMachine[kvstore.Result] {
			watched = &checked{Machine: machine, m: m, gate: g}
			return watched
		},
		API:         m.c.apiConfig(m.ID),
		History:     m.c.History,
		DiskReserve: diskReserve,
		FreeBytes:   func(string) (uint64, error) { return m.Disk.free(), nil },
		Logger:      cfg.Logger.With(zap.Uint64("member", m.ID)),
	})
	if err != nil {
		m.c.t.Fatalf("new member %d: %v", m.ID, err)
	}
	node := rep.Node
	if err := node.Open(); err != nil {
		m.c.violated(fmt.Sprintf("member %d cannot open its disk: %v", m.ID, err))
		return
	}
	watched.node = node
	ctx, cancel := context.WithCancel(context.Background())
	m.node, m.machine, m.db, m.gate = node, rep.Machine, rep.DB, g
	m.listens = cfg.PeerURL
	m.checked, m.server = watched, &server{id: m.ID, Replica: rep, life: ctx, gate: g}
	m.stop, m.done = cancel, make(chan error, 1)
	e := &endpoint{n: m.c.Net, id: m.ID, disk: m.Disk, gate: g, self: func() Receiver {
		if ctx.Err() != nil {
			return nil
		}
		return node
	}}
	recv := &receiver{Node: node, gate: g, url: cfg.PeerURL}
	m.recv = recv
	m.c.Net.attach(m.ID, recv)
	rep.Space.Look()
	done, late := m.done, m.jitter()
	// At moments of their own, so that the order of ticks is not the runtime's to choose.
	for _, run := range []func(context.Context) error{rep.Space.Run, rep.Retention.Run, rep.Expiry.Run} {
		late := m.jitter()
		m.c.Net.wg.Go(func() { // it ends with ctx, and in no other way
			time.Sleep(late)
			_ = run(ctx)
		})
	}
	go func() {
		time.Sleep(late)
		err := node.Run(ctx, e)
		cancel()
		g.open()
		m.c.Net.leave(m.ID, recv)
		done <- err
	}()
}

// Stop ends the life in good order, and returns how it ended.
func (m *Member) Stop() error { return m.end(func(*receiver) {}) }

// Crash ends the life at once: what is not synced is lost.
func (m *Member) Crash() error {
	return m.end(func(recv *receiver) {
		m.c.Net.leave(m.ID, recv)
		m.Disk.Crash()
	})
}

// Kill is a Crash that does not wait until everything of the life has ended,
// so that a Filter or a hook of the disk can kill the member in the middle of
// what it does. Crash must follow before Start.
func (m *Member) Kill() {
	m.mu.Lock()
	defer m.mu.Unlock() // a new life must not begin meanwhile
	if m.node == nil {
		return
	}
	m.killed = true
	m.c.Net.leave(m.ID, m.recv)
	m.Disk.Crash()
	m.stop()
	m.gate.open()
}

func (m *Member) end(how func(*receiver)) error {
	m.mu.Lock()
	node, stop, done, g, recv := m.node, m.stop, m.done, m.gate, m.recv
	m.node, m.db, m.server, m.killed = nil, nil, nil, false
	m.ending = m.ending || node != nil
	m.mu.Unlock()
	if node == nil {
		return nil
	}
	how(recv)
	stop()
	g.open()
	// Not under the mutex: whoever waits for one keeps virtual time from
	// going on, and a disk may have to finish a write.
	err := <-done
	m.mu.Lock()
	m.ending = false
	m.mu.Unlock()
	return err
}

// Ended reports whether the life ended by itself, and why.
func (m *Member) Ended() (error, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node == nil || m.killed {
		return nil, true
	}
	select {
	case err := <-m.done:
		m.done <- err
		return err, true
	default:
		return nil, false
	}
}

// DB returns the member's store, or nil while it does not run.
func (m *Member) DB() *kvstore.DB {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.db
}

// Node returns the member's node, or nil while it does not run.
func (m *Member) Node() *raftnode.Node[kvstore.Result] {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.node
}

// Leader returns the member that the members which run agree on as leader, or
// nil.
func (c *Cluster) Leader() *Member {
	var leader uint64
	for _, m := range c.Members() {
		node := m.Node()
		if node == nil {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		st, err := node.Status(ctx)
		cancel()
		if err != nil || st.Leader == 0 || leader != 0 && st.Leader != leader {
			return nil
		}
		leader = st.Leader
	}
	if leader == 0 {
		return nil
	}
	return c.Member(leader)
}

// WaitLeader waits for a leader, in virtual time.
func (c *Cluster) WaitLeader(limit time.Duration) (*Member, error) {
	for deadline := time.Now().Add(limit); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if l := c.Leader(); l != nil && l.Node() != nil {
			return l, nil
		}
	}
	return nil, errors.New("no leader in time")
}

// restartIfEnded clears away a life that a fault has ended.
func (m *Member) restartIfEnded() {
	if _, ended := m.Ended(); ended {
		m.Crash()
	}
}
