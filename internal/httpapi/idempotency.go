package httpapi

import (
	"net/http"
	"strings"

	"kvd/internal/kvstore"
)

// idempotencyKey reads the Idempotency-Key of a write; "": there is none. Two
// lines are refused: who takes the first and who takes the last would disagree
// about which request this is.
func idempotencyKey(header http.Header) (string, error) {
	lines := header["Idempotency-Key"]
	if lines == nil {
		return "", nil
	}
	if len(lines) == 1 {
		if key, ok := parseIdempotencyKey(lines[0]); ok {
			return key, nil
		}
	}
	return "", badParameter("Idempotency-Key", takesIdempotencyKey)
}

// requestsPrefix is where the idempotency keys of requests begin.
const requestsPrefix = "/v1/requests/"

const takesIdempotencyKey = "takes 1 to 128 visible ASCII characters, once, with or without double quotes around them"

// parseIdempotencyKey cuts off the quotes that may stand around a key. Within
// it there are none, so that no key has two readings.
func parseIdempotencyKey(s string) (string, bool) {
	if len(s) >= 2 && s[0] == '"' && s[len(s)-1] == '"' {
		s = s[1 : len(s)-1]
	}
	if s == "" || len(s) > kvstore.MaxIdempotencyKeyBytes {
		return "", false
	}
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == '"' {
			return "", false
		}
	}
	return s, true
}

// refuseIdempotencyKey is for writes that do not remember their results: a
// client that counts on it must not be left in the belief.
func refuseIdempotencyKey(header http.Header, why string) error {
	if header["Idempotency-Key"] != nil {
		return badParameter("Idempotency-Key", "not taken here: "+why)
	}
	return nil
}

// Why a request needs no idempotency key.
const (
	idsRepeat         = "with a member's id in it, a request can be repeated as it is, since no id is ever used again"
	repeatsHarmlessly = "this request can be repeated as it is"
)

// settle turns what became of a write into an error or nil, and tells of a
// result that is an earlier one.
func settle(header http.Header, res *kvstore.Result, err error) error {
	if err != nil {
		return err
	}
	if res.Replayed {
		header["Idempotent-Replay"] = isTrue
	}
	return resultFault(res)
}

var isTrue = []string{"true"}

// requestJSON is the answer of GET /v1/requests/{key}.
type requestJSON struct {
	State    string `json:"state"` // applied: the one that is known of
	Revision uint64 `json:"revision"`
	Status   int    `json:"status"` // that the write was answered with, or would have been
}

// getRequest serves GET of what became of a write, by its idempotency key.
func (h *Handler) getRequest(w http.ResponseWriter, r *http.Request) (int, error) {
	// Escapes are undone once, as in the path of a key.
	key, ok := strings.CutPrefix(r.URL.Path, requestsPrefix)
	if ok {
		key, ok = parseIdempotencyKey(key)
	}
	if !ok {
		return 0, badParameter("key", takesIdempotencyKey)
	}
	p, err := parseParams(r.URL.RawQuery, paramsNow)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if err := h.beforeRead(ctx, w, &p); err != nil {
		return 0, err
	}
	req, found, err := h.cfg.Store.Request(ctx, key, p.readOptions())
	if err != nil {
		return 0, p.readFault(err)
	}
	if !found {
		return 0, &fault{cause: errNotFound, detail: "no write with that key is remembered"}
	}
	writeJSON(w, r, http.StatusOK, jsonType, requestJSON{"applied", req.Result.Revision, requestStatus(&req)})
	return http.StatusOK, nil
}

// requestStatus is the status that a write is answered with, by its result
// alone. Of raftexample's PUT, which is one like any other to the store, it is
// what /v1 would have answered.
func requestStatus(req *kvstore.Request) int {
	if err := resultFault(&req.Result); err != nil {
		return problemOf(err).status
	}
	one := req.Op == kvstore.OpPut || req.Op == kvstore.OpDelete
	switch code := req.Result.Code; {
	case one && req.WantPrev:
		return http.StatusOK
	case code == kvstore.Created || code == kvstore.LeaseGranted:
		return http.StatusCreated
	case one || code == kvstore.LeaseRevoked:
		return http.StatusNoContent
	}
	return http.StatusOK
}
