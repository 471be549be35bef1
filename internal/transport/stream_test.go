package transport

import (
	"context"
	"encoding/binary"
	"hash/crc32"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

func TestDeliveryInOrder(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), nil)
	const count = 2000
	for i := range uint64(count) {
		n1.Send([]*pb.Message{appendMsg(1, 2, i, 100), heartbeat(1, 2, i)})
		n2.Send([]*pb.Message{heartbeat(2, 1, i)})
	}
	waitFor(t, "all messages", func() bool {
		return len(n2.rec.messages(pb.MsgApp)) == count && len(n2.rec.messages(pb.MsgHeartbeat)) == count &&
			len(n1.rec.messages(pb.MsgHeartbeat)) == count
	})
	for i, m := range n2.rec.messages(pb.MsgApp) {
		if want := appendMsg(1, 2, uint64(i), 100); !proto.Equal(m, want) {
			t.Fatalf("append %d: got %v, want %v", i, m, want)
		}
	}
	for i, m := range n2.rec.messages(pb.MsgHeartbeat) {
		if m.GetCommit() != uint64(i) {
			t.Fatalf("heartbeat %d has commit %d", i, m.GetCommit())
		}
	}
	s := n1.Stats().Peers[2]
	if s.SentMessages != 2*count || s.ReceivedMessages != count || s.Dropped != 0 || s.LastContact.IsZero() {
		t.Errorf("stats of the peer: %+v", s)
	}
	if n := n1.rec.unreachables() + n2.rec.unreachables(); n != 0 {
		t.Errorf("%d reports of loss", n)
	}
}

// TestMessagesGivenTogetherArriveTogether: one call of Send is one frame and
// one call of Step.
func TestMessagesGivenTogetherArriveTogether(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), nil)
	var msgs []*pb.Message
	for i := range uint64(50) {
		msgs = append(msgs, heartbeat(1, 2, i))
	}
	n1.Send(msgs)
	waitFor(t, "the messages", func() bool { return len(n2.rec.messages(pb.MsgHeartbeat)) == len(msgs) })
	n2.rec.mu.Lock()
	defer n2.rec.mu.Unlock()
	if got := len(n2.rec.steps); got != 1 {
		t.Errorf("Step was called %d times", got)
	}
}

func TestThreeMembers(t *testing.T) {
	nodes := make([]*node, 4)
	urls := make(map[uint64]string)
	for id := uint64(1); id <= 3; id++ {
		nodes[id] = startNode(t, id, nil, nil)
		urls[id] = nodes[id].url
	}
	for id := uint64(1); id <= 3; id++ {
		nodes[id].SetPeers(urls) // its own is in it
	}
	for id := uint64(1); id <= 3; id++ {
		waitFor(t, "connections", func() bool {
			for _, p := range nodes[id].Stats().Peers {
				if !p.Connected {
					return false
				}
			}
			return true
		})
	}
	for from := uint64(1); from <= 3; from++ {
		for to := uint64(1); to <= 3; to++ {
			nodes[from].Send([]*pb.Message{heartbeat(from, to, 0)})
		}
	}
	for id := uint64(1); id <= 3; id++ {
		waitFor(t, "heartbeats of both others", func() bool { return len(nodes[id].rec.messages(pb.MsgHeartbeat)) == 2 })
		if got := nodes[id].Stats().Unroutable; got != 1 {
			t.Errorf("member %d: %d unroutable messages, want the one to itself", id, got)
		}
	}
}

func TestBigFrames(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), nil)
	sizes := []int{0, 1, 64 << 10, 1 << 20, 20 << 20, 100, 7 << 20}
	var want []*pb.Message
	for i, size := range sizes {
		want = append(want, appendMsg(1, 2, uint64(i), size))
	}
	n1.Send(want)
	waitFor(t, "all", func() bool { return len(n2.rec.messages(pb.MsgApp)) == len(want) })
	for i, m := range n2.rec.messages(pb.MsgApp) {
		if !proto.Equal(m, want[i]) {
			t.Errorf("message %d differs", i)
		}
	}
}

