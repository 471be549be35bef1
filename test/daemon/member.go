package daemon

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	kvd "kvd/client"
)

// exitBind is kvd's exit code when an address is taken: a start may be tried again.
const exitBind = 4

// Member is one member of a cluster: where it lives, how it is started, and the
// process that it is at the moment. Its methods are for one goroutine at a time.
type Member struct {
	ID        uint64
	Binary    string
	Dir       string // its data directory
	Log       string // file with the output of all its processes
	ClientURL string
	PeerURL   string
	Args      []string // further flags of each start

	p Process
}

// NewCluster prepares founding members on ports of their own, with their data in
// dirs and their logs in logs. Nothing is started.
func NewCluster(binary, logs string, dirs []string, args ...string) ([]*Member, error) {
	var members []*Member
	var list []string
	for i, dir := range dirs {
		client, err1 := FreePort()
		peer, err2 := FreePort()
		if err := errors.Join(err1, err2); err != nil {
			return nil, err
		}
		m := &Member{
			ID: uint64(i + 1), Binary: binary, Dir: dir, Log: filepath.Join(logs, fmt.Sprintf("member%d.log", i+1)),
			ClientURL: fmt.Sprintf("http://127.0.0.1:%d", client), PeerURL: fmt.Sprintf("http://127.0.0.1:%d", peer),
		}
		members = append(members, m)
		list = append(list, fmt.Sprintf("%d=%s", m.ID, m.PeerURL))
	}
	for _, m := range members {
		m.Args = append([]string{"--cluster", strings.Join(list, ",")}, args...)
	}
	return members, nil
}

// Name is what messages call it.
func (m *Member) Name() string { return "member " + strconv.FormatUint(m.ID, 10) }

// PID is the id of the latest process.
func (m *Member) PID() int { return m.p.PID() }

// Start starts a process, and does not wait for it to be ready.
func (m *Member) Start() error {
	m.p.Name, m.p.Binary, m.p.Log = m.Name(), m.Binary, m.Log
	m.p.Args = append([]string{
		"serve", "--id", strconv.FormatUint(m.ID, 10), "--data-dir", m.Dir,
		"--listen-client", strings.TrimPrefix(m.ClientURL, "http://"), "--listen-peer", strings.TrimPrefix(m.PeerURL, "http://"),
	}, m.Args...)
	if err := m.p.Start(); err != nil {
		return fmt.Errorf("start %s: %w", m.Name(), err)
	}
	return nil
}

// Running reports whether there is a process.
func (m *Member) Running() bool { return m.p.Running() }

// Signal sends s to a process that may have ended already.
func (m *Member) Signal(s syscall.Signal) { m.p.Signal(s) }

// Kill ends the process at once and waits until it is gone. It may be called again.
func (m *Member) Kill() { m.p.Kill() }

// Terminate asks the process to end and returns its exit code; -1 when it had to
// be killed.
func (m *Member) Terminate(limit time.Duration) int { return m.p.Terminate(limit) }

// Ended is why a start came to nothing: the process has ended.
type Ended struct {
	Member string
	Code   int    // its exit code; -1: it was killed
	Tail   string // the last lines of its log
}

func (e *Ended) Error() string {
	return fmt.Sprintf("%s ended with exit code %d:\n%s", e.Member, e.Code, e.Tail)
}

// StartReady starts a process and waits until it is ready. A port that another
// process has just taken is waited for.
func (m *Member) StartReady(ctx context.Context, limit time.Duration) error {
	if err := m.Start(); err != nil {
		return err
	}
	return m.WaitReady(ctx, limit)
}

// WaitReady waits until the member says that it is ready; *Ended: it never will.
func (m *Member) WaitReady(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	c, err := kvd.New(kvd.Config{Endpoints: []string{m.ClientURL}, Timeout: 2 * time.Second})
	if err != nil {
		return err
	}
	defer c.Close()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		if err = c.Ready(ctx, m.ClientURL); err == nil {
			return nil
		}
		select {
		case <-m.p.Done():
			if code := m.p.ExitCode(); code != exitBind {
				return &Ended{m.Name(), code, m.Tail(12)}
			}
			if err := m.Start(); err != nil {
				return err
			}
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready within %v: %w\n%s", m.Name(), limit, err, m.Tail(12))
		}
	}
}

// Tail returns the last lines of the log.
func (m *Member) Tail(lines int) string { return m.p.Tail(lines) }
