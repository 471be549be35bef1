// Package cluster runs the members of a kvd cluster as real processes that can
// be hurt: each at a place of its own, with an address, a network namespace and
// a small file system, where root and the tools are there for it.
//
// A place outlives the members that live there. Clients reach a member from
// inside its own namespace, so that no cut between members cuts them off.
// What a member deletes of its log and its snapshots, Keep holds on to, for the checks.
// Everything that a Cluster makes, Close takes away; what a killed run left
// behind, the next run's Sweep takes away.
//
// Goroutines: one for each process, which waits for its end.
package cluster