func TestTooLargeForAFrame(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), func(c *Config) { c.MaxFrameBytes = 4096 })
	n1.Send([]*pb.Message{appendMsg(1, 2, 0, 5000)})
	if got := n1.rec.unreachables(); got != 1 {
		t.Errorf("%d reports of loss, want 1", got)
	}
	// What fits together in no frame still arrives, in several.
	for i := range uint64(10) {
		n1.Send([]*pb.Message{appendMsg(1, 2, i, 3000)})
	}
	waitFor(t, "the others", func() bool { return len(n2.rec.messages(pb.MsgApp)) == 10 })
}

// TestReconnect closes a member and opens it again at the same address.
func TestReconnect(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), nil)
	n1.Send([]*pb.Message{appendMsg(1, 2, 0, 10), heartbeat(1, 2, 0)})
	waitFor(t, "the first", func() bool { return len(n2.rec.messages(pb.MsgApp)) == 1 })

	n2.closeHTTP()
	n2.stopRun()
	waitFor(t, "loss to be noticed", func() bool { return !n1.Stats().Peers[2].Connected })
	waitFor(t, "one report per stream", func() bool { return n1.rec.unreachables() == 2 })

	again := &node{rec: new(recorder), addr: n2.addr, url: n2.url}
	var err error
	if again.Transport, err = New(testConfig(t, 2, n2.url)); err != nil {
		t.Fatal(err)
	}
	again.serve(t, listen(t, n2.addr))
	again.SetPeers(map[uint64]string{1: n1.url})
	again.run(t)
	waitFor(t, "a message to get through", func() bool {
		n1.Send([]*pb.Message{appendMsg(1, 2, 7, 10)})
		return len(again.rec.messages(pb.MsgApp)) > 0
	})
}

// TestDeadPeer: what piles up while nobody answers is dropped and reported,
// not more often than there are attempts.
func TestDeadPeer(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	url := "http://" + ln.Addr().String()
	ln.Close()
	n1 := startNode(t, 1, nil, nil)
	n1.SetPeers(map[uint64]string{2: url})
	n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
	waitFor(t, "a report", func() bool { return n1.rec.unreachables() == 1 })
	waitFor(t, "the drop to be counted", func() bool { return n1.Stats().Peers[2].Dropped == 1 })
	for range 100 {
		n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
	}
	waitFor(t, "the rest to be dropped", func() bool { return n1.Stats().Peers[2].Dropped == 101 })
	if got := n1.rec.unreachables(); got > 10 {
		t.Errorf("%d reports for 100 messages", got)
	}
}

// TestQueueOverflow fills a queue while the connection is still being made.
func TestQueueOverflow(t *testing.T) {
	n1 := startNode(t, 1, nil, func(c *Config) {
		c.ControlQueueBytes = 1 << 10
		c.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
			<-ctx.Done()
			return nil, ctx.Err()
		}
		c.DialTimeout = time.Hour
	})
	n1.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	fits := 1 << 10 / proto.Size(heartbeat(1, 2, 0))
	for range fits {
		n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
	}
	if got := n1.rec.unreachables(); got != 0 {
		t.Errorf("%d reports of loss while all fitted", got)
	}
	n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
	if got := n1.rec.unreachables(); got != 1 {
		t.Errorf("%d reports of loss, want 1", got)
	}
	if got := n1.Stats().Peers[2].Dropped; got != uint64(fits)+1 {
		t.Errorf("%d messages dropped, want the whole queue of %d", got, fits+1)
	}
}

// TestIdle: nothing but keepalives keeps a connection up for many times the
// idle timeout, past the read and write timeouts of the server.
func TestIdle(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), func(c *Config) { c.IdleTimeout = 200 * time.Millisecond })
	first := n1.Stats().Peers[2].LastContact
	waitFor(t, "keepalives for a while", func() bool {
		return n1.Stats().Peers[2].LastContact.Sub(first) > 2500*time.Millisecond
	})
	if n := n1.rec.unreachables() + n2.rec.unreachables(); n != 0 {
		t.Errorf("%d reports of loss", n)
	}
	n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
	waitFor(t, "a message", func() bool { return len(n2.rec.messages(pb.MsgHeartbeat)) == 1 })
}

