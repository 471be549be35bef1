package load

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"kvd/test/chaos/history"
)

// problem is the part of an error's document that tells what happened.
type problem struct {
	Code    string `json:"code"`
	Outcome string `json:"outcome"`
}

// judge says what an answer means for the outcome, and what all answers have in
// common.
func (c *client) judge(o *history.Op, q request, r *answer) {
	o.Outcome = history.OK
	o.Replayed = r.header.Get("Idempotent-Replay") == "true"
	if text := r.header.Get("Kvd-Revision"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			c.surprise(q, r, "Kvd-Revision is %q", text)
		}
		o.Revision = n
	}
	if r.status < 300 || r.status == http.StatusNotModified {
		return
	}
	var p problem
	if err := json.Unmarshal(r.body, &p); err != nil {
		c.surprise(q, r, "it is no problem document: %v", err)
	}
	o.Code = p.Code
	o.Outcome = history.Unknown
	if p.Outcome == "not_applied" || !isWrite(o.Kind) {
		o.Outcome = history.Failed
	} else if p.Outcome != "unknown" {
		c.surprise(q, r, "it says the outcome %q", p.Outcome)
	}
	switch {
	case r.status == http.StatusNotFound && p.Code == "not_found",
		r.status == http.StatusPreconditionFailed && p.Code == "precondition_failed":
		if isWrite(o.Kind) && p.Outcome != "not_applied" {
			c.surprise(q, r, "it says the outcome %q", p.Outcome)
		}
		o.Outcome = history.OK
	case !isWrite(o.Kind) && (r.status == http.StatusGone && p.Code == "compacted" || r.status == http.StatusBadRequest && p.Code == "future_revision"):
		o.Outcome = history.OK // of the state of the store, too
	case r.status == http.StatusServiceUnavailable && (p.Code == "no_leader" || p.Code == "stopping" || p.Code == "too_stale"),
		r.status == http.StatusTooManyRequests && p.Code == "overloaded",
		r.status == http.StatusGatewayTimeout,
		r.status == http.StatusInsufficientStorage && p.Code == "no_space":
	default:
		c.surprise(q, r, "it was not expected")
	}
}

func (c *client) surprise(q request, r *answer, format string, args ...any) {
	c.l.tally.surprise("%s %s by %s: %d %.300s: %s", q.method, q.path, c.to.Name, r.status, strings.TrimSpace(string(r.body)), fmt.Sprintf(format, args...))
}

// etag is the revision of the key that an answer tells; 0: none.
func (r *answer) etag() uint64 {
	text, err := strconv.Unquote(r.header.Get("ETag"))
	if err != nil {
		return 0
	}
	n, _ := strconv.ParseUint(text, 10, 64)
	return n
}

// itemJSON is a key as answers show it.
type itemJSON struct {
	Key            string  `json:"key"`
	Value          *string `json:"value"`
	ModRevision    uint64  `json:"mod_revision"`
	CreateRevision uint64  `json:"create_revision"`
	Version        uint64  `json:"version"`
	Lease          string  `json:"lease"`
}

func (j *itemJSON) item() history.Item {
	i := history.Item{Key: j.Key, ModRevision: j.ModRevision, CreateRevision: j.CreateRevision, Version: j.Version, Lease: j.Lease}
	if j.Value == nil {
		i.NoValue = true
	} else {
		i.Value = history.Short([]byte(*j.Value))
	}
	return i
}

func items(js []itemJSON) (all []history.Item) {
	for i := range js {
		all = append(all, js[i].item())
	}
	return all
}

// decode reads the body of an answer of success.
func (c *client) decode(q request, r *answer, into any) bool {
	if err := json.Unmarshal(r.body, into); err != nil {
		c.surprise(q, r, "%v", err)
		return false
	}
	return true
}
