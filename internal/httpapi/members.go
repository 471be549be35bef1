package httpapi

import "net/http"

// listMembers serves GET /v1/members.
func (h *Handler) listMembers(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramTimeout)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	members, err := h.cfg.Cluster.Members(ctx)
	if err != nil {
		return 0, readFault(err)
	}
	if members == nil {
		members = []Member{}
	}
	writeJSON(w, r, http.StatusOK, jsonType, members)
	return http.StatusOK, nil
}

// newMemberJSON is the body of POST /v1/members.
type newMemberJSON struct {
	ID          *uint64 `json:"id"`
	Name        string  `json:"name"`
	PeerURL     string  `json:"peer_url"`
	ClientURL   string  `json:"client_url"`
	Role        Role    `json:"role"`
	AutoPromote *bool   `json:"auto_promote"`
}

// member checks what needs no knowledge of the cluster.
func (j *newMemberJSON) member() (NewMember, error) {
	m := NewMember{Name: j.Name, PeerURL: j.PeerURL, ClientURL: j.ClientURL, AutoPromote: true}
	switch {
	case j.ID != nil && *j.ID == 0:
		return m, badParameter("id", "a member's id is above 0; leave it out to have one chosen")
	case j.PeerURL == "":
		return m, badParameter("peer_url", "required")
	case j.Role != "" && j.Role != RoleLearner:
		return m, badParameter("role", "a new member enters as a learner; auto_promote makes it a voter when it has caught up")
	}
	if j.ID != nil {
		m.ID = *j.ID
	}
	if j.AutoPromote != nil {
		m.AutoPromote = *j.AutoPromote
	}
	return m, nil
}

// addMember serves POST /v1/members.
func (h *Handler) addMember(w http.ResponseWriter, r *http.Request) (int, error) {
	p, err := changeParams(r, 0)
	if err != nil {
		return 0, err
	}
	var j newMemberJSON
	if err := readJSON(r, &j); err != nil {
		return 0, err
	}
	m, err := j.member()
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if p.dryRun() {
		return h.plan(ctx, w, r, Change{Kind: ChangeAdd, Member: m})
	}
	added, err := h.cfg.Cluster.AddMember(ctx, m)
	if err != nil {
		return 0, err
	}
	writeJSON(w, r, http.StatusCreated, jsonType, added)
	return http.StatusCreated, nil
}

// removeMember serves DELETE /v1/members/{id}.
func (h *Handler) removeMember(w http.ResponseWriter, r *http.Request) (int, error) {
	id, err := memberFromURL(r, "")
	if err != nil {
		return 0, err
	}
	p, err := changeParams(r, paramForce)
	if err != nil {
		return 0, err
	}
	ctx, cancel := h.context(w, r, p.timeout)
	defer cancel()
	if p.dryRun() {
		return h.plan(ctx, w, r, Change{Kind: ChangeRemove, ID: id, Force: p.force})
	}
	if err := h.cfg.Cluster.RemoveMember(ctx, id, p.force); err != nil {
		return 0, err
	}
	w.WriteHeader(http.StatusNoContent)
	return http.StatusNoContent, nil
}
