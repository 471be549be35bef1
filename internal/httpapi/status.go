package httpapi

import (
	"net/http"
	"runtime"
)

// statusJSON is the answer of GET /v1/status.
type statusJSON struct {
	Status
	Revision uint64 `json:"revision"` // of the store, as applied here
	Keys     int    `json:"keys"`
	Bytes    uint64 `json:"bytes"`
	Oldest   uint64 `json:"compacted_revision"` // the oldest that can be read; 0: all of them
	History  uint64 `json:"history_bytes"`
	// CanLose is how many more voters may fail with the quorum kept, as the
	// leader sees it now. Followers do not know: null.
	CanLose *int   `json:"can_lose"`
	Stale   string `json:"staleness"`
	Disk    Disk   `json:"disk"`
	// Diverged is why this member serves no keys: its state is not the others'.
	// Null: it is.
	Diverged *string `json:"diverged"`
	Draining bool    `json:"draining"`
	Version  string  `json:"version"`
	Go       string  `json:"go"`
}

// status serves GET /v1/status, which needs no quorum.
func (h *Handler) status(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, 0); err != nil {
		return 0, err
	}
	s := statusJSON{
		Status:   h.cfg.Cluster.Status(),
		Revision: h.cfg.Stats.Revision(),
		Keys:     h.cfg.Stats.Len(),
		Bytes:    h.cfg.Stats.Bytes(),
		Oldest:   h.cfg.Stats.Compacted(),
		History:  h.cfg.Stats.HistoryBytes(),
		Stale:    h.staleness(),
		Disk:     h.cfg.Guard.Disk(),
		Draining: h.draining.Load(),
		Version:  h.cfg.Version,
		Go:       runtime.Version(),
	}
	s.CanLose = canLose(&s.Status)
	if err := h.guarded(); err != nil {
		s.Diverged = new(err.Error())
	}
	s.Voters, s.Learners, s.Disk.Short = listed(s.Voters), listed(s.Learners), listed(s.Disk.Short)
	if s.Progress == nil {
		s.Progress = []Progress{}
	}
	writeJSON(w, r, http.StatusOK, jsonType, &s)
	return http.StatusOK, nil
}

// canLose counts the voters beyond the quorum that the leader hears. Nil: this
// member does not lead.
func canLose(s *Status) *int {
	if s.Leader == 0 || s.Leader != s.ID || len(s.Voters) == 0 {
		return nil
	}
	active := 1 // the leader itself
	for _, p := range s.Progress {
		if !p.Learner && p.RecentActive && p.ID != s.ID {
			active++
		}
	}
	return new(max(active-(len(s.Voters)/2+1), 0))
}

// version serves GET /version.
func (h *Handler) version(w http.ResponseWriter, r *http.Request) (int, error) {
	if _, err := parseParams(r.URL.RawQuery, 0); err != nil {
		return 0, err
	}
	writeJSON(w, r, http.StatusOK, jsonType, map[string]string{"version": h.cfg.Version, "go": runtime.Version(), "api": "v1"})
	return http.StatusOK, nil
}
