package transport

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
)

// noise is size bytes that need no memory. It can fail before its end, or
// stop there until released.
type noise struct {
	left   int64
	rng    *rand.ChaCha8
	failAt int64         // when so much is left; 0 for never
	stall  chan struct{} // instead of failing
	closed atomic.Bool
}

func newNoise(size int64) *noise { return &noise{left: size, rng: rand.NewChaCha8([32]byte{1})} }

func (n *noise) Read(p []byte) (int, error) {
	if n.closed.Load() {
		return 0, errors.New("read after close")
	}
	if n.left == 0 {
		return 0, io.EOF
	}
	if n.failAt > 0 && n.left <= n.failAt {
		if n.stall == nil {
			return 0, errors.New("disk fault")
		}
		<-n.stall
	}
	got, _ := n.rng.Read(p[:min(int64(len(p)), n.left)])
	n.left -= int64(got)
	return got, nil
}

func (n *noise) Close() error {
	n.closed.Store(true)
	return nil
}

func opens(body io.ReadCloser, size int64) *recorder {
	return &recorder{open: func(uint64) (io.ReadCloser, int64, error) { return body, size, nil }}
}

// stores is a receiver of snapshots that keeps a checksum and the error.
type stores struct {
	recorder
	sum  uint32
	size int64
	err  chan error
}

func newStores() *stores {
	s := &stores{err: make(chan error, 10)}
	s.receive = func(_ context.Context, m *pb.Message, body io.Reader) error {
		sum := crc32.NewIEEE()
		n, err := io.Copy(sum, body)
		s.sum, s.size = sum.Sum32(), n
		if err == nil {
			s.Step([]*pb.Message{m})
		}
		s.err <- err
		return err
	}
	return s
}

func waitReports(t *testing.T, n *node, want ...bool) {
	t.Helper()
	waitFor(t, "reports", func() bool { return len(n.rec.snapshotReports()) >= len(want) })
	if got := n.rec.snapshotReports(); !slices.Equal(got, want) {
		t.Fatalf("reports %v, want %v", got, want)
	}
}

// TestSnapshotStreams: 50 MB arrive whole, in flat memory.
func TestSnapshotStreams(t *testing.T) {
	const size = 50 << 20
	body := newNoise(size)
	dst := newStores()
	n1, n2 := pair(t, opens(body, size), &dst.recorder, nil)
	before := heapBytes()
	var most atomic.Uint64
	store := dst.receive
	dst.receive = func(ctx context.Context, m *pb.Message, r io.Reader) error {
		err := store(ctx, m, io.TeeReader(r, writerFunc(func(p []byte) {
			if rand.IntN(64) == 0 {
				most.Store(max(most.Load(), heapBytes()))
			}
		})))
		return err
	}
	n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
	waitReports(t, n1, true)
	want := crc32.NewIEEE()
	_, _ = io.Copy(want, newNoise(size))
	if dst.size != size || dst.sum != want.Sum32() {
		t.Errorf("%d bytes with checksum %08x, want %d with %08x", dst.size, dst.sum, size, want.Sum32())
	}
	msgs := n2.rec.messages(pb.MsgSnap)
	if len(msgs) != 1 || msgs[0].GetSnapshot().GetMetadata().GetIndex() != 77 {
		t.Errorf("stepped %v", msgs)
	}
	if grown := int64(most.Load()) - int64(before); grown > 8<<20 {
		t.Errorf("the heap grew by %d bytes", grown)
	}
	if !body.closed.Load() {
		t.Error("the body was not closed")
	}
}

// TestSnapshotPastServerTimeouts: neither a body that takes long nor an answer
// that does is cut by what the server allows for ordinary requests.
func TestSnapshotPastServerTimeouts(t *testing.T) {
	body := newNoise(1 << 20)
	body.failAt, body.stall = 1<<19, make(chan struct{})
	n1, _ := pair(t, opens(body, 1<<20), &recorder{receive: func(ctx context.Context, _ *pb.Message, body io.Reader) error {
		_, err := io.Copy(io.Discard, body)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(serverTimeout + 100*time.Millisecond):
		}
		return err
	}}, nil)
	time.AfterFunc(serverTimeout+100*time.Millisecond, func() { close(body.stall) })
	n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
	waitReports(t, n1, true)
}

type writerFunc func([]byte)

func (f writerFunc) Write(p []byte) (int, error) {
	f(p)
	return len(p), nil
}

