package transport

import (
	"context"
	"errors"
	"io"
	"sync"

	pb "go.etcd.io/raft/v3/raftpb"
)

// recorder is a Receiver that remembers. Its hooks are set before Run.
type recorder struct {
	forward func(ctx context.Context, from uint64, req []byte) ([]byte, error)
	open    func(index uint64) (io.ReadCloser, int64, error)
	receive func(ctx context.Context, m *pb.Message, body io.Reader) error
	removed func(id uint64) bool
	step    func(msgs []*pb.Message) // in place of remembering

	mu            sync.Mutex
	steps         [][]*pb.Message // one element per call
	unreachable   []uint64
	snapshots     []bool
	markedRemoved int
}

func (r *recorder) Step(msgs []*pb.Message) {
	if r.step != nil {
		r.step(msgs)
		return
	}
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
