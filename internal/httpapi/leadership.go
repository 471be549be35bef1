package httpapi

import (
	"context"
	"errors"
	"net/http"

	"kvd/internal/kvstore"
)

// ErrNotVoter is the answer to a request that needs a voter and names another
// member, or none.
var ErrNotVoter = errors.New("not a voter")

// Leadership tells who leads, and hands it on.
type Leadership interface {
	// Leader is the leader as this member knows it, at once. False: none is
	// known.
	Leader() (Leader, bool)
	// TransferLeadership makes a voter the leader and blocks until it leads; 0
	// leaves the choice to the leader. ErrNotVoter: it cannot lead, and nothing
	// was changed. kvstore.ErrNoLeader and ctx's end: it has not taken over in
	// time, and may still.
	TransferLeadership(ctx context.Context, to uint64) (Leader, error)
}

// Leader is the member that leads.
type Leader struct {
	ID        uint64 `json:"id"`
	Term      uint64 `json:"term"`
	ClientURL string `json:"client_url"` // "": not known
}

// transferJSON is the body of POST /v1/leader, which may be left out.
type transferJSON struct {
	To *uint64 `json:"to"`
}

// leader serves GET /v1/leader, which needs no quorum.
func (h *Handler) leader(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, 0); err != nil {
		return 0, err
	}
	l, known := h.cfg.Leadership.Leader()
	if !known {
		return 0, &fault{cause: kvstore.ErrNoLeader, detail: "this member knows of none"}
	}
	writeJSON(w, r, http.StatusOK, jsonType, l)
	return http.StatusOK, nil
}

// transferLeadership serves POST /v1/leader.
func (h *Handler) transferLeadership(w http.ResponseWriter, r *http.Request) (int, error) {
	if err := refuseIdempotencyKey(r.Header, repeatsHarmlessly); err != nil {
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
	var j transferJSON
	if len(body) > 0 {
		if err := decodeJSON(body, &j); err != nil {
			return 0, err
		}
	}
	to := uint64(0)
	if j.To != nil {
		if to = *j.To; to == 0 {
			return 0, badParameter("to", "a member's id is above 0; leave it out to have one chosen")
		}
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	l, err := h.cfg.Leadership.TransferLeadership(ctx, to)
	if outOfTime(err) || errors.Is(err, kvstore.ErrNoLeader) || errors.Is(err, kvstore.ErrOutcomeUnknown) {
		return 0, &fault{cause: kvstore.ErrNoLeader, detail: "leadership was not taken over in time: " + err.Error(), applied: unknown}
	}
	if err != nil {
		return 0, err
	}
	writeJSON(w, r, http.StatusOK, jsonType, l)
	return http.StatusOK, nil
}
