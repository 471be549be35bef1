package transport

import "errors"

// Errors of Forward; all but ErrRemote and ErrLost come with sent=false.
var (
	// ErrUnknownPeer: the member has no address here.
	ErrUnknownPeer = errors.New("unknown peer")
	// ErrUnreachable: there is no connection to the peer.
	ErrUnreachable = errors.New("peer unreachable")
	// ErrRefused: the peer did not hand the request to its member.
	ErrRefused = errors.New("peer refused the request")
	// ErrTooLarge: the request does not fit into a frame.
	ErrTooLarge = errors.New("request too large")
	// ErrOverloaded: too much waits to be written to the peer.
	ErrOverloaded = errors.New("too many requests waiting")
	// ErrRemote: the peer's handler failed. The text is the handler's.
	ErrRemote = errors.New("peer failed")
	// ErrLost: the connection was lost before the reply came. It comes with
	// sent=false if nothing of the request had been written.
	ErrLost = errors.New("connection lost")
)

// Ends of Run, and of a body given to ReceiveSnapshot.
var (
	// ErrAlreadyRun: a Transport runs once.
	ErrAlreadyRun = errors.New("transport was run before")
	// ErrSnapshotBody: length or checksum of a snapshot body are not what
	// its sender announced.
	ErrSnapshotBody = errors.New("snapshot body damaged")
)

// errSnapshotStalled cancels the sending of a snapshot that does not move.
var errSnapshotStalled = errors.New("snapshot stalled")
