// Package fault hurts a cluster in the ways in which machines, networks, disks
// and operators do: each Kind says how, shows that it happened, and undoes it.
//
// A fault that was not shown to have happened proves nothing: every kind
// gathers evidence of its own, such as the counter of a firewall rule, the state
// of a process, the log of strace, or the list of members. What a member must do
// when it is hurt, such as to end with a certain exit code, is checked here, too;
// what clients may see is not.
//
// Goroutines: those of a Proxy, which Close waits for. A Nemesis deals the kinds
// out and belongs to one goroutine.
package fault
