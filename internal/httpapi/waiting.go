package httpapi

import (
	"net/http"

	"kvd/internal/kvstore"
)

// NewWaitingHandler returns what a member answers before it knows which cluster
// it belongs to: that it lives, and to all else that there is no leader, and
// why. hosts are as in Config.
func NewWaitingHandler(hosts []string, why string) http.Handler {
	h, allowed := &Handler{}, newHostSet(hosts)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !allowed.allows(r):
			h.fail(w, r, &fault{cause: errBadHost, detail: "this member does not answer to that name; see --allowed-hosts"})
		case r.URL.Path == "/livez" && safe(r.Method):
			writeText(w, r, http.StatusOK, "ok\n")
		default:
			h.fail(w, r, &fault{cause: kvstore.ErrNoLeader, detail: why})
		}
	})
}
