package transport

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"go.uber.org/zap"
)

// Handler serves /raft/v1/ to peers. It answers 503 while Run does not run.
// The server it is mounted on bounds the size of headers and how long they may
// take; from there on, deadlines are set here.
func (t *Transport) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+pathStream, t.route(t.serveStream))
	mux.HandleFunc("POST "+pathSnapshot, t.route(t.serveSnapshot))
	mux.HandleFunc("GET "+pathSnapshot+"/{index}", t.route(t.serveFetch))
	mux.HandleFunc("GET "+pathMembers, t.route(t.serveMembers))
	// No page has any business here, neither by its origin nor by a name
	// that was made to point at this address.
	guarded := http.NewCrossOriginProtection().Handler(mux)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !t.hostAllowed(r.Host) {
			http.Error(w, "this member is not called "+quote(r.Host), http.StatusMisdirectedRequest)
			return
		}
		guarded.ServeHTTP(w, r)
	})
}

// allowedHosts are the names by which requests may call this member.
func allowedHosts(cfg Config) map[string]struct{} {
	hosts := map[string]struct{}{"localhost": {}}
	for _, h := range cfg.Hosts {
		hosts[strings.ToLower(h)] = struct{}{}
	}
	if u, err := url.Parse(cfg.PeerURL); err == nil {
		hosts[strings.ToLower(u.Hostname())] = struct{}{}
	}
	return hosts
}

func (t *Transport) hostAllowed(hostport string) bool {
	u := url.URL{Host: hostport}
	host := strings.ToLower(u.Hostname())
	if net.ParseIP(host) != nil {
		return true
	}
	_, ok := t.hosts[host]
	return ok
}

// httpError is a refusal on its way out, in one line.
type httpError struct {
	status int
	text   string
}

func (e *httpError) Error() string { return e.text }

// visit is a request that is being served while Run runs.
type visit struct {
	ctx  context.Context // ends with Run
	recv Receiver
}

// route serves a request while Run runs, and lets Run wait for it.
func (t *Transport) route(serve func(visit, http.ResponseWriter, *http.Request) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		t.introduce(w.Header())
		t.mu.Lock()
		v := visit{t.ctx, t.recv}
		if v.recv == nil {
			t.mu.Unlock()
			http.Error(w, "this member does not run", http.StatusServiceUnavailable)
			return
		}
		t.wg.Add(1)
		t.mu.Unlock()
		defer t.wg.Done()
		err := serve(v, w, r)
		if err == nil {
			return
		}
		e, ok := errors.AsType[*httpError](err)
		if !ok {
			e = &httpError{http.StatusInternalServerError, err.Error()}
		}
		if e.status == http.StatusUpgradeRequired {
			w.Header().Set("Upgrade", upgradeToken)
		}
		// What is left of the request is not worth reading.
		w.Header().Set("Connection", "close")
		http.Error(w, e.text, e.status)
	}
}

// admit checks who talks to whom. The order is that of how much each answer
// tells: only who speaks our protocol and knows our cluster hears more.
func (t *Transport) admit(v visit, r *http.Request) (*peer, error) {
	h := r.Header
	if got := h.Get(headerProtocol); got != protocolVersion {
		return nil, t.refuse(http.StatusUpgradeRequired, "protocol version "+quote(got)+", this member speaks "+protocolVersion)
	}
	if got, want := h.Get(headerCluster), formatCluster(t.cfg.ClusterID); got != want {
		if from := quote(h.Get(headerFrom)); t.warned.allow("cluster from "+from, clusterWarnInterval) {
			t.lg.Warn("refused a member of another cluster", zap.String("from", from),
				zap.String("addr", r.RemoteAddr), zap.String("cluster", quote(got)), zap.String("want", want))
		}
		return nil, t.refuse(http.StatusPreconditionFailed, textClusterMismatch+": "+quote(got)+", this member belongs to "+want)
	}
	if to, ok := parseID(h.Get(headerTo)); !ok || to != t.cfg.ID {
		return nil, t.refuse(http.StatusForbidden, "request to member "+quote(h.Get(headerTo))+", this is "+formatID(t.cfg.ID))
	}
	from, ok := parseID(h.Get(headerFrom))
	if !ok || from == t.cfg.ID {
		return nil, t.refuse(http.StatusForbidden, "request from member "+quote(h.Get(headerFrom)))
	}
	if v.recv.IsRemoved(from) {
		t.forget(from)
		return nil, t.refuse(http.StatusGone, textRemoved+": member "+formatID(from)+" was removed from the cluster")
	}
	p := (*t.peers.Load())[from]
	if p == nil {
		t.learn(from)
		return nil, t.refuse(http.StatusForbidden, "member "+formatID(from)+" is not known here yet")
	}
	return p, nil
}

func (t *Transport) refuse(status int, text string) error {
	t.refusals.Add(1)
	return &httpError{status, text}
}

// quote makes what a stranger sent fit to be sent back.
func quote(s string) string {
	s = s[:min(len(s), 32)]
	return `"` + strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' {
			return '?'
		}
		return r
	}, s) + `"`
}

// upgradeWanted says whether the request asks for our protocol.
func upgradeWanted(r *http.Request) bool {
	return r.Header.Get("Upgrade") == upgradeToken &&
		slices.ContainsFunc(strings.Split(r.Header.Get("Connection"), ","), func(s string) bool {
			return strings.EqualFold(strings.TrimSpace(s), "upgrade")
		})
}
