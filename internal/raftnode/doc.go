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
//	guard     the comparison of states, and the way out of one that differs
//	scan      one frozen state while it is hashed; at most one at a time
//	health    tells the leader how this member's disk is, and hears of the others'
//
// They pass work through mailboxes (queue) that swap whole slices under a
// mutex: a bounded pair of channels between loop and wal would deadlock. The
// bounds come from raft's own limits and from the limits on waiting proposals.
//
// # One write
//
//  1. Propose puts the command into the loop's mailbox and waits.
//  2. The loop joins all that wait into one raft entry (see entry.go) as soon
//     as fewer than Config.MaxBatchesInFlight entries are uncommitted, and
//     many clients that were just answered have sent again (gather.go). On a
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
// One is taken when the log has grown enough, or when somebody asks (TakeSnapshot);
// what there is no room for is put off, since the log needs the room more.
//
// # One directory
//
// A Disk refuses a directory that holds less than its watermark says was
// durable: fewer entries, other ones, or a forgotten vote. Nothing is repaired
// but the torn end of a write that nobody was told of, and nothing is changed
// before it is clear that the member can start. The error (Unusable) tells what
// is known, for others to say what to do.
//
// Without a node, and without changing what they read: Examine describes a
// directory, OpenLog reads its committed log, ReadSnapshot a snapshot file;
// Restore makes a directory of a snapshot file, and a Recovery one of what is
// left of a lost cluster. Both make a new cluster, under a random id, with a
// single voter, under another name first (newdir.go). They follow the membership
// through the log as apply would (roster.go).
//
// # One membership change
//
//  1. The leader judges it by the membership it has applied, by who has
//     answered of late, and by how far learners have come (judge.go). A dry run
//     ends here (plan.go).
//  2. It is proposed with the id of an entry in its context. raft turns one that
//     it refuses into an empty entry without a word; one that is not placed in
//     the log at once was refused.
//  3. apply judges it once more, by the membership alone, so that every member
//     comes to the same end; only then do transport and raft hear of it.
//
// A newcomer is always a learner first, and becomes a voter when it keeps up
// with the log (promote.go), in its own right or, by one joint change, in the
// place of another (replace.go). A member is a tombstone from the moment when
// it is in neither half of the configuration: its id is refused for ever.
//
// # One comparison of states
//
//  1. Every Config.VerifyEvery, whether anything is written or not, the leader
//     proposes a check. Who asks for one (Verify) does the same.
//  2. apply, on each member, freezes the state in O(1) at the check; scan hashes
//     all that is really in memory, at a fifth of a processor at most, and
//     compares it with the hash kept as the state changed. Damage is found here
//     without anybody else, and so it is when a snapshot is written.
//  3. Each member reports to the leader, until there is a verdict: a new leader
//     hears of it again.
//  4. The leader proposes the verdict when all have reported, or all that answer
//     have and an election timeout has passed, or two thirds of VerifyEvery, or
//     twice the time that its own scan took if that is longer; and a new leader not
//     before an election timeout, which the others need to tell it. What it has found
//     itself is always in it.
//     The majority of the voters that reported is right, without one the leader;
//     without a hash of the leader's what most voters have. Unless most of the
//     voters have reported, and one of them a hash, nobody is wrong. It is an entry,
//     so that all hear of it, and a member that starts later too.
//
// A member that differs says so (Diverged, Ready): it must not serve. It gives up
// leadership, answers no forwarded commands, takes no snapshots and offers none. A
// leader that finds nobody to take over goes on with comparisons: one in which the
// member is like the others ends all this, so that sound members that were taken for
// wrong, most of them even, serve again by themselves.
//
//  5. It asks the leader for its state, and the leader proposes an entry for that.
//  6. At this entry the leader freezes its state and writes it to a file; the
//     member, at the same entry, waits with all that follows, fetches the file,
//     and restores it. Its log, term and vote were never in doubt: loop and wal go
//     on meanwhile, and writes need not wait for it.
//  7. wal records it as a snapshot and at once gives up those before it, with the
//     log before it: they may lead to the wrong state.
//
// If that fails the member goes on, differing, and asks again. One that is alone
// has nobody to ask; started again, it builds its state anew from disk.
//
// # A disk in trouble
//
// An error of the log ends the member. Before it comes to that: a member whose disk
// is short of room says so (SetDiskShort), and all learn it through the leader
// (health.go), for their users to stop writing. And one whose disk does not answer
// for an election timeout (diskstall.go) hands leadership on, stands for no election
// and takes none, until it answers.
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
// unless Config asks for them (an isolated leader serves stale ones), wal.ReadAll
// as the source of the log (it brings back truncated entries, etcd issue 22442;
// see replay.go), retries of a failed fsync, and snapshots inside raft messages.
package raftnode
