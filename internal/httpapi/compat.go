package httpapi

import (
	"net/http"
	"strconv"
	"strings"
)

// raftexample's routes: keys at the root, and members by a number where a key
// would stand. They differ from /v1 only in what they answer.

func (h *Handler) compatGet(w http.ResponseWriter, r *http.Request) (int, error) {
	return h.get(w, r, "/")
}

// compatPut answers 204 whether the key was there or not, as raftexample did,
// but after the commit.
func (h *Handler) compatPut(w http.ResponseWriter, r *http.Request) (int, error) {
	res, p, err := h.put(w, r, "/")
	if err != nil {
		return 0, err
	}
	keyHeader(w.Header(), res.ModRevision, res.Revision, -1)
	if p.prev {
		writeJSON(w, r, http.StatusOK, jsonType, newPrevJSON(&res))
		return http.StatusOK, nil
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// compatAdd adds the member that the path numbers, with the body as its peer
// URL.
func (h *Handler) compatAdd(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := compatID(r, "POST adds a member by its number, as POST /v1/members does; a key is written with PUT /v1/kv/{key}")
	if err != nil {
		return 0, err
	}
	if err := refuseIdempotencyKey(r.Header, idsRepeat); err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	body, err := readBody(r, maxDocumentBytes, nil)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	m := NewMember{ID: id, PeerURL: strings.TrimSpace(string(body)), AutoPromote: true}
	if _, err := h.cfg.Cluster.AddMember(ctx, m); err != nil {
		return 0, err
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// compatRemove removes the member that the path numbers.
func (h *Handler) compatRemove(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := compatID(r, "DELETE removes a member by its number, as DELETE /v1/members/{id} does; a key is deleted with DELETE /v1/kv/{key}")
	if err != nil {
		return 0, err
	}
	if err := refuseIdempotencyKey(r.Header, idsRepeat); err != nil {
		return 0, err
	}
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if err := h.cfg.Cluster.RemoveMember(ctx, id, false); err != nil {
		return 0, err
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}

// compatID is the number that the whole path must be.
func compatID(r *http.Request, otherwise string) (uint64, error) {
	id, ok := memberID(strings.TrimPrefix(r.URL.Path, "/"))
	if !ok {
		return 0, &fault{cause: errBadParameter, detail: otherwise, parameter: "id"}
	}
	return id, nil
}

// memberID reads the one spelling of a member's id: decimal, no sign, no
// leading zero, not 0.
func memberID(s string) (uint64, bool) {
	if s == "" || s[0] < '1' || s[0] > '9' {
		return 0, false
	}
	id, err := strconv.ParseUint(s, 10, 64)
	return id, err == nil
}
