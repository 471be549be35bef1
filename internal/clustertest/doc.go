// Package clustertest runs whole clusters in one process, in virtual time, for
// tests: real nodes and real state machines on a network and on disks that
// misbehave on purpose.
//
// Everything happens inside a testing/synctest bubble: a minute of the cluster
// takes a fraction of a second, and no test waits for a clock. The network
// (Network) delays, reorders, drops, duplicates and cuts, per directed link.
// A disk (Disk) forgets at a crash whatever was not synced, or part of it. A test
// can decide about single messages (Filter) and single moments of a disk's work
// (Op), and kill a member there.
//
// While a Cluster runs it checks what must always hold: one leader a term,
// equal state at equal index, every applied entry on the disks of a majority,
// no vote and no entry acknowledged before it is on the member's own disk. A
// violation fails the test, with the seed. A member's state can be altered
// behind its back (Member.Flip, Member.Forget); from then on it counts no more,
// until the member has another.
//
// # The simulation
//
// TestSimulation runs clusters of one, three and five founders for about a minute
// of virtual time each: 45 s of faults, then recovery. Clients speak HTTP to the real
// handlers, which are called without sockets: registers under conditions and
// idempotency keys, transactions that move money, leases and TTLs, listings in pages
// and of old revisions, stale reads, long polls, watches that go on where they were on
// another member. An operator adds, promotes, replaces, removes and moves members,
// hands leadership on, takes snapshots and compacts. A nemesis does all that a Network
// and a Disk can, crashes, shuts down and pauses processes (Member.Pause), flips bits,
// and lets clocks drift and stand still.
//
// What the first member to apply a revision has made of it is the committed history
// (truth); all that clients were told is held against it afterwards (claims): each
// acknowledged write is there, each refused one is not, none was applied twice, each
// read saw what was there at its revision, no answer came from before what others had
// been told, watches missed and repeated nothing, nothing expired early, and porcupine
// finds the registers linearizable. After healing, a leader takes a write within five
// of the longest election timeouts, each member takes one, and within 30 s all have the
// same state in memory, by their own verification.
//
// A seed fixes the cluster, its settings, what nemesis, operator and clients intend,
// and the fate of the n-th message of each link. It does not fix which of two things
// comes first that fall on the same nanosecond, or which ready case a select takes: the
// runtime draws these, and from there on two runs with one seed differ. So a failure
// may need some replays until it shows again; the trace of a run, with a digest of all
// its events, says whether two runs were the same.
//
// What it leaves out: the bytes of a disk (raftnode's own tests have them) and of a
// connection (transport's); of what was not synced a crash keeps a beginning and not
// any subset, since the log's records are chained by their checksums and the rest of a
// torn log is not read; a paused follower goes on ticking until it wants to send
// something; and the faults are in the cluster's own network, while clients' requests
// are only delayed or lost.
//
// The package owns the goroutines of the members it starts, one a member for
// its Run, and those of messages under way; Cluster.Close joins them all.
package clustertest
