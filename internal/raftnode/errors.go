package raftnode

import "errors"

// Outcomes of Propose, ReadBarrier and membership changes. The first three
// say that a command was certainly not applied.
var (
	// ErrNoLeader: no leader took the request before its deadline.
	ErrNoLeader = errors.New("no leader")
	// ErrOverloaded: too much is waiting to be proposed, or too many to read.
	ErrOverloaded = errors.New("too many requests waiting")
	// ErrStopped: the node is stopping or has stopped.
	ErrStopped = errors.New("node stopped")
	// ErrOutcomeUnknown: the command was proposed, and whether it was or
	// will be applied is not known here.
	ErrOutcomeUnknown = errors.New("outcome unknown")
)

// Errors of snapshots on demand.
var (
	// ErrNoSnapshot: this member has none yet.
	ErrNoSnapshot = errors.New("no snapshot yet")
	// ErrDiskFull: what is left on the disk is needed by the log.
	ErrDiskFull = errors.New("no room on the disk for a snapshot")
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
	// ErrNotVoter: the member has no vote, so it cannot lead or be replaced.
	ErrNotVoter = errors.New("member is not a voter")
	// ErrLearnerNotReady: the learner is too far behind to become a voter.
	ErrLearnerNotReady = errors.New("learner has not caught up")
	// ErrConfigChangePending: another change has not been applied yet.
	ErrConfigChangePending = errors.New("another membership change is pending")
)

// ErrDiverged: this member's state is not that of the others. It must not serve
// until it has been given theirs.
var ErrDiverged = errors.New("the state of this member differs from that of the cluster")

// errNotLeader fails what arrived by a hop at a member that does not lead.
var errNotLeader = errors.New("not the leader")

// errUnsettled: the leader is so new that it cannot tell yet who answers.
var errUnsettled = errors.New("the leader has not heard of all voters yet")

// errWithdrawn: the caller's time ended before the loop came to the request.
var errWithdrawn = errors.New("withdrawn in time")
