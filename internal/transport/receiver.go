package transport

import (
	"context"
	"io"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Receiver is the raft member that messages are for. Its methods may be called
// from any goroutine, some of them from within Send. Only HandleForward and
// ReceiveSnapshot may block.
type Receiver interface {
	// Step takes messages from one peer, in the order sent, checked. It takes
	// ownership of them.
	Step(msgs []*pb.Message)
	// ReportUnreachable says that messages to a peer may have been lost. It
	// is called once per lost connection or dropped queue.
	ReportUnreachable(id uint64)
	// ReportSnapshot says how the sending of a snapshot ended. It is called
	// exactly once for each MsgSnap given to Send while Run runs.
	ReportSnapshot(id uint64, ok bool)
	// HandleForward answers a request of a peer's Forward. It owns req. ctx
	// ends with the sender's deadline, its connection, and Run.
	HandleForward(ctx context.Context, from uint64, req []byte) ([]byte, error)
	// OpenSnapshot opens the body that belongs to the raft snapshot at index,
	// and says how many bytes it has. It may touch disk: it is called on a
	// goroutine of its own.
	OpenSnapshot(index uint64) (body io.ReadCloser, size int64, err error)
	// ReceiveSnapshot stores a body and steps msg. When it returns nil it has
	// read body to io.EOF, which comes only if length and checksum were
	// right, and all of it is durable.
	ReceiveSnapshot(ctx context.Context, msg *pb.Message, body io.Reader) error
	// IsRemoved says whether id was a member once and was removed.
	IsRemoved(id uint64) bool
	// MarkRemoved says that a peer of the same cluster answered that this
	// member was removed. It is called at most once.
	MarkRemoved()
}
