package client

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is a whole answer.
type answer struct {
	status int
	fields
	body []byte // never nil
}

// fields are what this package uses of an answer's header. A number that is
// none, or is not there, is 0.
type fields struct {
	contentType string
	etag        uint64        // ETag, where it is a revision's
	revision    uint64        // Kvd-Revision
	deleted     uint64        // Kvd-Deleted
	staleness   time.Duration // Kvd-Staleness; negative: there is no telling
	retryAfter  time.Duration // Retry-After
	replayed    bool          // Idempotent-Replay

	taken uint8 // which of them, by bit
}

// fieldsOf reads them from a header of net/http's.
func fieldsOf(h http.Header) fields {
	var f fields
	for name, values := range h {
		if len(values) > 0 {
			f.take([]byte(strings.ToLower(name)), []byte(values[0]))
		}
	}
	return f
}

// take reads a field, whose name is in lower case. Of those that come twice, the
// first counts, as with http.Header.Get. It keeps neither name nor value.
func (f *fields) take(name, value []byte) {
	first := func(bit uint8) bool {
		is := f.taken&bit == 0
		f.taken |= bit
		return is
	}
	switch string(name) {
	case "content-type":
		if first(1) {
			f.contentType = typeText(value)
		}
	case "etag":
		if first(2) {
			f.etag = parseETag(value)
		}
	case "kvd-revision":
		if first(4) {
			f.revision = parseUint(value)
		}
	case "kvd-deleted":
		if first(8) {
			f.deleted = parseUint(value)
		}
	case "kvd-staleness":
		if first(16) {
			f.staleness = parseStaleness(string(value))
		}
	case "retry-after":
		if first(32) {
			f.retryAfter = parseRetryAfter(string(value))
		}
	case "idempotent-replay":
		if first(64) {
			f.replayed = string(value) == "true"
		}
	}
}

// typeText is a Content-Type as a string, which costs nothing for those that come
// with most answers.
func typeText(b []byte) string {
	switch string(b) {
	case "application/octet-stream":
		return "application/octet-stream"
	case "application/json":
		return "application/json"
	}
	return string(b)
}

// parseUint reads a number; 0: it is none.
func parseUint(b []byte) uint64 {
	n, err := strconv.ParseUint(string(b), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// parseETag reads a revision's entity tag; 0: it is none.
func parseETag(b []byte) uint64 {
	if len(b) < 3 || b[0] != '"' || b[len(b)-1] != '"' {
		return 0
	}
	return parseUint(b[1 : len(b)-1])
}

func parseStaleness(s string) time.Duration {
	if s == "" {
		return 0
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		return -1
	}
	return d
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
