package transport

import (
	"context"
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

// TestSeveralFramesAtOnce: what is given together and does not fit one frame is sent
// all the same, though nothing follows.
func TestSeveralFramesAtOnce(t *testing.T) {
	n1, n2 := pair(t, new(recorder), new(recorder), func(c *Config) {
		c.MaxFrameBytes = 4096
		c.IdleTimeout = time.Hour // no keepalive comes to help
	})
	waitFor(t, "streams", func() bool { return inboundOf(n2) == 3 })
	var msgs []*pb.Message
	for i := range uint64(10) {
		msgs = append(msgs, appendMsg(1, 2, i, 1400)) // less than maxDirect in all
	}
	n1.Send(msgs)
	waitFor(t, "all", func() bool { return len(n2.rec.messages(pb.MsgApp)) == len(msgs) })
}

// TestStalledPeer: a peer that reads no more does not hold up who sends to it, and the
// others hear from it as before.
func TestStalledPeer(t *testing.T) {
	stalled := make(chan struct{})
	n1, n2 := pair(t, new(recorder), &recorder{step: func([]*pb.Message) { <-stalled }}, func(c *Config) {
		c.IdleTimeout = time.Hour
		c.AppendQueueBytes = 1 << 20
	})
	n3 := startNode(t, 3, nil, nil)
	n1.SetPeers(map[uint64]string{2: n2.url, 3: n3.url})
	n3.SetPeers(map[uint64]string{1: n1.url})
	defer close(stalled)
	waitFor(t, "streams", func() bool { return inboundOf(n2) == 3 && inboundOf(n3) == 3 })
	var sent atomic.Uint64
	done := make(chan struct{})
	go func() {
		defer close(done)
		for n1.rec.unreachables() == 0 { // the queue overflows at last
			n1.Send([]*pb.Message{appendMsg(1, 2, sent.Load(), 8<<10), heartbeat(1, 3, sent.Load())})
			sent.Add(1)
		}
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("Send waits for a peer that does not read, after %d messages", sent.Load())
	}
	waitFor(t, "all that was for the other", func() bool { return uint64(len(n3.rec.messages(pb.MsgHeartbeat))) == sent.Load() })
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

// BenchmarkRoundTrip is an append and its answer: what replication waits for
// beside the disks.
func BenchmarkRoundTrip(b *testing.B) {
	answers := make(chan struct{}, 1)
	var back atomic.Pointer[node]
	resp := []*pb.Message{{
		Type: pb.MsgAppResp.Enum(), From: new(uint64(2)), To: new(uint64(1)), Term: new(uint64(5)), Index: new(uint64(2)),
	}}
	n1, n2 := pair(b, &recorder{step: func([]*pb.Message) { answers <- struct{}{} }},
		&recorder{step: func([]*pb.Message) { back.Load().Send(resp) }}, nil)
	back.Store(n2)
	waitFor(b, "streams", func() bool { return inboundOf(n1) == 3 && inboundOf(n2) == 3 })
	msgs := []*pb.Message{appendMsg(1, 2, 1, 8<<10)}
	b.ReportAllocs()
	for b.Loop() {
		n1.Send(msgs)
		<-answers
	}
}

// BenchmarkOneWay is how fast appends of 1 MiB go through.
func BenchmarkOneWay(b *testing.B) {
	got := make(chan int, 100)
	n1, n2 := pair(b, new(recorder), &recorder{step: func(msgs []*pb.Message) { got <- len(msgs) }}, nil)
	waitFor(b, "streams", func() bool { return inboundOf(n2) == 3 })
	msgs := []*pb.Message{appendMsg(1, 2, 1, 1<<20)}
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	underway := 0
	for b.Loop() {
		for underway > 8 {
			underway -= <-got
		}
		n1.Send(msgs)
		underway++
	}
}
