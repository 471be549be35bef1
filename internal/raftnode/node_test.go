package raftnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

func contains(s, sub string) bool { return strings.Contains(s, sub) }

// testMachine is a log of what was applied; the result of a command is its
// number. Its zero value is enough where nothing is applied.
type testMachine struct{ log *appliedLog }

type appliedLog struct {
	mu   sync.Mutex
	cmds []string
	last time.Duration
}

func newTestMachine() testMachine { return testMachine{&appliedLog{}} }

func (m testMachine) Apply(_ uint64, clock time.Duration, cmds [][]byte) ([]int, error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	if clock < m.log.last {
		return nil, fmt.Errorf("clock went back from %v to %v", m.log.last, clock)
	}
	m.log.last = clock
	out := make([]int, len(cmds))
	for i, c := range cmds {
		if string(c) == "poison" {
			return nil, ErrNewerVersion
		}
		m.log.cmds = append(m.log.cmds, string(c))
		out[i] = len(m.log.cmds)
	}
	return out, nil
}

func (m testMachine) Snapshot() (io.WriterTo, error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return stringState(strings.Join(m.log.cmds, "\n")), nil
}

func (m testMachine) Digest() func(func() error) (uint64, error) {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	hash := uint64(crc32.Checksum([]byte(strings.Join(m.log.cmds, "\n")), castagnoli))
	return func(pause func() error) (uint64, error) { return hash, pause() }
}

func (m testMachine) Restore(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	m.log.cmds = strings.Split(string(b), "\n")
	return nil
}

// AppendResult makes the result of a "large" command large.
func (m testMachine) AppendResult(dst []byte, r int) []byte {
	if m.log != nil && m.command(r) == "large" {
		dst = append(dst, bytes.Repeat([]byte{' '}, 20<<20)...)
	}
	return fmt.Append(dst, r)
}

func (testMachine) DecodeResult(b []byte) (r int, err error) {
	return strconv.Atoi(string(bytes.TrimLeft(b, " ")))
}

// command is the one with the number n.
func (m testMachine) command(n int) string {
	m.log.mu.Lock()
	defer m.log.mu.Unlock()
	return m.log.cmds[n-1]
}

// deafTransport is a network without anybody else on it.
type deafTransport struct{}

func (deafTransport) Send([]*raftpb.Message)     {}
func (deafTransport) SetPeers(map[uint64]string) {}
func (deafTransport) Forward(context.Context, uint64, []byte) ([]byte, bool, error) {
	return nil, false, errors.New("nobody is there")
}
func (deafTransport) FetchSnapshot(context.Context, uint64, uint64) (io.ReadCloser, error) {
	return nil, errors.New("nobody is there")
}

func singleConfig() Config {
	return Config{
		Identity: testID, PeerURL: "http://127.0.0.1:1", Tick: 5 * time.Millisecond,
		Founders:        []Founder{{ID: testID.Member, PeerURL: "http://127.0.0.1:1"}},
		SnapshotEntries: 20, CatchUpEntries: 5,
		VerifyEvery: -1, // its entries would be counted
	}
}

// start runs a node and returns how to stop it.
func start(t *testing.T, cfg Config, sm testMachine, st Storage) (*Node[int], func() error) {
	t.Helper()
	n, err := New(cfg, sm, st)
	must(t, err)
	must(t, n.Open())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, deafTransport{}) }()
	return n, func() error { cancel(); return <-done }
}

func within(t *testing.T, limit time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	t.Cleanup(cancel)
	return ctx
}

// TestSingleMemberOnDisk writes past several snapshots on a real disk and
// finds everything again after a restart, without a clean stop of the disk.
func TestSingleMemberOnDisk(t *testing.T) {
	dir := t.TempDir()
	want := 0
	for life := range 4 {
		d, err := OpenDisk(dir, nil)
		must(t, err)
		sm := newTestMachine()
		n, stop := start(t, singleConfig(), sm, d)
		ctx := within(t, time.Minute)
		must(t, n.ReadBarrier(ctx))
		if got := len(sm.log.cmds); got != want {
			t.Fatalf("life %d: %d commands after the first barrier, want %d", life, got, want)
		}
		var wg sync.WaitGroup
		for i := range 4 {
			wg.Go(func() {
				for j := range 50 {
					if _, err := n.Propose(ctx, fmt.Appendf(nil, "%d/%d/%d", life, i, j)); err != nil {
						t.Errorf("propose: %v", err)
						return
					}
				}
			})
		}
		wg.Wait()
		want += 200
		must(t, stop())
		if st := n.snapshotIndex.Load(); st == 0 {
			t.Error("no snapshot was taken")
		}
		kill(d)
	}
}