func TestSnapshotFailures(t *testing.T) {
	const size = 2 << 20
	failing := newNoise(size)
	failing.failAt = size / 2
	tests := []struct {
		name     string
		src      *recorder
		receive  func(ctx context.Context, m *pb.Message, body io.Reader) error // nil to read all
		received string                                                         // part of what the reader ended with; empty if it never began
	}{
		{"open fails", new(recorder), nil, ""},
		{"body fails at half", opens(failing, size), nil, "cut with"},
		{"body shorter than said", opens(newNoise(size-1), size), nil, "cut with 1 of"},
		{"body longer than said", opens(newNoise(size+1), size), nil, "cut in the trailer"},
		{"receiver fails", opens(newNoise(size), size), func(context.Context, *pb.Message, io.Reader) error {
			return errors.New("disk full")
		}, "disk full"},
		{"receiver reads a part", opens(newNoise(size), size), func(_ context.Context, _ *pb.Message, body io.Reader) error {
			_, err := io.CopyN(io.Discard, body, size)
			return err
		}, "<nil>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dst := newStores()
			if tt.receive != nil {
				dst.receive = func(ctx context.Context, m *pb.Message, body io.Reader) error {
					err := tt.receive(ctx, m, body)
					dst.err <- err
					return err
				}
			}
			n1, n2 := pair(t, tt.src, &dst.recorder, nil)
			n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
			waitReports(t, n1, false)
			if tt.received != "" {
				if err := <-dst.err; !strings.Contains(fmt.Sprint(err), tt.received) {
					t.Errorf("the receiver's body ended with %v, want %q in it", err, tt.received)
				}
			}
			if got := n2.rec.messages(pb.MsgSnap); len(got) != 0 {
				t.Errorf("stepped %v", got)
			}
		})
	}
}

// TestSnapshotUnreachable: no peer, no address, nobody there, and a shutdown
// are failures like any other.
func TestSnapshotUnreachable(t *testing.T) {
	ln := listen(t, "127.0.0.1:0")
	url := "http://" + ln.Addr().String()
	ln.Close()
	n1 := startNode(t, 1, opens(newNoise(10), 10), nil)
	n1.SetPeers(map[uint64]string{2: url, 3: "nonsense"})
	n1.Send([]*pb.Message{snapMsg(1, 4, 77)})
	waitReports(t, n1, false)
	n1.Send([]*pb.Message{snapMsg(1, 3, 77)})
	waitReports(t, n1, false, false)
	n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
	waitReports(t, n1, false, false, false)
	// Failures in a row are reported with a growing pause, and still are.
	n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
	waitReports(t, n1, false, false, false, false)
}

// TestSnapshotOneAtATime: a second one fails while the first is on its way.
func TestSnapshotOneAtATime(t *testing.T) {
	body := newNoise(1 << 20)
	body.failAt, body.stall = 1<<19, make(chan struct{})
	n1, _ := pair(t, opens(body, 1<<20), new(recorder), nil)
	n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
	n1.Send([]*pb.Message{snapMsg(1, 2, 78)})
	waitReports(t, n1, false)
	close(body.stall)
	waitReports(t, n1, false, true)
}

// TestSnapshotStalls on either side; heartbeats go on meanwhile.
func TestSnapshotStalls(t *testing.T) {
	stop := make(chan struct{})
	defer close(stop)
	quick := func(c *Config) { c.SnapshotStall, c.SnapshotAnswer = 300*time.Millisecond, 300*time.Millisecond }
	t.Run("sender", func(t *testing.T) {
		body := newNoise(1 << 20)
		body.failAt, body.stall = 1<<19, make(chan struct{})
		n1, n2 := pair(t, opens(body, 1<<20), &newStores().recorder, quick)
		n1.Send([]*pb.Message{snapMsg(1, 2, 77), heartbeat(1, 2, 0)})
		waitFor(t, "a heartbeat", func() bool { return len(n2.rec.messages(pb.MsgHeartbeat)) == 1 })
		time.AfterFunc(600*time.Millisecond, func() { close(body.stall) })
		waitReports(t, n1, false)
	})
	t.Run("answer", func(t *testing.T) {
		n1, _ := pair(t, opens(newNoise(100), 100), &recorder{
			receive: func(ctx context.Context, _ *pb.Message, body io.Reader) error {
				_, err := io.Copy(io.Discard, body)
				<-ctx.Done() // which ends because the sender leaves
				return err
			}}, quick)
		n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
		waitReports(t, n1, false)
	})
	t.Run("receiver does not read", func(t *testing.T) {
		n1, _ := pair(t, opens(newNoise(64<<20), 64<<20), &recorder{
			receive: func(ctx context.Context, _ *pb.Message, body io.Reader) error {
				select {
				case <-ctx.Done():
				case <-stop:
				case <-time.After(5 * time.Second): // an unread body hides that its sender left
				}
				return errors.New("gave up")
			}}, quick)
		n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
		waitReports(t, n1, false)
	})
}

// TestSnapshotShutdown: Run does not wait for a snapshot, in neither role.
func TestSnapshotShutdown(t *testing.T) {
	for _, who := range []string{"sender", "receiver"} {
		t.Run(who, func(t *testing.T) {
			body := newNoise(1 << 20)
			body.failAt, body.stall = 1<<19, make(chan struct{})
			dst := newStores()
			n1, n2 := pair(t, opens(body, 1<<20), &dst.recorder, nil)
			n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
			waitFor(t, "the snapshot to begin", func() bool {
				return n2.Stats().Peers[1].ReceivedBytes > 1<<18
			})
			if who == "sender" {
				time.AfterFunc(50*time.Millisecond, func() { close(body.stall) })
				n1.stopRun()
				if err := <-dst.err; !errors.Is(err, ErrSnapshotBody) {
					t.Errorf("the body ended with %v", err)
				}
			} else {
				n2.stopRun()
				close(body.stall)
			}
			waitReports(t, n1, false)
		})
	}
}
