// Package replica puts the parts of one member together: a raft node, the store
// that it feeds, the API that serves it, and what watches over them.
//
// It owns the seams between packages that do not know each other. kvstore asks
// for a Log and httpapi for views of the cluster; the node is both, behind
// adapters that also give its errors the names that the packages above know. What
// the leader does on its own is here too: history is kept within its bounds
// (Retention), leases end in time (Expiry), and writes stop before the disk is
// full (DiskSpace).
//
// It never listens, connects or opens a file: the storage comes from its caller,
// and so do the transport that the node runs on and the server that calls the
// API. So cmd/kvd and the simulation in clustertest run the same member, one on
// a machine and one in virtual time.
//
// The package starts no goroutine. Its caller runs the node and the three
// watchers.
package replica
