package httpapi

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"kvd/internal/kvstore"
)

// Errors of requests. Handlers return them plain, or as the cause of a fault
// that says more.
var (
	errBadKey           = errors.New("bad key")
	errKeyTooLong       = errors.New("key too long")
	errBadParameter     = errors.New("bad parameter")
	errBadCondition     = errors.New("bad condition")
	errBadJSON          = errors.New("bad JSON")
	errBadBody          = errors.New("bad body")
	errBodyTimeout      = errors.New("body timeout")
	errTooLarge         = errors.New("too large")
	errNotFound         = errors.New("not found")
	errMethodNotAllowed = errors.New("method not allowed")
	errPrecondition     = errors.New("precondition failed")
	errTooManyWatches   = errors.New("too many watches")
	errCrossOrigin      = errors.New("cross origin")
	errBadHost          = errors.New("bad host")
	errTooStale         = errors.New("too stale")
	errNotReady         = errors.New("not ready")
	errMismatch         = errors.New("idempotency key reused")
	errTooMuch          = errors.New("too large, though read to its end")
	errTooManyListings  = errors.New("too many listings")
	errStatesDiffer     = errors.New("states differ")
	errBadRange         = errors.New("bad range")
	errInternal         = errors.New("internal")
)

// Outcomes of a write that failed.
const (
	notApplied = "not_applied" // certain
	unknown    = "unknown"
)

// A problem is one kind of answer to a request that failed.
type problem struct {
	cause   error
	status  int
	code    string // also the last element of the type, with dashes
	title   string
	outcome string // told for writes
	retry   bool   // worth trying again: Retry-After
	final   bool   // the connection cannot be used on: Connection: close
}

// problems is the one table from errors to answers. The first match wins; the
// ones that come by the thousand stand first.
var problems = []problem{
	{errNotFound, 404, "not_found", "Not found", notApplied, false, false},
	{errPrecondition, 412, "precondition_failed", "Precondition failed", notApplied, false, false},
	{kvstore.ErrOverloaded, 429, "overloaded", "Too many requests are waiting", notApplied, true, false},
	{kvstore.ErrNoLeader, 503, "no_leader", "No leader", notApplied, true, false},
	{kvstore.ErrStopping, 503, "stopping", "This member is shutting down", notApplied, true, false},
	{kvstore.ErrOutcomeUnknown, 504, "outcome_unknown", "Write outcome unknown", unknown, false, false},
	// A Log that gives up without a sentinel has said nothing about the write.
	{context.DeadlineExceeded, 504, "outcome_unknown", "Write outcome unknown", unknown, false, false},
	{context.Canceled, 504, "outcome_unknown", "Write outcome unknown", unknown, false, false},

	{errBadKey, 400, "bad_key", "Bad key", notApplied, false, false},
	{kvstore.ErrCompacted, 410, "compacted", "History was compacted", notApplied, false, false},
	{kvstore.ErrFutureRevision, 400, "future_revision", "Revision is not reached yet", notApplied, false, false},
	{errTooManyWatches, 429, "overloaded", "Too many watches", notApplied, true, false},
	{errTooStale, 503, "too_stale", "This member's state is too old", notApplied, true, false},
	{errKeyTooLong, 414, "key_too_long", "Key too long", notApplied, false, false},
	{errBadParameter, 400, "bad_parameter", "Bad parameter", notApplied, false, false},
	{errBadCondition, 400, "bad_condition", "Bad condition", notApplied, false, false},
	{errBadJSON, 400, "bad_json", "Bad JSON", notApplied, false, false},
	{errBadBody, 400, "bad_body", "The body ended early or is malformed", notApplied, false, true},
	{errBodyTimeout, 408, "body_timeout", "The body took too long", notApplied, false, true},
	{errTooLarge, 413, "too_large", "Too large", notApplied, false, true},
	{errTooMuch, 413, "too_large", "Too large", notApplied, false, false},
	{kvstore.ErrBadTxn, 400, "bad_txn", "Bad transaction", notApplied, false, false},
	{kvstore.ErrNoSpace, 507, "no_space", "No room for more data", notApplied, false, false},
	{errMismatch, 422, "idempotency_mismatch", "Idempotency key used for another request", notApplied, false, false},
	{errTooManyListings, 429, "overloaded", "Too many listings are being read", notApplied, true, false},
	{errMethodNotAllowed, 405, "method_not_allowed", "Method not allowed", notApplied, false, false},
	{errCrossOrigin, 403, "cross_origin", "Cross-origin request refused", notApplied, false, false},
	{errBadHost, 421, "bad_host", "Host is not a name of this member", notApplied, false, false},
	{errNotReady, 503, "not_ready", "Not ready", notApplied, true, false},

	{ErrMemberExists, 409, "exists", "Member exists", notApplied, false, false},
	{ErrIDRemoved, 409, "id_removed", "Member id was removed", notApplied, false, false},
	{ErrNoSuchMember, 404, "not_found", "No such member", notApplied, false, false},
	{ErrWouldLoseQuorum, 409, "would_lose_quorum", "The quorum would be lost", notApplied, false, false},
	{ErrConfigChangePending, 409, "config_change_pending", "A membership change is pending", notApplied, false, false},
	{ErrBadMember, 400, "bad_parameter", "Bad member", notApplied, false, false},
	{ErrLearnerNotReady, 409, "learner_not_ready", "The learner has not caught up", notApplied, false, false},
	{ErrNotVoter, 400, "bad_parameter", "Not a voter", notApplied, false, false},
	{ErrNoSnapshot, 404, "not_found", "No snapshot", notApplied, false, false},
	{ErrDiverged, 503, "diverged", "State has diverged", notApplied, true, false},
	{errStatesDiffer, 409, "diverged", "State has diverged", "", false, false},
	{errBadRange, 416, "bad_range", "No such range", notApplied, false, false},
}

