// Package check judges a run: whether what clients and watchers were told (a
// history.History) can be true of the one sequence of changes that the members'
// logs tell of (a Replay).
//
// Each check is a function from the record of a run to a Result: how much it
// judged, what it could not judge, and a Violation for each answer that cannot
// be explained. A check starts no goroutine, but Linearizable, and changes
// nothing that it is given.
//
//	Linearizable  each key alone: its operations could have happened one after
//	              another, each between its beginning and its end
//	Order         all keys together: revisions do not contradict the clock
//	Writes        every acknowledged write is in the log at the revision that was
//	              answered, once; nothing else is there
//	Reads         reads, listings and stale reads show the state of their revision
//	Idempotency   a key is applied once, and all its answers are the same
//	Transactions  conditions, all or nothing, results
//	Increments    counters count every increment once
//	Watches       the nine guarantees of the API
//	Leases        nothing ends early, and nothing stays for long
//	Hashes        members have the same state, and it is the one of the log
//
// # The log
//
// The logs come from "kvd debug dump-log --json", one dump a stopped member.
// Merge compares them and puts them together; NewReplay applies them once more,
// to a model of the store that is written from the API's description, shares no
// code with kvd, and is as simple as it can be. Where it comes to another result
// than the dump, that is a violation like any other: kvd applied a command wrongly.
// Read the first of these first: from there on the model's state is another one, and
// most of what the other checks find follows from it.
//
// # Linearizability
//
// The checker, porcupine, needs memory and time that grow without bound with
// some histories. So it runs in a child process (Child) with a limit of both, and
// to exceed one counts as a violation: an unknown result is no result. Keys that
// transactions, prefixes, leases or TTLs touch are left to the other checks.
package check
