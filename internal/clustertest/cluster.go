package clustertest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// Cluster is a cluster of real members on a Network and on Disks.
type Cluster struct {
	Net  *Network
	Rand *rand.Rand

	t       testing.TB
	cfg     raftnode.Config
	founder []raftnode.Founder

	mu      sync.Mutex
	members map[uint64]*Member
	hashes  map[uint64]uint64 // index to the state's hash after it
	broken  []string
}

// Member is one member over all its lives.
type Member struct {
	ID   uint64
	Disk *Disk

	c     *Cluster
	seeds map[uint64]string
	join  bool

	applyDelay atomic.Int64 // what each log entry of commands takes to apply

	mu      sync.Mutex
	node    *raftnode.Node[kvstore.Result] // nil: not running
	db      *kvstore.DB
	machine *kvstore.Machine
	url     string // where peers find it, from its next life on; "": as from the start
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
		hashes:  make(map[uint64]uint64),
	}
	c.Net = newNetwork(rand.New(rand.NewPCG(seed, 2)), c.violated)
	for id := range uint64(founders) {
		c.founder = append(c.founder, raftnode.Founder{ID: id + 1, PeerURL: peerURL(id + 1)})
	}
	for _, f := range c.founder {
		c.members[f.ID] = &Member{ID: f.ID, c: c, Disk: newDisk(rand.New(rand.NewPCG(seed, 100+f.ID)))}
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
		m = &Member{ID: id, c: c, join: true, seeds: make(map[uint64]string), Disk: newDisk(rand.New(rand.NewPCG(id, 100)))}
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
	if m.node != nil {
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
	cfg.Logger = cfg.Logger.With(zap.Uint64("member", m.ID))
	machine := kvstore.NewMachine()
	watched := &checked{Machine: machine, m: m}
	node, err := raftnode.New(cfg, watched, m.Disk.mount())
	if err != nil {
		m.c.t.Fatalf("new member %d: %v", m.ID, err)
	}
	if err := node.Open(); err != nil {
		m.c.violated(fmt.Sprintf("member %d cannot open its disk: %v", m.ID, err))
		return
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.node, m.machine, m.db = node, machine, kvstore.NewDB(machine, node)
	m.checked = watched
	m.stop, m.done = cancel, make(chan error, 1)
	e := &endpoint{n: m.c.Net, id: m.ID, disk: m.Disk, self: func() Receiver {
		if ctx.Err() != nil {
			return nil
		}
		return node
	}}
	m.c.Net.attach(m.ID, node)
	done := m.done
	go func() {
		err := node.Run(ctx, e)
		cancel()
		m.c.Net.detach(m.ID)
		done <- err
	}()
}

// Stop ends the life in good order, and returns how it ended.
func (m *Member) Stop() error { return m.end(func() {}) }

// Crash ends the life at once: what is not synced is lost.
func (m *Member) Crash() error {
	return m.end(func() {
		m.c.Net.detach(m.ID)
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
	m.c.Net.detach(m.ID)
	m.Disk.Crash()
	m.stop()
}

func (m *Member) end(how func()) error {
	m.mu.Lock()
	node, stop, done := m.node, m.stop, m.done
	m.node, m.db, m.killed = nil, nil, false
	m.mu.Unlock()
	if node == nil {
		return nil
	}
	how()
	stop()
	// Not under the mutex: whoever waits for one keeps virtual time from
	// going on, and a disk may have to finish a write.
	return <-done
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

// checked is the state machine of a member, watched: equal index means equal
// state, and nothing is applied that a majority of disks could forget.
type checked struct {
	*kvstore.Machine
	m *Member

	mu      sync.Mutex // held while the state is changed behind its back, and while it is scanned
	flips   int        // bits changed so far
	altered bool       // it was, and has not been replaced since
	forgets bool       // it will be: of the next entry with commands, all are left out
}

// Flip changes one bit of a key's value in the memory of a member that runs.
func (m *Member) Flip(key string) bool {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.Get([]byte(key))
	if !ok || len(it.Value) == 0 {
		return false
	}
	flipBit(&it.Value[0], s.flips%8) // not the same twice: that would undo it
	s.flips++
	s.altered = true
	s.Revision() // whoever reads the state from now on has waited for this
	return true
}

// flipBit is what a faulty memory does: it waits for nobody, and the race
// detector is not to see it.
//
//go:norace
//go:noinline
func flipBit(b *byte, bit int) { *b ^= 1 << bit }

// Forget makes a member that runs leave out the next entry that has commands, as
// a fault in the code that applies them would.
func (m *Member) Forget() {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgets = true
}

// Altered says that the member's state was changed by Flip or Forget.
func (m *Member) Altered() bool {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.altered
}

func (s *checked) Digest() func(func() error) (uint64, error) {
	scan := s.Machine.Digest()
	return func(pause func() error) (uint64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return scan(pause)
	}
}

func (s *checked) Restore(r io.Reader) error {
	err := s.Machine.Restore(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.altered = s.altered && err != nil
	return err
}

// apply applies an entry, or what is left of it, and tells whether the state that
// it leads to can be compared with others.
func (s *checked) apply(index uint64, clock time.Duration, cmds [][]byte) ([]kvstore.Result, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgets && len(cmds) > 0 {
		s.forgets, s.altered = false, true
		_, err := s.Machine.Apply(index, clock, nil)
		return slices.Repeat([]kvstore.Result{{Code: kvstore.NotFound}}, len(cmds)), false, err
	}
	res, err := s.Machine.Apply(index, clock, cmds)
	return res, !s.altered, err
}

func (s *checked) Apply(index uint64, clock time.Duration, cmds [][]byte) ([]kvstore.Result, error) {
	time.Sleep(time.Duration(s.m.applyDelay.Load()))
	res, equal, err := s.apply(index, clock, cmds)
	if !equal {
		return res, err
	}
	_, hash := s.Hash()
	c := s.m.c
	node := s.m.Node()
	founders := node != nil && len(node.Members()) == len(c.founder)
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := c.hashes[index]; ok && was != hash {
		c.broken = append(c.broken, fmt.Sprintf("member %d differs from another at index %d", s.m.ID, index))
	}
	c.hashes[index] = hash
	durable := 0
	for _, f := range c.founder {
		if c.members[f.ID].Disk.Holds(index) {
			durable++
		}
	}
	if founders && len(c.members) == len(c.founder) && durable <= len(c.founder)/2 {
		c.broken = append(c.broken, fmt.Sprintf("member %d applied index %d, which is durable on only %d disks", s.m.ID, index, durable))
	}
	return res, err
}