// failingStorage fails writes after a while.
type failingStorage struct {
	Storage
	left int
}

var errDisk = errors.New("input/output error")

func (s *failingStorage) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	if len(ents) > 0 {
		if s.left--; s.left < 0 {
			return errDisk
		}
	}
	return s.Storage.Save(hs, ents)
}

// TestStorageErrorEndsTheMember: after a failed write nothing is acknowledged.
func TestStorageErrorEndsTheMember(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	n, stop := start(t, singleConfig(), newTestMachine(), &failingStorage{Storage: d, left: 5})
	ctx := within(t, time.Minute)
	acked := 0
	for acked <= 5 {
		_, err := n.Propose(ctx, []byte("x"))
		if err != nil {
			if !errors.Is(err, ErrOutcomeUnknown) && !errors.Is(err, ErrStopped) {
				t.Errorf("propose: %v", err)
			}
			break
		}
		acked++
	}
	if acked > 5 {
		t.Errorf("%d commands were acknowledged, 5 saved", acked)
	}
	if err := stop(); !errors.Is(err, errDisk) {
		t.Errorf("Run returned %v", err)
	}
	if _, err := n.Propose(ctx, []byte("x")); !errors.Is(err, ErrStopped) {
		t.Errorf("propose after the end: %v", err)
	}
	if err := n.ReadBarrier(ctx); !errors.Is(err, ErrStopped) {
		t.Errorf("read after the end: %v", err)
	}
	kill(d)
}

func TestNewerCommandEndsTheMember(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	n, stop := start(t, singleConfig(), newTestMachine(), d)
	if _, err := n.Propose(within(t, time.Minute), []byte("poison")); !errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("propose: %v", err)
	}
	if err := stop(); !errors.Is(err, ErrNewerVersion) {
		t.Errorf("Run returned %v", err)
	}
	kill(d)
}

// TestWithoutLeader: what cannot be proposed fails in time, and surely.
func TestWithoutLeader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		cfg := singleConfig()
		cfg.Founders = append(cfg.Founders, Founder{ID: 1, PeerURL: "http://127.0.0.1:2"}, Founder{ID: 2, PeerURL: "http://127.0.0.1:3"})
		cfg.MaxWaiting = 10
		n, stop := start(t, cfg, newTestMachine(), d)
		begin := time.Now()
		if _, err := n.Propose(within(t, 3*time.Second), []byte("x")); !errors.Is(err, ErrNoLeader) {
			t.Errorf("propose: %v", err)
		}
		if err := n.ReadBarrier(within(t, 2*time.Second)); !errors.Is(err, ErrNoLeader) {
			t.Errorf("read: %v", err)
		}
		if took := time.Since(begin); took != 5*time.Second {
			t.Errorf("took %v, want 5s", took)
		}
		if err := n.Ready(); !errors.Is(err, ErrNoLeader) {
			t.Errorf("ready: %v", err)
		}
		var wg sync.WaitGroup
		for range 10 {
			wg.Go(func() { _, _ = n.Propose(within(t, time.Second), []byte("x")) })
		}
		synctest.Wait()
		if _, err := n.Propose(within(t, time.Second), []byte("x")); !errors.Is(err, ErrOverloaded) {
			t.Errorf("propose beyond the limit: %v", err)
		}
		wg.Wait()
		must(t, stop())
		kill(d)
	})
}

func BenchmarkSingleMember(b *testing.B) {
	d, err := OpenDisk(b.TempDir(), nil)
	must(b, err)
	cfg := singleConfig()
	cfg.SnapshotEntries = 1 << 40
	n, err := New(cfg, newTestMachine(), d)
	must(b, err)
	must(b, n.Open())
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, deafTransport{}) }()
	must(b, n.ReadBarrier(ctx))
	cmd := make([]byte, 160)
	b.ReportAllocs()
	b.SetParallelism(32)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if _, err := n.Propose(ctx, cmd); err != nil {
				b.Error(err)
			}
		}
	})
	cancel()
	<-done
	kill(d)
}
