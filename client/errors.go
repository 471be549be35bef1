package client

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels for errors.Is. Each stands for one code of a member's answer, but
// for those that say otherwise.
var (
	ErrBadRequest          = errors.New("bad request") // any status 400 but future_revision
	ErrNotFound            = errors.New("not found")   // a key, lease, member, or idempotency key
	ErrPrecondition        = errors.New("precondition failed")
	ErrCompacted           = errors.New("history was compacted")
	ErrFutureRevision      = errors.New("revision is not reached yet")
	ErrNoLeader            = errors.New("no leader")
	ErrStopping            = errors.New("member is shutting down")
	ErrTooStale            = errors.New("member's state is too old")
	ErrNotReady            = errors.New("member is not ready")
	ErrOverloaded          = errors.New("too much is under way at the member")
	ErrTooLarge            = errors.New("too large") // key, value, transaction, or an answer beyond MaxAnswerBytes
	ErrNoSpace             = errors.New("no space")
	ErrIdempotencyMismatch = errors.New("idempotency key was used for another request")
	ErrUnauthorized        = errors.New("unauthorized")
	ErrForbidden           = errors.New("forbidden")
	ErrDiverged            = errors.New("state has diverged") // of a member that serves no keys, or of any of those that Verify asked

	ErrMemberExists        = errors.New("member exists")
	ErrIDRemoved           = errors.New("member id was removed")
	ErrWouldLoseQuorum     = errors.New("quorum would be lost")
	ErrConfigChangePending = errors.New("a membership change is pending")
	ErrLearnerNotReady     = errors.New("learner is not ready")

	// ErrOutcomeUnknown matches every error of a write that may have been
	// applied all the same.
	ErrOutcomeUnknown = errors.New("write outcome unknown")

	// ErrBadAnswer is an answer that no kvd gives.
	ErrBadAnswer = errors.New("unintelligible answer")
)

// codes are the sentinels of the codes in a member's answers.
var codes = map[string]error{
	"not_found":             ErrNotFound,
	"precondition_failed":   ErrPrecondition,
	"compacted":             ErrCompacted,
	"future_revision":       ErrFutureRevision,
	"no_leader":             ErrNoLeader,
	"stopping":              ErrStopping,
	"too_stale":             ErrTooStale,
	"not_ready":             ErrNotReady,
	"overloaded":            ErrOverloaded,
	"too_large":             ErrTooLarge,
	"key_too_long":          ErrTooLarge,
	"no_space":              ErrNoSpace,
	"idempotency_mismatch":  ErrIdempotencyMismatch,
	"unauthorized":          ErrUnauthorized,
	"forbidden":             ErrForbidden,
	"exists":                ErrMemberExists,
	"id_removed":            ErrIDRemoved,
	"would_lose_quorum":     ErrWouldLoseQuorum,
	"config_change_pending": ErrConfigChangePending,
	"learner_not_ready":     ErrLearnerNotReady,
	"diverged":              ErrDiverged,
}

// Outcome is what is known of a write that failed.
type Outcome string

// Outcomes. That of a read is empty.
const (
	NotApplied     Outcome = "not_applied" // certain
	OutcomeUnknown Outcome = "unknown"     // it may have been applied, or may still be
)

// Error is the failure of a call, after all its attempts. The fields tell of the
// last attempt, but for Outcome, which tells of all of them.
type Error struct {
	Method   string // of the request
	Route    string // its path, with "{key}" for the key
	Endpoint string // the member that was asked last
	Attempts int

	Status  int     // of the answer; 0: there was none, or it was cut short
	Code    string  // of the answer, such as "no_leader"; "" where no kvd answered
	Outcome Outcome // of a write

	Detail    string // for people
	Parameter string // the parameter or header field at fault
	RequestID string

	Revision        uint64        // of the store, where told
	CurrentRevision uint64        // of the key, of a condition that did not hold; 0: there is no such key
	OldestRevision  uint64        // that can still be read, where the one asked for cannot
	RetryAfter      time.Duration // what the member asked for

	Verification *Verification // what Verify found, where states differ

	// Err is why there was no answer, and the end of the context or of
	// Config.Timeout where one stopped the attempts.
	Err error
}

// Error tells everything but keys and values.
func (e *Error) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "kvd: %s %s", e.Method, e.Route)
	if e.Endpoint != "" {
		b.WriteString(" at " + e.Endpoint)
	}
	if e.Status != 0 {
		fmt.Fprintf(&b, ": %d", e.Status)
		if e.Code != "" {
			b.WriteString(" " + e.Code)
		}
	}
	if e.Detail != "" {
		b.WriteString(": " + e.Detail)
	}
	if e.Err != nil {
		b.WriteString(": " + strings.ReplaceAll(e.Err.Error(), "\n", "; "))
	}
	switch e.Outcome {
	case NotApplied:
		b.WriteString(" (not applied)")
	case OutcomeUnknown:
		b.WriteString(" (outcome unknown)")
	}
	if e.Attempts > 1 {
		fmt.Fprintf(&b, " after %d attempts", e.Attempts)
	}
	return b.String()
}

// Is matches the sentinels of this package.
func (e *Error) Is(target error) bool {
	switch target {
	case ErrOutcomeUnknown:
		return e.Outcome == OutcomeUnknown
	case ErrBadRequest:
		return e.Status == 400 && e.Code != "future_revision"
	}
	sentinel, ok := codes[e.Code]
	return ok && sentinel == target
}

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }

// CompactedError ends a watch that cannot go on without a gap: the events that
// follow its last revision are gone. Who wants to go on reads the state anew, and
// watches from the revision of that reading.
type CompactedError struct {
	Since  uint64 // the revision from which there is no going on
	Oldest uint64 // the oldest that is still there; 0: not told
	Err    error  // the member's answer, where it was one
}

func (e *CompactedError) Error() string {
	return fmt.Sprintf("kvd: watch after revision %d: history was compacted, the oldest revision is %d", e.Since, e.Oldest)
}

// Is matches ErrCompacted.
func (e *CompactedError) Is(target error) bool { return target == ErrCompacted }

// Unwrap returns Err.
func (e *CompactedError) Unwrap() error { return e.Err }
