package raftnode

import (
	"context"
	"io"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// StateMachine is what committed commands act upon. R is the result of one.
type StateMachine[R any] interface {
	// Apply runs the commands of one log entry, in order, and returns one
	// result each. It is deterministic, called by one goroutine, with rising
	// indexes. cmds are only valid during the call. clock is the log's clock,
	// which never goes back. An error stops the member: it is for commands
	// that only a newer version understands.
	Apply(index uint64, clock time.Duration, cmds [][]byte) ([]R, error)
	// Snapshot freezes the state at once; the view is written by another
	// goroutine while Apply goes on. An error of WriteTo that is not the
	// writer's says that the state in memory is damaged.
	Snapshot() (io.WriterTo, error)
	// Restore replaces the whole state with what WriteTo wrote, or, on an
	// error (its own or one of r), none of it. It reads r to io.EOF.
	Restore(r io.Reader) error
	// Digest freezes the state at once, like Snapshot. What it returns is called
	// at most once, by another goroutine while Apply goes on: it hashes all that
	// is in memory, which gives the same on all members that have applied the
	// same entries, or an error when that is not what Apply has put there. It
	// calls pause all the time, and ends with its error if there is one.
	Digest() func(pause func() error) (uint64, error)
	// AppendResult and DecodeResult carry results between members.
	AppendResult(dst []byte, r R) []byte
	DecodeResult(b []byte) (R, error)
}

// Transport carries messages between members.
type Transport interface {
	// Send never blocks and may drop. The messages are shared and read-only.
	Send(msgs []*raftpb.Message)
	// SetPeers replaces the set of peers (id to peer URL, without this member).
	SetPeers(peers map[uint64]string)
	// Forward sends a request to a peer's HandleForward and waits for the
	// answer. sent is false when the request surely never reached the peer.
	Forward(ctx context.Context, to uint64, req []byte) (reply []byte, sent bool, err error)
	// FetchSnapshot opens what a peer's OpenSnapshot returns for index. The body
	// ends with io.EOF only when it is whole. It can be read until ctx ends, or
	// nothing has come for too long; the caller closes it.
	FetchSnapshot(ctx context.Context, from, index uint64) (io.ReadCloser, error)
}

// Storage is what a member keeps on disk. Load comes first, once; then one
// goroutine calls the methods of LogStorage, and any those of BodyStorage.
type Storage interface {
	// Load recovers what is durable. A new directory is given the identity;
	// one that belongs to another is refused. Errors wrap ErrDataDir.
	Load(Identity) (*Recovered, error)
	LogStorage
	BodyStorage
}

// LogStorage is the write-ahead log and its snapshot records. After an error
// of any method nothing is known about the disk: the caller must end the
// process and call none again.
type LogStorage interface {
	// Save appends. All saved so far is durable when it returns if there are
	// entries or the term or vote changed; a new commit index alone may wait.
	Save(hs *raftpb.HardState, ents []*raftpb.Entry) error
	// Sync makes everything saved durable.
	Sync() error
	// SaveSnapshot records a snapshot whose body is durable. installed says
	// that it came from a peer and replaces the log.
	SaveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error
	// Release gives up what only snapshots older than index need.
	Release(index uint64) error
	// Prepare does a small piece of work that makes later saves faster, if there is
	// any to be done. It is called when nobody waits for what was saved.
	Prepare()
}

// BodyStorage holds the state that belongs to snapshots, by index.
type BodyStorage interface {
	// WriteBody stores a body that ends in its own checksum (see body.go). It
	// is durable when WriteBody returns.
	WriteBody(index uint64, r io.Reader) error
	// OpenBody returns a stored body and its size in bytes. It stays readable
	// until it is closed, also when Release gives the snapshot up meanwhile.
	OpenBody(index uint64) (io.ReadSeekCloser, int64, error)
}

// Recovered is what a data directory held.
type Recovered struct {
	HardState *raftpb.HardState
	Snapshot  *raftpb.SnapshotMetadata // nil: none
	Entries   []*raftpb.Entry          // the log after the snapshot
}
