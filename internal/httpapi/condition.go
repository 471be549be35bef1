package httpapi

import (
	"net/http"
	"strconv"
	"strings"

	"kvd/internal/kvstore"
)

// etag is the entity tag of a revision.
func etag(revision uint64) string {
	return `"` + strconv.FormatUint(revision, 10) + `"`
}

// tags are the entity tags of a condition on a read.
type tags struct {
	any  bool // "*": whatever there is
	revs []uint64
}

func (t tags) match(revision uint64) bool {
	if t.any {
		return true
	}
	for _, rev := range t.revs {
		if rev == revision {
			return true
		}
	}
	return false
}

// bothConditions refuses what has no meaning that two readers would agree on.
var errBothConditions = &fault{cause: errBadCondition, detail: "If-Match and If-None-Match exclude each other", parameter: "If-None-Match"}

// writeCondition reads the condition of a PUT: one revision or "*" to write
// over, or "*" where nothing may be.
func writeCondition(header http.Header) (kvstore.Condition, error) {
	match, none := header["If-Match"], header["If-None-Match"]
	switch {
	case match == nil && none == nil:
		return kvstore.Condition{Kind: kvstore.Always}, nil
	case match != nil && none != nil:
		return kvstore.Condition{}, errBothConditions
	case match != nil:
		t, err := parseTags("If-Match", match)
		if err != nil {
			return kvstore.Condition{}, err
		}
		if t.any {
			return kvstore.Condition{Kind: kvstore.IfPresent}, nil
		}
		if len(t.revs) != 1 {
			return kvstore.Condition{}, &fault{cause: errBadCondition, detail: "If-Match of a write takes one entity tag", parameter: "If-Match"}
		}
		return kvstore.Condition{Kind: kvstore.IfRevision, Revision: t.revs[0]}, nil
	default:
		t, err := parseTags("If-None-Match", none)
		if err != nil {
			return kvstore.Condition{}, err
		}
		if !t.any {
			return kvstore.Condition{}, &fault{cause: errBadCondition, detail: "If-None-Match of a write takes only *", parameter: "If-None-Match"}
		}
		return kvstore.Condition{Kind: kvstore.IfAbsent}, nil
	}
}

// deleteCondition reads the condition of a DELETE. To delete only what is not
// there is nothing that could be meant.
func deleteCondition(header http.Header) (kvstore.Condition, error) {
	if header["If-None-Match"] != nil {
		if header["If-Match"] != nil {
			return kvstore.Condition{}, errBothConditions
		}
		return kvstore.Condition{}, &fault{cause: errBadCondition, detail: "DELETE takes no If-None-Match", parameter: "If-None-Match"}
	}
	return writeCondition(header)
}

// readCondition reads the conditions of a GET; each is nil when not given.
func readCondition(header http.Header) (match, none *tags, err error) {
	m, n := header["If-Match"], header["If-None-Match"]
	switch {
	case m == nil && n == nil:
		return nil, nil, nil
	case m != nil && n != nil:
		return nil, nil, errBothConditions
	case m != nil:
		match, err = parseTags("If-Match", m)
	default:
		none, err = parseTags("If-None-Match", n)
	}
	return match, none, err
}

// parseTags reads "*", or a list of entity tags over one or more lines of a
// header field. Only tags that kvd could have given are tags at all: a weak
// one, or one that is not a revision, is an error and never a mere mismatch,
// so that no typo makes a condition into another.
func parseTags(field string, lines []string) (*tags, error) {
	t := new(tags)
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			part = strings.Trim(part, " \t")
			if part == "*" && !t.any && t.revs == nil {
				t.any = true
				continue
			}
			rev, ok := parseTag(part)
			if !ok || t.any {
				return nil, &fault{cause: errBadCondition, detail: field + ` takes * or strong entity tags such as "42"`, parameter: field}
			}
			t.revs = append(t.revs, rev)
		}
	}
	return t, nil
}

// parseTag reads the one spelling of a revision's tag: no weakness, no leading
// zero, no zero.
func parseTag(s string) (uint64, bool) {
	if len(s) < 3 || s[0] != '"' || s[len(s)-1] != '"' || s[1] < '1' || s[1] > '9' {
		return 0, false
	}
	rev, err := strconv.ParseUint(s[1:len(s)-1], 10, 64)
	return rev, err == nil
}
