// Package transport carries raft messages, snapshot bodies and forwarded
// requests between the members of a kvd cluster, over HTTP.
//
// It decides nothing about raft. What it promises to the member behind it: it
// never blocks the sender, it never hands on a message that it has not
// checked (see checkMessage: several forged ones make the raft library
// panic), and it reports every loss, so that raft never waits for something
// that will not come. What it never does: dial an address that a stranger
// named, take memory because a length field says so, or retry a message.
//
// # Connections
//
// The member that has something to say dials. For each peer it keeps three
// connections, each an HTTP/1.1 request that was upgraded and then belongs to
// the two ends alone:
//
//   - append: every MsgApp. Empty ones too, although they are small and bring
//     a commit index: one that overtook the entries before it would be
//     rejected, and a rejection sends the leader's view of that follower back
//     to probing. While entries are stuck, a newer commit index would be of
//     no use to their receiver anyway.
//   - control: all other messages, so that a heartbeat or a vote never waits
//     behind a megabyte of entries.
//   - forward: requests and their replies, any number at a time.
//
// A frame is a length, a CRC-32C and a body (frame.go); an empty one is a
// keepalive. Both ends of every connection send keepalives and give up after
// IdleTimeout without a byte, so a link that swallows packets is noticed on
// both sides. A snapshot travels in a request of its own (POST
// /raft/v1/snapshot) and is written to disk as it comes. A member can also
// fetch one that it knows of otherwise (GET /raft/v1/snapshot/INDEX). Both leave
// no faster than Config.SnapshotSendBytesPerSecond, all together.
//
// # Goroutines
//
//   - Per peer, one for each of the three connections: it dials, writes what
//     those who had it could not write at once (sender.go), and dials again.
//     While connected it has one helper that owns the read side.
//   - Per peer, at most one that sends a snapshot.
//   - Per accepted connection, the HTTP handler's, which owns the read side,
//     and one helper that sends keepalives; for a forward connection also
//     one per request in progress, bounded by MaxForwards, which writes its
//     reply itself if that needs no waiting.
//   - At most one that asks peers who an unknown dialer is, and where one is that
//     cannot be reached.
//
// Run waits for all of them, the handlers included.
package transport
