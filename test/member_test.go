package test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// member is one member of a cluster: where it lives, how it is started, and
// the process it is at the moment. Its methods may be called by one goroutine
// at a time, except those that send requests.
type member struct {
	t         testing.TB
	id        uint64
	dir       string // its data directory
	log       string
	clientURL string
	peerURL   string
	args      []string // further flags of each start
	via       []string // the command that starts it, if another than kvd itself

	mu   sync.Mutex
	proc *process // the latest; nil before the first start
}

// newMember prepares a member on ports of its own; nothing is started.
func newMember(t testing.TB, id uint64, args ...string) *member {
	t.Helper()
	dir := t.TempDir()
	m := &member{
		t:         t,
		id:        id,
		dir:       filepath.Join(dir, "data"),
		log:       filepath.Join(dir, "log"),
		clientURL: fmt.Sprintf("http://127.0.0.1:%d", freePort(t)),
		peerURL:   fmt.Sprintf("http://127.0.0.1:%d", freePort(t)),
		args:      args,
	}
	showOnFailure(t, m.name(), m.log)
	return m
}

func (m *member) name() string       { return "member " + strconv.FormatUint(m.id, 10) }
func (m *member) clientAddr() string { return m.clientURL[len("http://"):] }
func (m *member) peerAddr() string   { return m.peerURL[len("http://"):] }

// command is the whole command line of this member.
func (m *member) command(more ...string) *exec.Cmd {
	args := []string{"serve", "--data-dir", m.dir, "--listen-client", m.clientAddr(), "--listen-peer", m.peerAddr()}
	if m.id != 0 { // else the cluster chooses it
		args = append(args, "--id", strconv.FormatUint(m.id, 10))
	}
	args = slices.Concat(m.via, []string{kvdBinary}, args, m.args, more)
	return exec.Command(args[0], args[1:]...)
}

// setFlag changes a flag of later starts.
func (m *member) setFlag(name, value string) {
	m.dropFlag(name)
	m.args = append(slices.Clip(m.args), name, value)
}

// dropFlag leaves a flag, and its value, out of later starts.
func (m *member) dropFlag(name string) {
	if i := slices.Index(m.args, name); i >= 0 {
		m.args = slices.Delete(slices.Clone(m.args), i, i+2)
	}
}

// start starts the process, and does not wait for it to be ready.
func (m *member) start(more ...string) {
	m.t.Helper()
	p := start(m.t, m.name(), m.log, m.command(more...))
	m.mu.Lock()
	m.proc = p
	m.mu.Unlock()
}

// process is the latest process of the member.
func (m *member) process() *process {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.proc
}

// kill ends the process as kill -9 does, and waits until it is gone.
func (m *member) kill() {
	p := m.process()
	p.signal(syscall.SIGKILL)
	<-p.done
}

// stop freezes the process (SIGSTOP); cont lets it go on.
func (m *member) stop() { m.process().signal(syscall.SIGSTOP) }
func (m *member) cont() { m.process().signal(syscall.SIGCONT) }

// term asks the process to end and returns its exit code.
func (m *member) term() int {
	m.t.Helper()
	p := m.process()
	p.signal(syscall.SIGTERM)
	return p.exitCode(15 * time.Second)
}

// waitReady waits until /readyz says yes.
func (m *member) waitReady(limit time.Duration) {
	m.t.Helper()
	if err := m.pollReady(limit); err != nil {
		m.t.Fatalf("%s is not ready within %v: %v", m.name(), limit, err)
	}
}

// pollReady is waitReady for goroutines other than the test's own. It gives up
// early when the process has ended.
func (m *member) pollReady(limit time.Duration) error {
	p := m.process()
	var ended error
	err := poll(limit, func() error {
		if !p.running() {
			ended = fmt.Errorf("the process has ended: %v", p.cmd.ProcessState)
			return nil
		}
		r, err := m.get("/readyz")
		if err != nil {
			return err
		}
		return r.want(http.StatusOK)
	})
	return errors.Join(ended, err)
}

// status is the part of GET /v1/status that the tests look at.
type status struct {
	ID            uint64   `json:"id"`
	Name          string   `json:"name"`
	ClusterID     string   `json:"cluster_id"`
	Role          string   `json:"role"`
	Term          uint64   `json:"term"`
	Leader        uint64   `json:"leader"`
	CommitIndex   uint64   `json:"commit"`
	AppliedIndex  uint64   `json:"applied"`
	SnapshotIndex uint64   `json:"snapshot_index"`
	FirstIndex    uint64   `json:"first_index"`
	Revision      uint64   `json:"revision"`
	VoterIDs      []uint64 `json:"voters"`
	LearnerIDs    []uint64 `json:"learners"`
}

// status asks the member how it sees itself.
func (m *member) status() (status, error) {
	var s status
	r, err := m.get("/v1/status")
	if err != nil {
		return s, err
	}
	return s, r.decode(http.StatusOK, &s)
}

func (m *member) mustStatus() status {
	m.t.Helper()
	s, err := m.status()
	if err != nil {
		m.t.Fatalf("status of %s: %v", m.name(), err)
	}
	return s
}

// get sends a GET with a deadline of a few seconds.
func (m *member) get(path string) (*response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	return send(ctx, http.MethodGet, m.clientURL+path, nil)
}