// TestSilentLink: a link that swallows everything without an error is given up
// by both of its ends.
func TestSilentLink(t *testing.T) {
	var cut atomic.Bool
	n1, n2 := pair(t, new(recorder), new(recorder), func(c *Config) {
		c.IdleTimeout = 200 * time.Millisecond
		if c.ID == 1 {
			c.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
				conn, err := new(net.Dialer).DialContext(ctx, network, addr)
				if err != nil {
					return nil, err
				}
				return &swallower{Conn: conn, cut: &cut}, nil
			}
		}
	})
	waitFor(t, "streams", func() bool { return inboundOf(n2) == 3 && inboundOf(n1) == 3 })
	cut.Store(true)
	waitFor(t, "the receiver to give up", func() bool { return inboundOf(n2) == 0 })
	waitFor(t, "the sender to give up", func() bool { return n1.rec.unreachables() >= 2 })
}

// swallower is a connection that can go silent.
type swallower struct {
	net.Conn
	cut *atomic.Bool
}

func (s *swallower) Write(p []byte) (int, error) {
	if s.cut.Load() {
		return len(p), nil
	}
	return s.Conn.Write(p)
}

func (s *swallower) Read(p []byte) (int, error) {
	for {
		n, err := s.Conn.Read(p)
		if err != nil || !s.cut.Load() {
			return n, err
		}
	}
}

func inboundOf(n *node) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.inbound)
}

// TestForgedStreams: whatever comes on a stream, raft sees none of it, and the
// stream ends with the reason.
func TestForgedStreams(t *testing.T) {
	encode := func(msgs ...*pb.Message) []byte {
		var batch []outgoing
		for _, m := range msgs {
			batch = append(batch, outgoing{m, proto.Size(m)})
		}
		f, _, err := encodeBatch(nil, batch, frameTarget)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	good := heartbeat(2, 1, 0)
	flipped := encode(good)
	flipped[len(flipped)-1] ^= 1
	giant := make([]byte, frameHeaderBytes, 100)
	binary.BigEndian.PutUint32(giant, 1<<32-1)
	tests := []struct {
		name, reason string
		bytes        []byte
	}{
		{"garbage protobuf", "message 1 of 1", frame([]byte{5, 0xff, 0xff, 0xff, 0xff, 0xff})},
		{"giant length prefix", "limit", giant},
		{"giant length in the batch", "in a frame with", frame(binary.AppendUvarint(nil, 1<<40))},
		{"wrong checksum", "checksum", flipped},
		{"keepalive with a checksum", "checksum", []byte{0, 0, 0, 0, 0, 0, 0, 1}},
		{"good, then bad", "MsgHup", encode(good, &pb.Message{To: new(uint64(1)), From: new(uint64(2))})},
		{"local only: MsgStorageAppendResp", "MsgStorageAppendResp", encode(&pb.Message{
			Type: pb.MsgStorageAppendResp.Enum(), To: new(uint64(1)), From: new(uint64(localAppendThread)), Term: new(uint64(9))})},
		{"from a local target", "from", encode(&pb.Message{
			Type: pb.MsgAppResp.Enum(), To: new(uint64(1)), From: new(uint64(localAppendThread)), Term: new(uint64(9))})},
		{"from somebody else", "from 3", encode(heartbeat(3, 1, 0))},
		{"to somebody else", "to 3", encode(heartbeat(2, 3, 0))},
		{"MsgProp", "MsgProp", encode(&pb.Message{Type: pb.MsgProp.Enum(), To: new(uint64(1)), From: new(uint64(2))})},
		{"MsgSnap", "MsgSnap", encode(snapMsg(2, 1, 9))},
	}
	n1 := alone(t, nil)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := n1.Stats().Violations
			s := upgradeAs(t, n1, 2, kindControl)
			if _, err := s.Write(tt.bytes); err != nil {
				t.Fatal(err)
			}
			if reason := s.rest(); !strings.Contains(reason, tt.reason) {
				t.Errorf("closed with %q, want %q in it", reason, tt.reason)
			}
			if got := n1.Stats().Violations; got != before+1 {
				t.Errorf("%d violations counted, want 1", got-before)
			}
		})
	}
	n1.rec.mu.Lock()
	defer n1.rec.mu.Unlock()
	if len(n1.rec.steps) != 0 {
		t.Errorf("raft was handed %v", n1.rec.steps)
	}
}

