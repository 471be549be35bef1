package httpapi

import (
	"net/http"
	"strconv"

	"kvd/internal/kvstore"
)

// compactJSON is the body of POST /v1/compact, and the answer.
type compactJSON struct {
	Revision *uint64 `json:"revision"`
}

// compact serves POST /v1/compact. To give up what is given up already is no
// error.
func (h *Handler) compact(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	repeat, err := idempotencyKey(r.Header)
	if err != nil {
		return 0, err
	}
	var j compactJSON
	if err := readJSON(r, &j); err != nil {
		return 0, err
	}
	if j.Revision == nil || *j.Revision == 0 {
		return 0, badParameter("revision", "required, and above 0")
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	res, err := h.cfg.Store.Compact(ctx, *j.Revision, kvstore.WriteOptions{IdempotencyKey: repeat})
	if err := settle(w.Header(), &res, err); err != nil {
		return 0, err
	}
	w.Header()["Kvd-Revision"] = []string{strconv.FormatUint(res.Revision, 10)}
	writeJSON(w, r, http.StatusOK, jsonType, &j)
	return http.StatusOK, nil
}
