package httpapi

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// check is one condition of a health endpoint.
type check struct {
	name string
	run  func(h *Handler) error // does not block
}

// readyChecks are what /readyz asks. /livez asks nothing: the process answers,
// and whether there is a quorum is no reason to restart it.
var readyChecks = []check{
	{"serving", func(h *Handler) error {
		if h.draining.Load() {
			return errors.New("shutting down")
		}
		return nil
	}},
	{"raft", func(h *Handler) error { return h.cfg.Cluster.Ready() }},
	{"state", (*Handler).guarded},
}

// livez serves GET /livez.
func (h *Handler) livez(w http.ResponseWriter, r *http.Request) (int, error) {
	return h.health(w, r, nil)
}

// readyz serves GET /readyz.
func (h *Handler) readyz(w http.ResponseWriter, r *http.Request) (int, error) {
	return h.health(w, r, readyChecks)
}

// health answers 200 "ok" when all checks that were not excluded hold, and 503
// otherwise: a problem document, or with ?verbose one line a check.
func (h *Handler) health(w http.ResponseWriter, r *http.Request, checks []check) (int, error) {
	p, err := parseParams(r.URL.RawQuery, paramVerbose|paramExclude)
	if err != nil {
		return 0, err
	}
	for _, name := range p.exclude {
		if !slices.ContainsFunc(checks, func(c check) bool { return c.name == name }) {
			return 0, badParameter("exclude", "no check is called "+strconv.Quote(name))
		}
	}
	var lines strings.Builder
	var failed []string
	for _, c := range checks {
		if slices.Contains(p.exclude, c.name) {
			lines.WriteString("[+]" + c.name + " excluded\n")
		} else if err := c.run(h); err != nil {
			lines.WriteString("[-]" + c.name + " failed: " + err.Error() + "\n")
			failed = append(failed, c.name+": "+err.Error())
		} else {
			lines.WriteString("[+]" + c.name + " ok\n")
		}
	}
	switch {
	case len(failed) > 0 && p.verbose:
		w.Header()["Retry-After"] = retryAfter
		return writeText(w, r, http.StatusServiceUnavailable, lines.String()+"not ready\n"), nil
	case len(failed) > 0:
		return 0, &fault{cause: errNotReady, detail: strings.Join(failed, "; ")}
	case p.verbose:
		return writeText(w, r, http.StatusOK, lines.String()+"ok\n"), nil
	default:
		return writeText(w, r, http.StatusOK, "ok\n"), nil
	}
}

var (
	textType = []string{"text/plain; charset=utf-8"}
)

func writeText(w http.ResponseWriter, r *http.Request, status int, text string) int {
	header := w.Header()
	header["Content-Type"] = textType
	header["X-Content-Type-Options"] = nosniff
	header["Cache-Control"] = noStore
	header["Content-Length"] = []string{strconv.Itoa(len(text))}
	w.WriteHeader(status)
	if r.Method != http.MethodHead {
		w.Write([]byte(text))
	}
	return status
}
