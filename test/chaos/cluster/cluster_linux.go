package cluster

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Config is how a cluster is made.
type Config struct {
	Binary   string   // kvd
	Members  int      // that found it; 5
	Spare    int      // places more, for members that join; 2
	Isolated bool     // give each place a network namespace
	Disks    bool     // give each place a file system
	Logs     string   // where the logs of the members go
	Flags    []string // of each member
}

// Cluster is a set of members and the places where they live.
type Cluster struct {
	// set by New
	cfg  Config
	dir  string
	net  *network
	http *http.Client

	mu      sync.Mutex
	members []*Member  // that belong to the cluster, whether they run or not
	procs   []*Process // all that were started and may not have ended
	started []*Member  // whose files are kept, admitted or not
	past    []string   // data directories of those that were removed
	nextID  uint64
	starts  int // of data directories, for their names
}

// New makes the places. Close takes them away.
func New(cfg Config) (*Cluster, error) {
	if cfg.Isolated && setns[runtime.GOARCH] == 0 {
		return nil, fmt.Errorf("the number of setns on %s is not known here", runtime.GOARCH)
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s%d-", prefix, os.Getpid()))
	if err != nil {
		return nil, err
	}
	c := &Cluster{cfg: cfg, dir: dir, nextID: 1}
	c.http = &http.Client{Transport: &http.Transport{DialContext: c.Dial, MaxIdleConnsPerHost: 4, IdleConnTimeout: 5 * time.Second}}
	if c.net, err = openNetwork(cfg.Members+cfg.Spare, cfg.Isolated); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	for _, p := range c.net.places {
		if cfg.Disks {
			err = errors.Join(err, p.makeDisk(dir))
			continue
		}
		p.Dir = filepath.Join(dir, fmt.Sprint("place", p.Number))
		err = errors.Join(err, os.Mkdir(p.Dir, 0o700))
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// Found starts the founding members and waits until all are ready.
func (c *Cluster) Found(ctx context.Context) error {
	var list []string
	var all []*Member
	for _, p := range c.net.places[:c.cfg.Members] {
		m := c.newMember(p)
		all = append(all, m)
		list = append(list, fmt.Sprintf("%d=%s", m.id, m.PeerURL()))
	}
	for _, m := range all {
		m.args = append(slices.Clone(c.cfg.Flags), "--cluster", strings.Join(list, ","))
		if err := m.Start(); err != nil {
			return err
		}
		c.Admit(m)
	}
	for _, m := range all {
		if err := m.WaitReady(ctx, 30*time.Second); err != nil {
			return err
		}
		// The flag is for the founding. From now on the directory knows, also of
		// members that have come and gone since.
		m.setFlags(c.cfg.Flags)
	}
	return nil
}

func (m *Member) setFlags(args []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.args = slices.Clone(args)
}

// newMember prepares a member at a place that nobody has, with the next id and
// an empty directory.
func (c *Cluster) newMember(p *Place) *Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.starts++
	m := &Member{
		Place: p, c: c, id: c.nextID, binary: c.cfg.Binary,
		Dir: filepath.Join(p.Dir, fmt.Sprintf("data%d", c.starts)),
		Log: filepath.Join(c.cfg.Logs, fmt.Sprintf("place%d.log", p.Number)),
	}
	c.nextID++
	return m
}

// Join prepares a member at a free place that will enter the cluster through
// another. It is no member yet: Admit makes it one for the run.
func (c *Cluster) Join(through *Member) (*Member, error) {
	p := c.freePlace()
	if p == nil {
		return nil, errors.New("no place is free")
	}
	m := c.newMember(p)
	m.setFlags(append(slices.Clone(c.cfg.Flags), "--join", through.URL()))
	return m, nil
}

// Refound prepares a member at the place of one that refuses to start, with the
// flags that its refusal names. The cluster chooses its id.
func (c *Cluster) Refound(old *Member, dir string, flags []string) *Member {
	m := &Member{Place: old.Place, c: c, binary: c.cfg.Binary, Dir: dir, Log: old.Log}
	m.setFlags(flags)
	return m
}

// SetID tells the id that the cluster chose.
func (m *Member) SetID(id uint64) {
	m.mu.Lock()
	m.id = id
	m.mu.Unlock()
	m.c.mu.Lock()
	defer m.c.mu.Unlock()
	m.c.nextID = max(m.c.nextID, id+1)
}

// freePlace is a place where no member lives.
func (c *Cluster) freePlace() *Place {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.net.places {
		if !slices.ContainsFunc(c.members, func(m *Member) bool { return m.Place == p }) {
			return p
		}
	}
	return nil
}

// Admit counts the member among those of the cluster: clients use it, and faults
// may hit it.
func (c *Cluster) Admit(m *Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.members, m) {
		c.members = append(c.members, m)
	}
}

// Dismiss takes a member that was removed, or is replaced, out of the run, and ends its
// process. Its data stay: nobody else may have that part of the log any more.
func (c *Cluster) Dismiss(ctx context.Context, m *Member) error {
	c.forget(m)
	if err := m.Kill(ctx); err != nil {
		return err
	}
	if err := m.putBack(); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.past = append(c.past, m.Dir)
	return nil
}

func (c *Cluster) forget(m *Member) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.members = slices.DeleteFunc(slices.Clone(c.members), func(o *Member) bool { return o == m })
	c.started = slices.DeleteFunc(slices.Clone(c.started), func(o *Member) bool { return o == m })
}

