package httpapi

import (
	"context"
	"net/http"
	"strings"
)

// promoteEnd is what follows the id in the path of a promotion.
const promoteEnd = "/promote"

// memberFromURL reads the id between the members' path and end.
func memberFromURL(r *http.Request, end string) (uint64, error) {
	id, ok := memberID(strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, membersPrefix), end))
	if !ok {
		return 0, badParameter("id", "a member's id is a number above 0")
	}
	return id, nil
}

// changeParams reads what every change of the membership has in its query, and
// what else is allowed.
func changeParams(r *http.Request, more paramSet) (params, error) {
	if err := refuseIdempotencyKey(r.Header, idsRepeat); err != nil {
		return params{}, err
	}
	return parseParams(r.URL.RawQuery, paramDryRun|paramTimeout|more)
}

// promoteMember serves POST /v1/members/{id}/promote.
func (h *Handler) promoteMember(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := memberFromURL(r, promoteEnd)
	if err != nil {
		return 0, err
	}
	p, err := changeParams(r, 0)
	if err != nil {
		return 0, err
	}
	return h.changeMember(w, r, &p, Change{Kind: ChangePromote, ID: id}, func(ctx context.Context) (Member, error) {
		return h.cfg.Membership.PromoteMember(ctx, id)
	})
}

// updateMember serves PATCH /v1/members/{id}.
func (h *Handler) updateMember(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := memberFromURL(r, "")
	if err != nil {
		return 0, err
	}
	p, err := changeParams(r, 0)
	if err != nil {
		return 0, err
	}
	var u MemberUpdate
	if err := readJSON(r, &u); err != nil {
		return 0, err
	}
	switch {
	case u == MemberUpdate{}:
		return 0, badParameter("body", "takes at least one of name, peer_url, client_url and auto_promote")
	case u.PeerURL != nil && *u.PeerURL == "":
		return 0, badParameter("peer_url", "a member cannot be without one")
	}
	return h.changeMember(w, r, &p, Change{Kind: ChangeUpdate, ID: id, Update: u}, func(ctx context.Context) (Member, error) {
		return h.cfg.Membership.UpdateMember(ctx, id, u)
	})
}

// changeMember makes a change of one member, or tells what it would do.
func (h *Handler) changeMember(w http.ResponseWriter, r *http.Request, p *params, c Change, change func(context.Context) (Member, error)) (int, error) {
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if p.dryRun() {
		return h.plan(ctx, w, r, c)
	}
	m, err := change(ctx)
	if err != nil {
		return 0, err
	}
	writeJSON(w, r, http.StatusOK, jsonType, m)
	return http.StatusOK, nil
}

// replaceJSON is the body of POST /v1/members/replace.
type replaceJSON struct {
	Remove uint64         `json:"remove"`
	Add    *replacingJSON `json:"add"`
}

// replacingJSON is a new member that is to take the place of another: what
// becomes of it is not its to say.
type replacingJSON struct {
	ID        *uint64 `json:"id"`
	Name      string  `json:"name"`
	PeerURL   string  `json:"peer_url"`
	ClientURL string  `json:"client_url"`
}

// replaceMember serves POST /v1/members/replace. An answer of 202 says that the
// newcomer is there and has not caught up in the time of this request.
func (h *Handler) replaceMember(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := changeParams(r, 0)
	if err != nil {
		return 0, err
	}
	var j replaceJSON
	if err := readJSON(r, &j); err != nil {
		return 0, err
	}
	switch {
	case j.Remove == 0:
		return 0, badParameter("remove", "required: the id of the member to be removed")
	case j.Add == nil:
		return 0, badParameter("add", "required: the member that takes its place")
	}
	add, err := (&newMemberJSON{ID: j.Add.ID, Name: j.Add.Name, PeerURL: j.Add.PeerURL, ClientURL: j.Add.ClientURL}).member()
	if err == nil && add.ID == j.Remove {
		err = badParameter("id", "a member cannot take its own place")
	}
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if p.dryRun() {
		return h.plan(ctx, w, r, Change{Kind: ChangeReplace, ID: j.Remove, Member: add})
	}
	m, done, err := h.cfg.Membership.ReplaceMember(ctx, j.Remove, add)
	if err != nil {
		return 0, err
	}
	status := http.StatusOK
	if !done {
		status = http.StatusAccepted
	}
	writeJSON(w, r, status, jsonType, m)
	return status, nil
}
