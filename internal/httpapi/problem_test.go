package httpapi

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// TestEveryProblem makes each row of the table happen, and fails for a row that
// nothing here brings about.
func TestEveryProblem(t *testing.T) {
	seen := make(map[string]bool)
	request := func(f *fixture, status int, code, outcome, method, target, send string, headers ...string) {
		t.Helper()
		f.wantProblem(status, code, outcome, method, target, send, headers...)
		seen[code] = true
	}
	f := newFixture(t, func(c *Config) { c.MaxValueBytes = 10 })
	request(f, 400, "bad_key", notApplied, "PUT", "/v1/kv/", "")
	request(f, 414, "key_too_long", "", "GET", "/v1/kv/"+strings.Repeat("k", 4097), "")
	request(f, 400, "bad_parameter", "", "GET", "/v1/kv/k?x", "")
	request(f, 400, "bad_condition", "", "GET", "/v1/kv/k", "", "If-Match: x")
	request(f, 400, "bad_json", notApplied, "POST", "/v1/members", "")
	request(f, 404, "not_found", "", "GET", "/v1/kv/k", "")
	request(f, 405, "method_not_allowed", notApplied, "POST", "/v1/kv/k", "")
	request(f, 412, "precondition_failed", notApplied, "PUT", "/v1/kv/k", "v", "If-Match: *")
	request(f, 413, "too_large", notApplied, "PUT", "/v1/kv/k", "12345678901")
	request(f, 403, "cross_origin", notApplied, "PUT", "/v1/kv/k", "", "Origin: http://evil.example")
	request(f, 421, "bad_host", "", "GET", "/v1/kv/k", "", "Host: evil.example")
	request(f, 400, "bad_txn", notApplied, "POST", "/v1/txn", "{")
	f.do("PUT", "/v1/kv/k", "1")
	f.do("PUT", "/v1/kv/k", "2", "Idempotency-Key: 1")
	request(f, 422, "idempotency_mismatch", notApplied, "PUT", "/v1/kv/k", "3", "Idempotency-Key: 1")
	request(f, 400, "future_revision", "", "GET", "/v1/kv/k?revision=3", "")
	f.want(200, "", "POST", "/v1/compact", `{"revision":2}`)
	request(f, 410, "compacted", "", "GET", "/v1/kv/k?revision=1", "")
	f.cluster.set(func(c *fakeCluster) { c.silent = true })
	request(f, 503, "too_stale", "", "GET", "/v1/kv/k?consistency=stale&max_stale=1h", "")
	// On the wire: TestBrokenBodies, TestSlowBody.
	seen["bad_body"], seen["body_timeout"] = true, true

	for _, tt := range []struct {
		err           error
		status        int
		code, outcome string
	}{
		{kvstore.ErrOverloaded, 429, "overloaded", notApplied},
		{kvstore.ErrNoLeader, 503, "no_leader", notApplied},
		{kvstore.ErrNoSpace, 507, "no_space", notApplied},
		{kvstore.ErrStopping, 503, "stopping", notApplied},
		{kvstore.ErrOutcomeUnknown, 504, "outcome_unknown", unknown},
		{errors.New("something else"), 500, "internal", unknown},
	} {
		f.log.set(func(l *directLog) { l.err, l.readErr = fmt.Errorf("log: %w", tt.err), fmt.Errorf("log: %w", tt.err) })
		request(f, tt.status, tt.code, tt.outcome, "PUT", "/v1/kv/k", "v")
		f.wantProblem(tt.status, tt.code, tt.outcome, "DELETE", "/v1/kv/k", "")
		if tt.err != kvstore.ErrOutcomeUnknown {
			doc := f.wantProblem(tt.status, tt.code, "", "GET", "/v1/kv/k", "")
			if strings.Contains(strings.ToLower(doc.Title), "writ") {
				t.Errorf("%v: a read is told %q", tt.err, doc.Title)
			}
		}
	}
	f.cluster.set(func(c *fakeCluster) { c.ready = errors.New("not yet") })
	request(f, 503, "not_ready", "", "GET", "/readyz", "")
	for _, err := range []error{ErrMemberExists, ErrIDRemoved, ErrWouldLoseQuorum, ErrConfigChangePending} {
		f.cluster.set(func(c *fakeCluster) { c.err = err })
		request(f, 409, problemOf(err).code, notApplied, "DELETE", "/v1/members/3", "")
	}

	f.admin.set(func(a *fakeAdmin) { a.err = ErrLearnerNotReady })
	request(f, 409, "learner_not_ready", notApplied, "POST", "/v1/members/3/promote", "")
	f.admin.set(func(a *fakeAdmin) { a.err, a.file = nil, []byte("x") })
	request(f, 416, "bad_range", "", "GET", "/v1/snapshots/latest", "", "Range: bytes=1-")
	f.admin.set(func(a *fakeAdmin) { a.serving = ErrDiverged })
	request(f, 503, "diverged", notApplied, "PUT", "/v1/kv/k", "v")

	for _, p := range problems {
		if !seen[p.code] {
			t.Errorf("nothing brings about %s", p.code)
		}
		if p.retry != (p.status == 429 || p.status == 503) {
			t.Errorf("%s: %d with retry %v", p.code, p.status, p.retry)
		}
	}
}

