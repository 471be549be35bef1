package transport

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
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

// recorder is a Receiver that remembers. Its hooks are set before Run.
type recorder struct {
	forward func(ctx context.Context, from uint64, req []byte) ([]byte, error)
	open    func(index uint64) (io.ReadCloser, int64, error)
	receive func(ctx context.Context, m *pb.Message, body io.Reader) error
	removed func(id uint64) bool

	mu            sync.Mutex
	steps         [][]*pb.Message // one element per call
	unreachable   []uint64
	snapshots     []bool
	markedRemoved int
}

func (r *recorder) Step(msgs []*pb.Message) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.steps = append(r.steps, msgs)
}

func (r *recorder) ReportUnreachable(id uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.unreachable = append(r.unreachable, id)
}

func (r *recorder) ReportSnapshot(_ uint64, ok bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.snapshots = append(r.snapshots, ok)
}

func (r *recorder) HandleForward(ctx context.Context, from uint64, req []byte) ([]byte, error) {
	if r.forward == nil {
		return nil, errors.New("no handler")
	}
	return r.forward(ctx, from, req)
}

func (r *recorder) OpenSnapshot(index uint64) (io.ReadCloser, int64, error) {
	if r.open == nil {
		return nil, 0, errors.New("no snapshot")
	}
	return r.open(index)
}

func (r *recorder) ReceiveSnapshot(ctx context.Context, m *pb.Message, body io.Reader) error {
	if r.receive == nil {
		_, err := io.Copy(io.Discard, body)
		return err
	}
	return r.receive(ctx, m, body)
}

func (r *recorder) IsRemoved(id uint64) bool { return r.removed != nil && r.removed(id) }

func (r *recorder) MarkRemoved() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.markedRemoved++
}

// messages returns all messages of one type, in the order received.
func (r *recorder) messages(typ pb.MessageType) []*pb.Message {
	r.mu.Lock()
	defer r.mu.Unlock()
	var msgs []*pb.Message
	for _, step := range r.steps {
		for _, m := range step {
			if m.GetType() == typ {
				msgs = append(msgs, m)
			}
		}
	}
	return msgs
}

func (r *recorder) unreachables() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.unreachable)
}

func (r *recorder) snapshotReports() []bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]bool(nil), r.snapshots...)
}

func (r *recorder) marked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.markedRemoved
}

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

// serve mounts the handler on a server whose timeouts are far shorter than any
// stream or snapshot may last.
func (n *node) serve(t testing.TB, ln net.Listener) {
	srv := &http.Server{
		Handler:           n.Handler(),
		ReadHeaderTimeout: 2 * time.Second,
		ReadTimeout:       2 * time.Second,
		WriteTimeout:      2 * time.Second,
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
		return n1.Stats().Peers[2].Connected && n2.Stats().Peers[1].Connected
	})
	return n1, n2
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

// stranger speaks to a node by hand.
type stranger struct {
	net.Conn
	t testing.TB
}

// upgradeAs opens a stream with a node as if it were member from.
func upgradeAs(t testing.TB, n *node, from uint64, kind string) *stranger {
	t.Helper()
	conn, err := net.Dial("tcp", n.addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s: %s\r\n%s: %s\r\n%s: %d\r\n%s: %d\r\n%s: %s\r\n\r\n",
		pathStream, n.addr, upgradeToken, headerProtocol, protocolVersion, headerCluster, formatCluster(testCluster),
		headerFrom, from, headerTo, n.cfg.ID, headerKind, kind)
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		var b [1]byte
		if _, err := conn.Read(b[:]); err != nil {
			t.Fatalf("read answer after %q: %v", head, err)
		}
		head = append(head, b[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		t.Fatalf("answer to upgrade: %q", head)
	}
	return &stranger{conn, t}
}

// rest reads until the node closes, and returns the reason it gave.
func (s *stranger) rest() string {
	s.t.Helper()
	all, err := io.ReadAll(s)
	if err != nil {
		s.t.Fatalf("the node did not close properly: %v", err)
	}
	for bytes.HasPrefix(all, emptyFrame) {
		all = all[frameHeaderBytes:]
	}
	if len(all) < frameHeaderBytes {
		return ""
	}
	return string(all[frameHeaderBytes:])
}

// frame wraps a body.
func frame(body []byte) []byte {
	f := append(beginFrame(nil), body...)
	sealFrame(f)
	return f
}
