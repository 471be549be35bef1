package httpapi

import (
	"fmt"
	"testing"

	"kvd/internal/kvstore"
)

func TestDeleteKeys(t *testing.T) {
	f := newTree(t)
	before := f.log.proposals()
	for query, parameter := range map[string]string{
		"":                           "prefix",
		"dry_run=true":               "prefix",
		"confirm=all":                "prefix",
		"prefix=":                    "confirm",
		"prefix=&confirm=yes":        "confirm",
		"prefix=&confirm=":           "confirm",
		"prefix_base64=":             "confirm",
		"prefix=a&start=b":           "start",
		"prefix=a&limit=1":           "limit",
		"prefix=a&prefix=b":          "prefix",
		"prefix=a&consistency=stale": "consistency",
		"prefix=a&dry_run":           "dry_run",
		"prefix=a&dry-run=true":      "dry-run",
	} {
		doc := f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/kv?"+query, "")
		if doc.Parameter != parameter {
			t.Errorf("%s: the error names %q, want %q", query, doc.Parameter, parameter)
		}
	}
	f.wantProblem(400, "bad_condition", notApplied, "DELETE", "/v1/kv?prefix=a", "", "If-Match: *")
	f.wantProblem(400, "bad_condition", notApplied, "DELETE", "/v1/kv?prefix=a", "", "If-None-Match: *")
	f.wantProblem(403, "cross_origin", notApplied, "DELETE", "/v1/kv?prefix=a", "", "Origin: http://evil.example")

	resp := f.want(200, `{"deleted":2,"revision":8}`+"\n", "DELETE", "/v1/kv?prefix=a/b/&dry_run=true", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "8"})
	f.want(200, `{"deleted":8,"revision":8}`+"\n", "DELETE", "/v1/kv?prefix=&dry_run=true", "")
	if n := f.log.proposals(); n != before || f.machine.Len() != 8 {
		t.Fatalf("%d commands proposed, %d keys left", n-before, f.machine.Len())
	}

	resp = f.want(200, `{"deleted":2,"revision":9}`+"\n", "DELETE", "/v1/kv?prefix=a/b/&dry_run=false", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "9", "Content-Type": "application/json"})
	f.want(200, `{"deleted":0,"revision":9}`+"\n", "DELETE", "/v1/kv?prefix=a/b/", "")
	f.want(200, `{"deleted":1,"revision":10}`+"\n", "DELETE", "/v1/kv?prefix_base64=YS//", "")
	f.want(200, `{"deleted":5,"revision":11}`+"\n", "DELETE", "/v1/kv?prefix=&confirm=all", "")
	if n := f.machine.Len(); n != 0 {
		t.Errorf("%d keys left", n)
	}
	if got := f.list("revision=10").entries(); len(got) != 5 {
		t.Errorf("before the last deletion there was %q", got)
	}

	f.log.set(func(l *directLog) { l.err, l.readErr = kvstore.ErrOutcomeUnknown, kvstore.ErrNoLeader })
	f.wantProblem(504, "outcome_unknown", unknown, "DELETE", "/v1/kv?prefix=a", "")
	f.wantProblem(503, "no_leader", notApplied, "DELETE", "/v1/kv?prefix=a&dry_run=true", "")
	f.h.Drain()
	f.wantProblem(503, "stopping", notApplied, "DELETE", "/v1/kv?prefix=a", "")
}

func TestCompact(t *testing.T) {
	f := newTree(t)
	for body, code := range map[string]string{
		``: "bad_json", `1`: "bad_json", `{"revision":"1"}`: "bad_json", `{"revision":-1}`: "bad_json", `{"revision":1.5}`: "bad_json",
		`{"revision":1,"x":1}`: "bad_json", `{"revision":1,"revision":2}`: "bad_json", `{}`: "bad_parameter", `{"revision":0}`: "bad_parameter",
	} {
		f.wantProblem(400, code, notApplied, "POST", "/v1/compact", body)
	}
	f.wantProblem(400, "bad_parameter", notApplied, "POST", "/v1/compact?revision=1", `{"revision":1}`)
	resp := f.do("POST", "/v1/compact", `{"revision":9}`)
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "8"})
	checkProblem(t, resp, 400, "future_revision", notApplied)
	f.want(200, "", "GET", "/v1/kv?revision=1", "")

	for _, n := range []int{5, 5, 3, 8} { // again, and less, are no errors
		resp := f.want(200, fmt.Sprintf(`{"revision":%d}`+"\n", n), "POST", "/v1/compact", fmt.Sprintf(`{"revision":%d}`, n))
		wantHeader(t, resp, map[string]string{"Kvd-Revision": "8"})
	}
	f.want(200, "", "GET", "/v1/kv?revision=8", "")
	f.wantProblem(410, "compacted", "", "GET", "/v1/kv?revision=7", "")
	f.log.set(func(l *directLog) { l.err = kvstore.ErrNoLeader })
	f.wantProblem(503, "no_leader", notApplied, "POST", "/v1/compact", `{"revision":8}`)
}
