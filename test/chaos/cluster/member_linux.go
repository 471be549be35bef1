package cluster

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Member is one member of the cluster: where it lives, how it is started, and
// the process that it is at the moment.
type Member struct {
	Place *Place
	Dir   string // its data directory
	Log   string // file with the output of all its processes

	c      *Cluster
	binary string

	mu   sync.Mutex
	id   uint64
	proc *Process // the latest; nil before the first start
	args []string // flags of the next start

	files sync.Mutex // held while files get names or lose them
	over  bool       // they get none any more
}

// ID is the member's number in the cluster; 0 while the cluster has not chosen it.
func (m *Member) ID() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.id
}

// Name is how histories and reports call the member.
func (m *Member) Name() string { return "m" + strconv.FormatUint(m.ID(), 10) }

// URL is where clients reach the member.
func (m *Member) URL() string { return "http://" + m.Place.Client() }

// PeerURL is where other members reach it.
func (m *Member) PeerURL() string { return "http://" + m.Place.Peer() }

// Process is the latest process of the member; nil before the first start.
func (m *Member) Process() *Process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc
}

// Up tells whether the member has a process.
func (m *Member) Up() bool {
	p := m.Process()
	return p != nil && p.Running()
}

// command is the whole command line of a start.
func (m *Member) command() []string {
	m.mu.Lock()
	defer m.mu.Unlock()
	args := []string{m.binary, "serve", "--data-dir", m.Dir, "--listen-client", m.Place.Client(), "--listen-peer", m.Place.Peer(), "--insecure"}
	if m.id != 0 {
		args = append(args, "--id", strconv.FormatUint(m.id, 10))
	}
	return m.Place.Inside(slices.Concat(args, m.args)...)
}

// Start starts the process, unless one runs, and does not wait for it to be ready.
func (m *Member) Start() error { return m.StartBy() }

// StartBy is Start under another command, such as strace with its flags.
func (m *Member) StartBy(by ...string) error {
	if m.Up() {
		return nil
	}
	p, err := StartProcess(fmt.Sprintf("member %d", m.ID()), m.Log, append(by, m.command()...)...)
	if err != nil {
		return err
	}
	m.c.track(m, p)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.proc = p
	return nil
}

// Kill ends the process as kill -9 does, and waits until it is gone.
func (m *Member) Kill(ctx context.Context) error {
	p := m.Process()
	if p == nil {
		return nil
	}
	p.Signal(syscall.SIGKILL)
	_, _, err := p.Exit(ctx, 10*time.Second)
	return err
}

// call sends one request of the run itself.
func (m *Member) call(ctx context.Context, limit time.Duration, method, path string, body []byte) (*Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return m.c.send(ctx, method, m.URL()+path, body)
}

// Ready asks /readyz once.
func (m *Member) Ready(ctx context.Context) error {
	p := m.Process()
	if p == nil || !p.Running() {
		return fmt.Errorf("%s does not run", m.Name())
	}
	r, err := m.call(ctx, time.Second, http.MethodGet, "/readyz", nil)
	if err != nil {
		return err
	}
	return r.Want(http.StatusOK)
}

// WaitReady waits until /readyz says yes. It gives up when the process ends.
func (m *Member) WaitReady(ctx context.Context, limit time.Duration) error {
	var ended error
	err := Poll(ctx, limit, func() error {
		if ended = m.ended(); ended != nil {
			return nil
		}
		return m.Ready(ctx)
	})
	if err = errors.Join(ended, err); err != nil {
		return fmt.Errorf("%s is not ready: %w", m.Name(), err)
	}
	return nil
}

func (m *Member) ended() error {
	if p := m.Process(); p != nil && p.Running() {
		return nil
	}
	return fmt.Errorf("%s has ended", m.Name())
}

// Files lists the files of the member's directory that match a pattern of one of
// its levels.
func (m *Member) Files(pattern string) ([]string, error) {
	top, err := filepath.Glob(filepath.Join(m.Dir, pattern))
	if err != nil {
		return nil, err
	}
	below, err := filepath.Glob(filepath.Join(m.Dir, "*", pattern))
	all := slices.Concat(top, below)
	slices.Sort(all)
	return all, err
}
