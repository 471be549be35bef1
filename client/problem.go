package client

import (
	"encoding/json"
	"net/http"
	"strings"
)

// problem reads an answer that is an error. Only a problem document in kvd's
// form is taken at its word: anything else comes from somebody in between, who
// does not know what became of a write.
func (q *call) problem(a *answer) *Error {
	e := q.failure(nil)
	e.Status = a.status
	e.Revision = a.revision
	e.CurrentRevision = a.etag
	e.RetryAfter = a.retryAfter
	var doc struct {
		Code           string  `json:"code"`
		Outcome        Outcome `json:"outcome"`
		Detail         string  `json:"detail"`
		Parameter      string  `json:"parameter"`
		OldestRevision uint64  `json:"oldest_revision"`
		RequestID      string  `json:"request_id"`

		verificationJSON
	}
	if mediaType(a.contentType) != "application/problem+json" || json.Unmarshal(a.body, &doc) != nil {
		e.Detail = "not an answer of kvd's"
		return e
	}
	e.Code, e.Detail, e.Parameter = doc.Code, doc.Detail, doc.Parameter
	e.OldestRevision, e.RequestID = doc.OldestRevision, doc.RequestID
	if len(doc.Diverged) > 0 {
		e.Verification = doc.verification()
	}
	if q.kind != reading && doc.Outcome == NotApplied {
		e.Outcome = NotApplied
	}
	return e
}

// mediaType is the Content-Type without its parameters.
func mediaType(contentType string) string {
	media, _, _ := strings.Cut(contentType, ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// headerUint reads a header field that is a number; 0: there is none.
func headerUint(h http.Header, name string) uint64 { return parseUint([]byte(h.Get(name))) }