// track remembers a process for Close, and its member for Keep, whether it was
// admitted or not.
func (c *Cluster) track(m *Member, p *Process) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Contains(c.started, m) {
		c.started = append(slices.Clone(c.started), m)
	}
	c.procs = append(slices.DeleteFunc(c.procs, func(o *Process) bool { return !o.Running() }), p)
}

// Members are those of the cluster, whether they run or not, in the order in
// which they came.
func (c *Cluster) Members() []*Member {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.members)
}

// Places are all places.
func (c *Cluster) Places() []*Place { return c.net.places }

// Founders is how many members the cluster should have between faults.
func (c *Cluster) Founders() int { return c.cfg.Members }

// Isolated tells whether each place has a network of its own.
func (c *Cluster) Isolated() bool { return c.cfg.Isolated }

// Disks tells whether each place has a file system of its own.
func (c *Cluster) Disks() bool { return c.cfg.Disks }

// Dir is a directory of the run, which Close deletes.
func (c *Cluster) Dir() string { return c.dir }

// Dial connects to the client address of a place from within that place: no
// fault between members is in the way.
func (c *Cluster) Dial(ctx context.Context, _, addr string) (net.Conn, error) {
	for _, p := range c.net.places {
		if p.Client() == addr {
			return p.Dial(ctx, addr)
		}
	}
	return nil, fmt.Errorf("%s is no place", addr)
}

// WaitWhole waits until all members are ready voters of one leader, and nobody
// else is a member.
func (c *Cluster) WaitWhole(ctx context.Context, limit time.Duration) error {
	return Poll(ctx, limit, func() error {
		members := c.Members()
		var want []uint64
		for _, m := range members {
			want = append(want, m.ID())
		}
		slices.Sort(want)
		leader := uint64(0)
		for _, m := range members {
			if err := m.Ready(ctx); err != nil {
				return fmt.Errorf("%s: %w", m.Name(), err)
			}
			s, err := m.Status(ctx)
			if err != nil {
				return fmt.Errorf("%s: %w", m.Name(), err)
			}
			slices.Sort(s.Voters)
			if leader == 0 {
				leader = s.Leader
			}
			if s.Leader == 0 || s.Leader != leader || !slices.Equal(s.Voters, want) || len(s.Learners) > 0 {
				return fmt.Errorf("%s: leader %d of %d, voters %v, want %v, learners %v", m.Name(), s.Leader, leader, s.Voters, want, s.Learners)
			}
		}
		return nil
	})
}

// Close ends all processes and removes all that New made. It may be called twice.
func (c *Cluster) Close() error {
	c.http.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	var err error
	c.mu.Lock()
	procs := slices.Clone(c.procs)
	c.mu.Unlock()
	for _, p := range procs {
		p.Signal(syscall.SIGKILL)
	}
	for _, p := range procs {
		_, _, ended := p.Exit(ctx, 10*time.Second)
		err = errors.Join(err, ended)
	}
	return errors.Join(err, c.net.close(), unmountBelow(c.dir), os.RemoveAll(c.dir))
}
