package raftnode

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// lan joins the nodes of one process.
type lan struct {
	mu    sync.Mutex
	nodes map[uint64]*Node[int]
}

func (l *lan) node(id uint64) *Node[int] {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.nodes[id]
}

// port is a member's place on a lan.
type port struct {
	lan  *lan
	self uint64
}

func (p port) Send(msgs []*raftpb.Message) {
	for _, m := range msgs {
		if to := p.lan.node(m.GetTo()); to != nil {
			to.Step([]*raftpb.Message{proto.Clone(m).(*raftpb.Message)})
		}
	}
}

func (port) SetPeers(map[uint64]string) {}

func (p port) Forward(ctx context.Context, to uint64, req []byte) ([]byte, bool, error) {
	n := p.lan.node(to)
	if n == nil {
		return nil, false, errors.New("nobody is there")
	}
	reply, err := n.HandleForward(ctx, p.self, slices.Clone(req))
	return reply, true, err
}

func (p port) FetchSnapshot(_ context.Context, from, index uint64) (io.ReadCloser, error) {
	n := p.lan.node(from)
	if n == nil {
		return nil, errors.New("nobody is there")
	}
	body, _, err := n.OpenSnapshot(index)
	return body, err
}

// TestReseedOnDisk: a member whose state differs has the leader's afterwards, on
// its disk too, where nothing is left that would bring the wrong one back.
func TestReseedOnDisk(t *testing.T) { synctest.Test(t, testReseedOnDisk) }

func testReseedOnDisk(t *testing.T) {
	net := &lan{nodes: make(map[uint64]*Node[int])}
	dirs := map[uint64]string{1: t.TempDir(), 2: t.TempDir()}
	machines := make(map[uint64]testMachine)
	disks := make(map[uint64]*Disk)
	stops := make(map[uint64]func() error)
	start := func(id uint64) {
		d, err := OpenDisk(dirs[id], nil)
		must(t, err)
		cfg := singleConfig()
		cfg.Identity = Identity{Cluster: 1, Member: id}
		cfg.Founders = []Founder{{1, "http://127.0.0.1:1"}, {2, "http://127.0.0.1:2"}}
		cfg.PeerURL = cfg.Founders[id-1].PeerURL
		sm := newTestMachine()
		n, err := New(cfg, sm, d)
		must(t, err)
		must(t, n.Open())
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan error, 1)
		net.mu.Lock()
		net.nodes[id] = n
		net.mu.Unlock()
		go func() { done <- n.Run(ctx, port{net, id}) }()
		machines[id], disks[id] = sm, d
		stops[id] = func() error { cancel(); return <-done }
	}
	start(1)
	start(2)
	ctx := within(t, time.Minute)
	propose := func(n int) {
		for range n {
			_, err := net.node(1).Propose(ctx, []byte("x"))
			must(t, err)
		}
	}
	propose(50)
	follower := uint64(2)
	if net.node(2).Leads() {
		follower = 1
	}
	wrong, sm := net.node(follower), machines[follower]
	must(t, wrong.ReadBarrier(ctx))
	sm.log.mu.Lock()
	sm.log.cmds[3] = "wrong"
	sm.log.mu.Unlock()
	propose(50) // so that snapshots of the wrong state are on its disk
	v, err := net.node(1).Verify(ctx)
	must(t, err)
	if !slices.Equal(v.Diverged, []uint64{follower}) {
		t.Fatalf("%+v, want member %d", v, follower)
	}
	for wrong.Diverged() != nil || wrong.snapshotIndex.Load() <= v.Index {
		if ctx.Err() != nil {
			t.Fatalf("snapshot %d, %v", wrong.snapshotIndex.Load(), wrong.Diverged())
		}
		time.Sleep(10 * time.Millisecond)
	}
	seeded := wrong.snapshotIndex.Load()
	propose(3)
	must(t, wrong.ReadBarrier(ctx))
	if v, err := net.node(1).Verify(ctx); err != nil || len(v.Hashes) != 2 || len(v.Diverged) != 0 {
		t.Errorf("afterwards: %+v, %v", v, err)
	}
	bodies, err := filepath.Glob(filepath.Join(dirs[follower], "snap", "*.snap.db"))
	must(t, err)
	for _, path := range bodies {
		b, err := os.ReadFile(path)
		must(t, err)
		if strings.Contains(string(b), "wrong") {
			t.Errorf("%s still has the wrong state", path)
		}
	}
	for id := range dirs {
		must(t, stops[id]())
		kill(disks[id])
	}
	start(1)
	start(2)
	if got := net.node(follower).header.Index; got < seeded {
		t.Errorf("started from snapshot %d, not from that at %d", got, seeded)
	}
	must(t, net.node(follower).ReadBarrier(ctx))
	if got, want := machines[follower].log.cmds, slices.Repeat([]string{"x"}, 103); !slices.Equal(got, want) {
		t.Errorf("after a restart it holds %d commands: %v", len(got), got)
	}
	for id := range dirs {
		must(t, stops[id]())
		kill(disks[id])
	}
}