// Our own faults are logged with the id that the client got, and not told.
func TestInternalErrorsAreNotTold(t *testing.T) {
	f := newFixture(t)
	f.log.set(func(l *directLog) { l.err = errors.New("secret plan") })
	doc := f.wantProblem(500, "internal", unknown, "PUT", "/v1/kv/secret-key", "v")
	if doc.Detail != "" {
		t.Errorf("told %q", doc.Detail)
	}
	logged := f.errors.String()
	if !strings.Contains(logged, doc.RequestID) || !strings.Contains(logged, "secret plan") || strings.Contains(logged, "secret-key") {
		t.Errorf("logged %q", logged)
	}
	// What is somebody else's fault is not logged.
	f.errors.Reset()
	f.log.set(func(l *directLog) { l.err = kvstore.ErrNoLeader })
	f.do("PUT", "/v1/kv/k", "v")
	f.do("GET", "/v1/kv/none", "")
	if f.errors.Len() != 0 {
		t.Errorf("logged %q", f.errors)
	}
}

func TestProblemsAreNotCached(t *testing.T) {
	f := newFixture(t)
	wantHeader(t, f.do("GET", "/v1/kv/none", ""), map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"})
}

func TestMethodNotAllowed(t *testing.T) {
	f := newFixture(t)
	for path, allow := range map[string]string{
		"/v1/kv/k": "GET, HEAD, PUT, DELETE", "/v1/kv": "GET, HEAD, DELETE", "/v1/compact": "POST", "/v1/members": "GET, HEAD, POST", "/v1/members/3": "PATCH, DELETE",
		"/v1/members/3/promote": "POST", "/v1/members/replace": "POST", "/v1/leader": "GET, HEAD, POST", "/v1/snapshots": "POST", "/v1/snapshots/latest": "GET, HEAD", "/v1/verify": "GET, HEAD, POST",
		"/v1/txn": "POST", "/v1/leases": "GET, HEAD, POST", "/v1/leases/7f": "GET, HEAD, DELETE", "/v1/leases/7f/keepalive": "POST", "/v1/requests/k": "GET, HEAD",
		"/v1/status": "GET, HEAD", "/livez": "GET, HEAD", "/readyz": "GET, HEAD", "/metrics": "GET, HEAD", "/version": "GET, HEAD",
	} {
		for _, method := range []string{"PATCH", "OPTIONS", "TRACE", "get", "BREW"} {
			if strings.Contains(allow, method) {
				continue
			}
			resp := f.do(method, path, "")
			wantHeader(t, resp, map[string]string{"Allow": allow})
			checkProblem(t, resp, 405, "method_not_allowed", refused(method))
		}
	}
	for _, path := range []string{"/", "/v1", "/v1/", "/v1/compact/", "/v1/members/..", "/livez/", "/metrics/x", "/ui/", "/favicon.ico"} {
		if path == "/v1/members/.." {
			f.wantProblem(405, "method_not_allowed", "", "GET", path, "")
			continue
		}
		f.wantProblem(404, "not_found", "", "GET", path, "")
	}
}
