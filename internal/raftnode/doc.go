// Package raftnode runs one member of a raft group: it orders opaque commands,
// makes them durable, and applies them to a StateMachine. It knows what a
// command is worth to raft (bytes, an order, an outcome) and never what a
// command means.
//
// A Node drives raft.RawNode itself, with asynchronous storage writes, from
// these goroutines, each the only owner of what stands beside it:
//
//	loop      the RawNode, the open batch of commands, the open round of reads
//	wal       the write-ahead log, and every write to raft's MemoryStorage
//	apply     the write side of the state machine, the applied index, the membership
//	snapshot  one frozen view while it is written to disk; at most one at a time
//	publish   tells the group this member's name and addresses, then ends
//
// They pass work through mailboxes (queue) that swap whole slices under a
// mutex: a bounded pair of channels between loop and wal would deadlock. The
// bounds come from raft's own limits and from the limits on waiting proposals.
//
// # One write
//
//  1. Propose puts the command into the loop's mailbox and waits.
//  2. The loop joins all that wait into one raft entry (see entry.go) as soon
//     as fewer than Config.MaxBatchesInFlight entries are uncommitted. On a
//     follower the commands go to the leader in one request instead, and come
//     back as results (forward.go); they never take a second hop.
//  3. wal saves all that is queued with one fsync, then appends to
//     MemoryStorage, then delivers the responses raft attached, in order.
//     Were MemoryStorage or a response first, a crash could forget an entry
//     that this member has already acknowledged.
//  4. apply runs the entry and hands every waiter its own result.
//
// # One snapshot
//
//  1. apply freezes the state in O(1) and goes on applying.
//  2. snapshot streams the view into a file that ends in a length and a
//     checksum (body.go), and syncs file and directory.
//  3. wal records it, in this order: .snap file, directory, WAL record, sync,
//     MemoryStorage, compaction, release of WAL segments up to the snapshot
//     *before* this one, purge. A record without its file would leave a WAL
//     that cannot be opened; a release without the sync, a log that ends
//     before its commit index (etcd issue 10219).
//
// # Outcomes
//
// A proposal ends in its result, or in an error that says whether the command
// was certainly not applied (ErrNoLeader, ErrOverloaded, ErrStopped) or may
// have been (ErrOutcomeUnknown). Another entry applied at the index of a batch
// proves that the batch is lost; a snapshot that passes over it proves nothing.
//
// What this package refuses: raft's proposal forwarding (it loses proposals
// without a word, and only the leader can stamp the log's clock), lease reads
// (an isolated leader serves stale ones), wal.ReadAll as the source of the log
// (it brings back truncated entries, etcd issue 22442; see replay.go), retries
// of a failed fsync, and snapshots inside raft messages.
package raftnode