// internalProblem answers for what the table does not know. What became of a
// write then is not known either.
var internalProblem = problem{errInternal, 500, "internal", "Internal error", unknown, false, false}

func problemOf(err error) *problem {
	for i := range problems {
		if errors.Is(err, problems[i].cause) {
			return &problems[i]
		}
	}
	return &internalProblem
}

// A fault is an error of the table with what this request has to say about it.
type fault struct {
	cause       error
	detail      string
	parameter   string // the query parameter or header field at fault
	allow       string // Allow, for 405
	etag        uint64 // current revision of the key; 0: none
	revision    uint64 // of the store; told when hasRevision
	hasRevision bool
	applied     string // outcome, where it is better known than the table says

	verification *verificationJSON // what was found, for states that differ
}

func (f *fault) Error() string { return f.cause.Error() + ": " + f.detail }
func (f *fault) Unwrap() error { return f.cause }

// document is the body of a problem (RFC 9457), members in the contract's order.
type document struct {
	Type      string `json:"type"`
	Title     string `json:"title"`
	Status    int    `json:"status"`
	Code      string `json:"code"`
	Outcome   string `json:"outcome,omitempty"`
	Detail    string `json:"detail,omitempty"`
	Parameter string `json:"parameter,omitempty"`
	// OldestRevision is the first that can still be read, where the one asked
	// for cannot.
	OldestRevision uint64 `json:"oldest_revision,omitempty"`
	RequestID      string `json:"request_id"`

	*verificationJSON // nil: none of its members
}

var (
	problemType = []string{"application/problem+json"}
	noStore     = []string{"no-store"}
	closing     = []string{"close"}
	retryAfter  = []string{"1"}
)

const (
	problemTypes = "/problems/"
	lingerTime   = time.Second // between an answer and the end of a connection that cannot be used on
)

// fail answers with the problem that err stands for and returns its status. The
// outcome is told to whoever meant to change something, even where no route was
// found for it.
func (h *Handler) fail(w http.ResponseWriter, r *http.Request, err error) int {
	write := !safe(r.Method)
	p := problemOf(err)
	doc := document{
		Type:      problemTypes + strings.ReplaceAll(p.code, "_", "-"),
		Title:     p.title,
		Status:    p.status,
		Code:      p.code,
		RequestID: rand.Text(),
	}
	if write {
		doc.Outcome = p.outcome
	}
	header := w.Header()
	if f, ok := errors.AsType[*fault](err); ok {
		doc.Detail, doc.Parameter, doc.verificationJSON = f.detail, f.parameter, f.verification
		if write && f.applied != "" {
			doc.Outcome = f.applied
		}
		if f.allow != "" {
			header["Allow"] = []string{f.allow}
		}
		if f.etag != 0 {
			header["Etag"] = []string{etag(f.etag)}
		}
		if f.hasRevision {
			header["Kvd-Revision"] = []string{strconv.FormatUint(f.revision, 10)}
		}
	} else if p != &internalProblem {
		doc.Detail = err.Error()
	}
	if gone, ok := errors.AsType[*kvstore.CompactedError](err); ok {
		doc.OldestRevision = gone.Oldest
	}
	if p.status == http.StatusInternalServerError && h.cfg.ErrorLog != nil {
		// The path may be somebody's key: only the route's kind is told.
		h.cfg.ErrorLog.Printf("request %s: %s: %v", doc.RequestID, r.Method, err)
	}
	if p.retry {
		header["Retry-After"] = retryAfter
	}
	if p.final {
		header["Connection"] = closing
		// What is left of the body is read for a moment, since to close over
		// unread bytes would reset the connection and take the answer along;
		// but only for a moment. A ResponseWriter without deadlines has no
		// connection to close either.
		_ = http.NewResponseController(w).SetReadDeadline(time.Now().Add(lingerTime))
	}
	// Some of these statuses may be cached by default, and none of them should.
	header["Cache-Control"] = noStore
	writeJSON(w, r, p.status, problemType, &doc)
	return p.status
}

// safe tells whether a method is one that never changes anything (RFC 9110,
// section 9.2.1).
func safe(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return true
	}
	return false
}

// writeJSON answers with v as JSON.
func writeJSON(w http.ResponseWriter, r *http.Request, status int, contentType []string, v any) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false) // nosniff and the type do that work
	if err := enc.Encode(v); err != nil {
		// Only types of this package come here, and all of them encode.
		panic("httpapi: encode answer: " + err.Error())
	}
	header := w.Header()
	header["Content-Type"] = contentType
	header["X-Content-Type-Options"] = nosniff
	header["Content-Length"] = []string{strconv.Itoa(b.Len())}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write(b.Bytes()) // an error is the client's loss, and it knows
	}
}
