package transport

import (
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

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
		return n1.Stats().Peers[2].LastContact.Sub(first) > 2*serverTimeout
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
	// What arrives shows that the sender has read the answer: it reports no stream as
	// lost that it never had.
	n1.Send([]*pb.Message{heartbeat(1, 2, 0), appendMsg(1, 2, 1, 10)})
	waitFor(t, "both streams", func() bool {
		return len(n2.rec.messages(pb.MsgHeartbeat)) == 1 && len(n2.rec.messages(pb.MsgApp)) == 1
	})
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
