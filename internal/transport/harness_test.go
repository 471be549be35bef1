package transport

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const testCluster = 0xc0ffee

// serverTimeout is far shorter than any stream or snapshot may last.
const serverTimeout = 700 * time.Millisecond

// node is one transport behind a real server.
type node struct {
	*Transport
	rec  *recorder
	addr string
	url  string

	stopRun   func() // joins Run
	closeHTTP func()
}

// testConfig is quick to notice and quick to come back.
func testConfig(t testing.TB, id uint64, url string) Config {
	return Config{
		ID: id, ClusterID: testCluster, PeerURL: url,
		Logger:   zaptest.NewLogger(t, zaptest.Level(zap.FatalLevel)),
		RetryMin: 5 * time.Millisecond, RetryMax: 40 * time.Millisecond, RetryRefused: 40 * time.Millisecond,
		LearnInterval: 10 * time.Millisecond,
	}
}

// startNode listens, serves and runs. Nothing of it is left when the test ends.
func startNode(t testing.TB, id uint64, rec *recorder, change func(*Config)) *node {
	t.Helper()
	if rec == nil {
		rec = new(recorder)
	}
	ln := listen(t, "127.0.0.1:0")
	n := &node{rec: rec, addr: ln.Addr().String()}
	n.url = "http://" + n.addr
	cfg := testConfig(t, id, n.url)
	if change != nil {
		change(&cfg)
	}
	var err error
	if n.Transport, err = New(cfg); err != nil {
		t.Fatal(err)
	}
	n.serve(t, ln)
	n.stopRun = n.run(t)
	return n
}

// run runs the transport until the returned function, or the test, ends it.
func (n *node) run(t testing.TB) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- n.Run(ctx, n.rec) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run = %v", err)
		}
	})
	t.Cleanup(stop)
	waitFor(t, "Run to begin", func() bool { return n.spawn(func() {}) })
	return stop
}

// serve mounts the handler on a server with timeouts.
func (n *node) serve(t testing.TB, ln net.Listener) {
	srv := &http.Server{
		Handler:           n.Handler(),
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       serverTimeout,
		WriteTimeout:      serverTimeout,
	}
	var wg sync.WaitGroup
	wg.Go(func() { _ = srv.Serve(ln) })
	n.closeHTTP = sync.OnceFunc(func() {
		_ = srv.Close()
		wg.Wait()
	})
	t.Cleanup(n.closeHTTP)
}

func listen(t testing.TB, addr string) net.Listener {
	t.Helper()
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return ln
}

// pair starts members 1 and 2, who know each other.
func pair(t testing.TB, a, b *recorder, change func(*Config)) (*node, *node) {
	t.Helper()
	n1, n2 := startNode(t, 1, a, change), startNode(t, 2, b, change)
	n1.SetPeers(map[uint64]string{2: n2.url})
	n2.SetPeers(map[uint64]string{1: n1.url})
	waitFor(t, "members to connect", func() bool {
		return n1.reaches(2) && n2.reaches(1)
	})
	return n1, n2
}

// reaches tells whether a peer is connected for requests, too: a member that was
// dialed before it knew the dialer refused that, and is dialed again later.
func (n *node) reaches(id uint64) bool {
	requests, _ := (*n.peers.Load())[id].forward.get()
	return n.Stats().Peers[id].Connected && requests != nil
}

// alone starts member 1, which takes members 2 to 9 for peers; none is there.
func alone(t testing.TB, rec *recorder) *node {
	t.Helper()
	n := startNode(t, 1, rec, nil)
	peers := make(map[uint64]string)
	for id := uint64(2); id <= 9; id++ {
		peers[id] = "http://127.0.0.1:1"
	}
	n.SetPeers(peers)
	return n
}

// waitFor polls until cond holds.
func waitFor(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	for !cond() {
		select {
		case <-tick.C:
		case <-late.C:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func heartbeat(from, to, commit uint64) *pb.Message {
	return &pb.Message{
		Type: pb.MsgHeartbeat.Enum(), From: new(from), To: new(to), Term: new(uint64(5)), Commit: new(commit),
	}
}

// appendMsg is a MsgApp with one entry of the given size after index.
func appendMsg(from, to, index uint64, size int) *pb.Message {
	logTerm := uint64(5)
	if index == 0 {
		logTerm = 0
	}
	return &pb.Message{
		Type: pb.MsgApp.Enum(), From: new(from), To: new(to), Term: new(uint64(5)),
		Index: new(index), LogTerm: new(logTerm), Commit: new(index),
		Entries: []*pb.Entry{{
			Index: new(index + 1), Term: new(uint64(5)), Type: pb.EntryNormal.Enum(), Data: bytes.Repeat([]byte{byte(index)}, size),
		}},
	}
}

func snapMsg(from, to, index uint64) *pb.Message {
	return &pb.Message{
		Type: pb.MsgSnap.Enum(), From: new(from), To: new(to), Term: new(uint64(5)),
		Snapshot: &pb.Snapshot{Metadata: &pb.SnapshotMetadata{
			Index: new(index), Term: new(uint64(4)), ConfState: &pb.ConfState{Voters: []uint64{1, 2, 3}},
		}},
	}
}
