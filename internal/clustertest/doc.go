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
// The package owns the goroutines of the members it starts, one a member for
// its Run, and those of messages under way; Cluster.Close joins them all.
package clustertest
