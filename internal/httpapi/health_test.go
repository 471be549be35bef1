package httpapi

import (
	"errors"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

func TestHealth(t *testing.T) {
	f := newFixture(t)
	f.want(200, "ok\n", "GET", "/livez", "")
	f.want(200, "ok\n", "GET", "/readyz", "")
	f.want(200, "", "HEAD", "/readyz", "")
	f.want(200, "[+]serving ok\n[+]raft ok\n[+]state ok\nok\n", "GET", "/readyz?verbose", "")

	f.cluster.set(func(c *fakeCluster) { c.ready = errors.New("no leader is known") })
	f.want(200, "ok\n", "GET", "/livez?verbose=true", "")
	doc := f.wantProblem(503, "not_ready", "", "GET", "/readyz", "")
	if doc.Detail != "raft: no leader is known" {
		t.Errorf("got detail %q", doc.Detail)
	}
	resp := f.want(503, "[+]serving ok\n[-]raft failed: no leader is known\n[+]state ok\nnot ready\n", "GET", "/readyz?verbose", "")
	wantHeader(t, resp, map[string]string{"Retry-After": "1"})
	f.want(200, "ok\n", "GET", "/readyz?exclude=raft", "")
	f.want(200, "[+]serving ok\n[+]raft excluded\n[+]state ok\nok\n", "GET", "/readyz?exclude=raft&verbose", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/readyz?exclude=rafts", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/livez?exclude=raft", "")
	f.wantProblem(400, "bad_parameter", "", "GET", "/readyz?verbos", "")
}

func TestDrain(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	f.do("PUT", "/v1/kv/k", "v")
	f.h.Drain()
	f.h.Drain()
	for _, w := range []struct{ method, path string }{
		{"PUT", "/v1/kv/k"}, {"DELETE", "/v1/kv/k"}, {"POST", "/v1/members"}, {"DELETE", "/v1/members/3"}, {"PUT", "/k"}, {"POST", "/4"}, {"DELETE", "/3"},
	} {
		f.wantProblem(503, "stopping", notApplied, w.method, w.path, "v")
	}
	if f.log.proposals() != 1 || f.cluster.added != nil || f.cluster.removed != nil {
		t.Error("something was written while draining")
	}
	f.want(200, "v", "GET", "/v1/kv/k", "")
	f.want(200, "v", "GET", "/k", "")
	f.want(200, "", "GET", "/v1/members", "")
	f.want(200, "ok\n", "GET", "/livez", "")
	f.wantProblem(503, "not_ready", "", "GET", "/readyz", "")
	if body := readAll(t, f.do("GET", "/metrics", "")); !strings.Contains(body, "kvd_http_draining 1") {
		t.Error("metrics do not tell")
	}
	// A log that stops on its own says the same.
	g := newFixture(t)
	g.log.set(func(l *directLog) { l.err, l.readErr = kvstore.ErrStopping, kvstore.ErrStopping })
	g.wantProblem(503, "stopping", notApplied, "PUT", "/v1/kv/k", "v")
	g.wantProblem(503, "stopping", "", "GET", "/v1/kv/k", "")
}