// TestLyingLengthTakesNoMemory announces the largest frame and sends a little.
func TestLyingLengthTakesNoMemory(t *testing.T) {
	n1 := alone(t, nil)
	before := heapBytes()
	for id := uint64(2); id <= 9; id++ {
		s := upgradeAs(t, n1, id, kindAppend)
		header := make([]byte, frameHeaderBytes)
		binary.BigEndian.PutUint32(header, uint32(n1.cfg.MaxFrameBytes))
		binary.BigEndian.PutUint32(header[4:], crc32.Checksum(nil, castagnoli))
		if _, err := s.Write(append(header, make([]byte, 1000)...)); err != nil {
			t.Fatal(err)
		}
	}
	if grown := int64(heapBytes()) - int64(before); grown > 64<<20 {
		t.Errorf("heap grew by %d bytes", grown)
	}
}

// TestNewestConnectionWins: a peer that dials again has given up the
// connection before.
func TestNewestConnectionWins(t *testing.T) {
	n1 := alone(t, nil)
	old := upgradeAs(t, n1, 2, kindControl)
	fresh := upgradeAs(t, n1, 2, kindControl)
	old.rest()
	f := frame(append([]byte{byte(proto.Size(heartbeat(2, 1, 3)))}, mustMarshal(t, heartbeat(2, 1, 3))...))
	if _, err := fresh.Write(f); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "a message on the new one", func() bool { return len(n1.rec.messages(pb.MsgHeartbeat)) == 1 })
}

// TestSetPeersClosesWhoIsGone: a peer that is taken out loses its connections
// both ways, and one that moved is dialed at its new address.
func TestSetPeersClosesWhoIsGone(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), nil)
	waitFor(t, "streams", func() bool { return inboundOf(n1) == 3 && inboundOf(n2) == 3 })
	n1.SetPeers(nil)
	waitFor(t, "both sides to be closed", func() bool { return inboundOf(n1) == 0 && inboundOf(n2) == 0 })
	n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
	if got := n1.Stats().Unroutable; got != 1 {
		t.Errorf("%d unroutable messages, want 1", got)
	}
	n1.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	n1.SetPeers(map[uint64]string{2: n2.url})
	waitFor(t, "a message to get through", func() bool {
		n1.Send([]*pb.Message{heartbeat(1, 2, 0)})
		return len(n2.rec.messages(pb.MsgHeartbeat)) > 0
	})
}

// TestRelayedAndLocalMessagesStay: what the receiver would have to take for a
// forgery is not sent.
func TestRelayedAndLocalMessagesStay(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), nil)
	n1.Send([]*pb.Message{
		{Type: pb.MsgReadIndex.Enum(), From: new(uint64(3)), To: new(uint64(2)), Entries: []*pb.Entry{{Data: []byte("r")}}},
		{Type: pb.MsgProp.Enum(), From: new(uint64(1)), To: new(uint64(2)), Entries: []*pb.Entry{{}}},
		{Type: pb.MsgStorageAppend.Enum(), From: new(uint64(1)), To: new(uint64(localAppendThread))},
		heartbeat(1, 2, 1),
	})
	waitFor(t, "the heartbeat", func() bool { return len(n2.rec.messages(pb.MsgHeartbeat)) == 1 })
	if s := n1.Stats(); s.Unroutable != 3 || n2.Stats().Violations != 0 {
		t.Errorf("stats of the sender: %+v, violations %d", s, n2.Stats().Violations)
	}
}

// TestSendBeforeAndAfterRun drops, and does not panic.
func TestSendBeforeAndAfterRun(t *testing.T) {
	tr, err := New(testConfig(t, 1, "http://127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	tr.SetPeers(map[uint64]string{2: "http://127.0.0.1:1"})
	tr.Send([]*pb.Message{heartbeat(1, 2, 0), snapMsg(1, 2, 3)})
	if _, sent, err := tr.Forward(t.Context(), 2, nil); sent || err == nil {
		t.Errorf("Forward = %v, %v", sent, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Run(ctx, new(recorder)); err != nil {
		t.Fatal(err)
	}
	tr.Send([]*pb.Message{heartbeat(1, 2, 0), snapMsg(1, 2, 3)})
	tr.SetPeers(map[uint64]string{3: "http://127.0.0.1:1"})
	if err := tr.Run(ctx, new(recorder)); err == nil {
		t.Error("ran twice")
	}
}
