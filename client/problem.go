package client

import (
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// problem reads an answer that is an error. Only a problem document in kvd's
// form is taken at its word: anything else comes from somebody in between, who
// does not know what became of a write.
func (q *call) problem(res *http.Response, body []byte) *Error {
	e := q.failure(nil)
	e.Status = res.StatusCode
	e.Revision = headerUint(res.Header, "Kvd-Revision")
	e.CurrentRevision = parseETag(res.Header.Get("ETag"))
	e.RetryAfter = parseRetryAfter(res.Header.Get("Retry-After"))
	var doc struct {
		Code           string  `json:"code"`
		Outcome        Outcome `json:"outcome"`
		Detail         string  `json:"detail"`
		Parameter      string  `json:"parameter"`
		OldestRevision uint64  `json:"oldest_revision"`
		RequestID      string  `json:"request_id"`

		verificationJSON
	}
	if mediaType(res.Header) != "application/problem+json" || json.Unmarshal(body, &doc) != nil {
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
func mediaType(h http.Header) string {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return strings.ToLower(strings.TrimSpace(media))
}

// headerUint reads a header field that is a number; 0: there is none.
func headerUint(h http.Header, name string) uint64 {
	n, err := strconv.ParseUint(h.Get(name), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseETag reads a revision's entity tag; 0: it is none.
func parseETag(s string) uint64 {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' {
		return 0
	}
	n, err := strconv.ParseUint(s[1:len(s)-1], 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// maxRetryAfter bounds what a member may ask us to wait.
const maxRetryAfter = 10 * time.Second

// parseRetryAfter reads the seconds of a Retry-After.
func parseRetryAfter(s string) time.Duration {
	n, err := strconv.ParseUint(s, 10, 32)
	if err != nil {
		return 0
	}
	return min(time.Duration(n)*time.Second, maxRetryAfter)
}
