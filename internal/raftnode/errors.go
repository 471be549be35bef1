package raftnode

import "errors"

// Outcomes of Propose, ReadBarrier and membership changes. The first three
// say that a command was certainly not applied.
var (
	// ErrNoLeader: no leader took the request before its deadline.
	ErrNoLeader = errors.New("no leader")
	// ErrOverloaded: too much is waiting to be proposed.
	ErrOverloaded = errors.New("too many proposals waiting")
	// ErrStopped: the node is stopping or has stopped.
	ErrStopped = errors.New("node stopped")
	// ErrOutcomeUnknown: the command was proposed, and whether it was or
	// will be applied is not known here.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Ends of Run and Open.
var (
	// ErrRemoved: this member was removed from the group. Its data directory
	// is of no further use.
	ErrRemoved = errors.New("member was removed from the cluster")
	// ErrDataDir: the data directory cannot be used as it is.
	ErrDataDir = errors.New("data directory unusable")
	// ErrNewerVersion: the log holds something only a newer version understands.
	ErrNewerVersion = errors.New("written by a newer version: upgrade this member")
)

// Refusals of membership changes.
var (
	// ErrBadMember: an id, URL or name is not usable.
	ErrBadMember = errors.New("bad member")
	// ErrMemberExists: the id or the peer URL belongs to a member.
	ErrMemberExists = errors.New("member exists")
	// ErrIDRemoved: the id belonged to a removed member; ids are used once.
	ErrIDRemoved = errors.New("member id was removed and is never used again")
	// ErrNoSuchMember: no member has this id.
	ErrNoSuchMember = errors.New("no such member")
	// ErrWouldLoseQuorum: the voters left that answer would be no majority.
	ErrWouldLoseQuorum = errors.New("removal would lose quorum")
	// ErrConfigChangePending: another change has not been applied yet.
	ErrConfigChangePending = errors.New("another membership change is pending")
)

// errNotLeader fails what arrived by a hop at a member that does not lead.
var errNotLeader = errors.New("not the leader")
