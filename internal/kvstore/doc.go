// Package kvstore is the store that kvd replicates: keys, values, revisions, and
// what they were before.
//
// It owns the deterministic state of one member (Machine), the formats of its
// commands, results and snapshots, and the reads and writes as users of the
// store see them (DB). It knows neither raft nor HTTP: commands go out through a
// Log, and come back through Apply in the order that the log gave them.
//
// # Determinism
//
// All members apply the same commands and must hold the same state after each
// entry, to the last bit. So Apply uses no wall clock, no randomness, no order
// of a map, no configuration, no I/O, and it does not log: what it needs of the
// world, such as the time, is in the entry. A test holds the source to that.
// Conditions are judged in Apply, where all members judge the same state. Bytes
// that are no command are a result like any other (BadCommand); a command of a
// version to come is an error, with nothing of its entry applied, and the member
// stops.
//
// Hash, a running hash of the state, lets members find out that they differ. It
// covers all versions, how far they are compacted, the leases, and the requests
// that are remembered. Digest hashes anew what is in memory, which shows damage
// that came about without Apply: a million keys of 32 bytes with values of 128
// take 0.9 s (AMD EPYC, shared with other work), the freeze before less than 1 µs.
// A snapshot is summed up as it is written, too, so that none is made of what is
// damaged.
//
// # Transactions
//
// A Txn compares, and then reads and writes in one revision, or does nothing.
// Its operations see what those before them wrote, and write a key once at most.
// What it answers with is bounded; only one that could pass the bound is applied
// to a copy of the state first, which costs nothing but what it changes.
//
// # Leases and TTLs
//
// A key can have a TTL of its own or be attached to a lease, which others share.
// Either has a deadline on the log's clock, which goes on across changes of the
// leader and restarts. Nothing ends by itself: the leader asks NextExpiry and gives
// an Expire when it is due, so that all members delete the same keys in the same
// revision. Until that is applied the keys are there, but the lease is for nobody
// any more: it cannot be kept alive, attached to or revoked. A tombstone tells an
// expiry from a delete.
//
// # Idempotency
//
// A write that has an idempotency key is remembered with its result, in the state
// and in snapshots, so that it can be made again, through any member, when its
// outcome is unknown. What had no effect and may have one later, a BadCommand or a
// TooLarge, is not remembered.
//
// # Quota
//
// QuotaBytes is a member's own and judged before a write is proposed; Apply knows
// nothing of it. What makes the store smaller always goes on.
//
// # History
//
// Each version of a key points to the one before, and the tree to the newest. A
// delete is a version too, a tombstone. So the store can be read as it was at any
// revision since the last compaction: of each key the first version in its chain
// that is not newer.
//
// Compact is a command like any other, so that all members forget the same. Who
// gives it decides how much, and CompactionDue tells a leader by the number, the
// age and the size of what there is. A log of the changes in the order of their
// revisions says which keys it concerns; no other is touched. Versions never
// change: a chain is cut by putting a shorter copy of it into the tree, and views
// keep what they have. A long chain of small versions is not copied each time:
// what is forgotten stays behind it, unseen and not counted, until there is about as
// much of it as of the rest.
//
// # Watches
//
// A Watcher is a position in the log of changes, no queue: it copies some pointers
// out of the log, judges them outside the lock, and is as slow as it likes. When
// compaction has passed it, it ends with a *CompactedError; it never leaves out
// anything. Its position is a revision and, inside of one, a key. So it goes on over
// an installed snapshot, whose items are others, if that reaches back far enough.
//
// Changes of one revision are in the order of their keys. The last one that a
// watcher gets says so; for that, a change is returned only when the next one that
// the watcher gets is known, or that the revision has no more.
//
// A watcher that has returned all there was sits in an index by its keys and
// prefixes, which says of each revision whom it concerns. Who is called leaves the
// index and comes back when there is nothing more: a busy watcher costs Apply
// nothing, and one that sits there knows by that alone that nothing happened, even
// if the history of it is gone. Beside 10,000 waiting watchers of other keys and of
// prefixes of one length, a put takes about 1 % longer (BenchmarkWatchIndex); each
// further length that prefixes have is one more lookup.
//
// # Goroutines
//
// The package starts none. One goroutine, its caller's, calls Apply, Snapshot,
// Digest and Restore and owns the state. Any number may read (Get, Revision, Len, Bytes,
// Clock, Hash, CompactionDue, NextExpiry, and DB), and one more may write each
// snapshot, or make each digest: it reads a frozen view, which no later change touches; so does the
// reader of a View.
// A read waits at most for the entry that is being applied, never for a snapshot
// being written or restored, and with MinRevision for the revision asked for.
//
// # Memory
//
// An item is immutable: a rewrite makes a new one, so that a reader may keep what
// it was given and a view stays what it was. Its key and value lie in one buffer
// that is a copy of its own; a small value never keeps the entry alive that
// it came in. With keys of 32 and values of 128 bytes, a million of them take 241
// bytes of heap each, 160 of which are the data (236 after a restore). A version
// that was superseded takes as much, and each change 16 bytes more until it is
// compacted: 260 bytes a key, when all million are such changes. A TTL takes 178
// bytes more with such keys, a lease 127 a key, and a request that is remembered 240
// beside its key and result.
//
// # The tree
//
// The items are in a B+tree of our own, whose nodes are copied before they change
// if a view may see them. Leases, deadlines and requests are in such trees too, as
// small items: that gives them an order, and snapshots that cost nothing. The tree
// was chosen by measuring, with 1,000,000 keys of 32 bytes (a common beginning and a
// number) and values of 128, put in and read in random order; in nanoseconds, and
// for the index in bytes a key beside the item:
//
//	                               insert    get    set   set after a copy   index
//	tidwall/btree 1.8.2, Map         2685   3392   4312               4471      36
//	tidwall/btree 1.8.2, BTreeG      3962   5716   6854               6780      13
//	google/btree 1.1.3, BTreeG       4237   5870   6354               5878      13
//	this one                         2931   1656   2365               2566      17
//	Go's map, which has no order      581    566   1275                  -      55
//
// All hold pointers to the same items, and the maps' keys share the items'
// buffers; GOGC=400; the copies took less than 0.2 µs. Each figure is the lowest
// of four to nine runs on a machine shared with other work (AMD EPYC, 2 cores,
// Go 1.26.8, 2026-11-23), on which some runs took three or four times as long.
//
// What makes the difference is waiting for memory. A binary search over a million
// keys that lie somewhere else reads some twenty of them, and most are in no
// cache. This tree reads one, seldom two: inner nodes are searched by eight bytes
// of each separator that lie side by side, and leaves by one byte of each key's
// hash.
package kvstore
