package httpapi

import (
	"net/http"
	"strconv"

	"kvd/internal/kvstore"
)

// deletedJSON is the answer to the deletion of many keys.
type deletedJSON struct {
	Deleted  uint64 `json:"deleted"`
	Revision uint64 `json:"revision"`
}

// deleteKeys serves DELETE of all keys that begin with a prefix.
func (h *Handler) deleteKeys(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramsDelete)
	if err != nil {
		return 0, err
	}
	m := p.of()
	switch {
	case m.prefix == nil:
		return 0, badParameter("prefix", "required")
	case len(m.prefix) == 0 && !m.confirmed && !m.dryRun:
		return 0, badParameter("confirm", "an empty prefix deletes every key: that takes confirm=all")
	}
	for _, field := range []string{"If-Match", "If-None-Match"} {
		if r.Header[field] != nil {
			return 0, &fault{cause: errBadCondition, detail: "the deletion of many keys takes no condition", parameter: field}
		}
	}
	repeat, err := idempotencyKey(r.Header)
	if err != nil {
		return 0, err
	}

	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	var answer deletedJSON
	if m.dryRun {
		v, err := h.view(ctx, w, &p)
		if err != nil {
			return 0, err
		}
		answer.Revision = v.Revision()
		for range v.Ascend(m.prefix, kvstore.PrefixEnd(m.prefix)) {
			answer.Deleted++
		}
	} else {
		res, err := h.cfg.Store.DeleteRange(ctx, m.prefix, kvstore.PrefixEnd(m.prefix), kvstore.WriteOptions{IdempotencyKey: repeat})
		if err := settle(w.Header(), &res, err); err != nil {
			return 0, err
		}
		answer = deletedJSON{Deleted: res.Deleted, Revision: res.Revision}
	}
	w.Header()["Kvd-Revision"] = []string{strconv.FormatUint(answer.Revision, 10)}
	writeJSON(w, r, http.StatusOK, jsonType, &answer)
	return http.StatusOK, nil
}
