package httpapi

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// txn sends a transaction and checks the whole answer.
func (f *fixture) txn(body, want string, headers ...string) *http.Response {
	f.t.Helper()
	return f.want(200, want+"\n", "POST", "/v1/txn", body, headers...)
}

func TestTxn(t *testing.T) {
	f := newFixture(t)
	const rest = `,"content_type":"application/octet-stream"}`
	resp := f.txn(`{}`, `{"succeeded":true,"revision":0,"results":[]}`)
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "0", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff"})
	resp = f.txn(`{"if":[{"key":"a","exists":false}],
		"then":[{"put":{"key":"a","value":"1"}},{"put":{"key":"b","value_base64":"/w==","content_type":"image/png","prev":true}},{"get":{"key":"a"}}]}`,
		`{"succeeded":true,"revision":1,"results":[{"put":{"created":true,"mod_revision":1}},{"put":{"created":true,"mod_revision":1,"prev":null}},`+
			`{"get":{"key":"a","value":"1","mod_revision":1,"create_revision":1,"version":1`+rest+`}]}`)
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "1"})

	// The other branch, and what reads show.
	f.txn(`{"if":[{"key":"a","exists":false}],"then":[{"put":{"key":"a","value":"2"}}],
		"else":[{"get":{"key":"none"}},{"range":{"keys":true,"limit":1}},{"range":{"prefix":"b"}},{"range":{"reverse":true,"limit":1,"keys":true}},{"range":{"count":true}},{"range":{"prefix":"x"}}]}`,
		`{"succeeded":false,"revision":1,"results":[{"get":null},{"range":{"count":1,"items":[{"key":"a","mod_revision":1,"create_revision":1,"version":1`+rest+`],"more":true}},`+
			`{"range":{"count":1,"items":[{"key":"b","value_base64":"/w==","mod_revision":1,"create_revision":1,"version":1,"content_type":"image/png"}],"more":false}},`+
			`{"range":{"count":1,"items":[{"key":"b","mod_revision":1,"create_revision":1,"version":1,"content_type":"image/png"}],"more":true}},`+
			`{"range":{"count":2}},{"range":{"count":0,"items":[],"more":false}}]}`)

	// Writes of all kinds in one revision.
	f.do("PUT", "/v1/kv/tmp/1", "")
	f.do("PUT", "/v1/kv/tmp/2", "")
	f.txn(`{"if":[{"key":"a","mod_revision":{"eq":1}},{"key":"a","value":{"lt":"2"}},{"key":"none","version":{"eq":0}}],
		"then":[{"put":{"key":"a","value":"2","prev":true}},{"delete":{"key":"b","prev":true}},{"delete":{"prefix":"tmp/"}},{"delete":{"key":"none","prev":true}},{"delete":{"key":"nor"}}]}`,
		`{"succeeded":true,"revision":4,"results":[{"put":{"created":false,"mod_revision":4,"prev":{"key":"a","value":"1","mod_revision":1,"create_revision":1,"version":1`+rest+`}},`+
			`{"delete":{"deleted":1,"prev":{"key":"b","value_base64":"/w==","mod_revision":1,"create_revision":1,"version":1,"content_type":"image/png"}}},`+
			`{"delete":{"deleted":2}},{"delete":{"deleted":0,"prev":null}},{"delete":{"deleted":0}}]}`)
	if got := f.list("").entries(); len(got) != 1 || got[0] != "a" {
		t.Errorf("left are %q", got)
	}
	f.txn(`{"then":[{"delete":{"prefix":"","confirm":"all"}}]}`, `{"succeeded":true,"revision":5,"results":[{"delete":{"deleted":1}}]}`)
}

// Each operator of each target, on a key of create revision 1, revision 2,
// version 2 and value "m", and on one that is not there.
func TestComparisons(t *testing.T) {
	f := newFixture(t)
	f.do("PUT", "/v1/kv/k", "l")
	f.do("PUT", "/v1/kv/k", "m")
	holds := func(comparison string) bool {
		body := readAll(t, f.do("POST", "/v1/txn", `{"if":[`+comparison+`]}`))
		switch body {
		case `{"succeeded":true,"revision":2,"results":[]}` + "\n":
			return true
		case `{"succeeded":false,"revision":2,"results":[]}` + "\n":
			return false
		}
		t.Fatalf("%s: %s", comparison, body)
		return false
	}
	below := map[string]bool{"ne": true, "gt": true, "ge": true} // the key's side is above what it is compared with
	same := map[string]bool{"eq": true, "ge": true, "le": true}
	above := map[string]bool{"ne": true, "lt": true, "le": true}
	for _, tt := range []struct {
		key, target, with string
		want              map[string]bool
	}{
		{"k", "mod_revision", "1", below}, {"k", "mod_revision", "2", same}, {"k", "mod_revision", "3", above},
		{"k", "create_revision", "0", below}, {"k", "create_revision", "1", same}, {"k", "create_revision", "2", above},
		{"k", "version", "1", below}, {"k", "version", "2", same}, {"k", "version", "3", above},
		{"k", "value", `"ll"`, below}, {"k", "value", `"m"`, same}, {"k", "value", `"m0"`, above},
		{"k", "value_base64", `"bA"`, below}, {"k", "value_base64", `"bQ=="`, same}, {"k", "value_base64", `"/w"`, above},
		{"k", "lease", `""`, same}, {"k", "lease", `"00000000000000ff"`, above},
		{"none", "mod_revision", "0", same}, {"none", "create_revision", "1", above}, {"none", "version", "0", same}, {"none", "lease", `""`, same},
		{"none", "value", `""`, nil},
	} {
		for operator := range compareOps {
			c := fmt.Sprintf(`{"key":%q,%q:{%q:%s}}`, tt.key, tt.target, operator, tt.with)
			if got := holds(c); got != tt.want[operator] {
				t.Errorf("%s: got %v", c, got)
			}
		}
	}
	for key, there := range map[string]bool{"k": true, "none": false} {
		for _, exists := range []bool{true, false} {
			if c := fmt.Sprintf(`{"key":%q,"exists":%v}`, key, exists); holds(c) != (exists == there) {
				t.Errorf("%s: got %v", c, !there)
			}
		}
	}
	if !holds(`{"key":"k","exists":true},{"key":"k","version":{"eq":2}}`) || holds(`{"key":"k","exists":true},{"key":"k","version":{"eq":3}}`) {
		t.Error("all of them must hold, and need not more")
	}
}

func TestTxnRefused(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxValueBytes = 10 })
	for _, body := range []string{
		`{"then":[{"put":{"key":"a","value":"1"}},{"put":{"key_base64":"YQ","value":"2"}}]}`,
		`{"then":[{"put":{"key":"a","value":"1"}},{"delete":{"key":"a"}}]}`,
		`{"else":[{"put":{"key":"a","value":"1"}},{"delete":{"prefix":"a"}}]}`,
		`{"then":[{"delete":{"prefix":"a"}},{"delete":{"start":"ab","end":"b"}}]}`,
	} {
		doc := f.wantProblem(400, "bad_txn", notApplied, "POST", "/v1/txn", body)
		if !strings.Contains(doc.Detail, "two writes of key") {
			t.Errorf("%s: detail %q", body, doc.Detail)
		}
	}
	doc := f.wantProblem(413, "too_large", notApplied, "POST", "/v1/txn", `{"then":[{"get":{"key":"a"}},{"put":{"key":"a","value":"12345678901"}}]}`)
	if doc.Detail != "then[1].put: a value has at most 10 bytes" {
		t.Errorf("got detail %q", doc.Detail)
	}
	doc = f.wantProblem(404, "not_found", notApplied, "POST", "/v1/txn", `{"then":[{"put":{"key":"b","value":""}},{"put":{"key":"a","value":"","lease":"00000000000000ff"}}]}`)
	if doc.Detail != "no such lease" || f.machine.Len() != 0 {
		t.Errorf("%d keys, detail %q", f.machine.Len(), doc.Detail)
	}
	for _, tt := range []struct {
		err           error
		status        int
		code, outcome string
	}{
		{kvstore.ErrNoLeader, 503, "no_leader", notApplied},
		{kvstore.ErrOverloaded, 429, "overloaded", notApplied},
		{kvstore.ErrNoSpace, 507, "no_space", notApplied},
		{kvstore.ErrOutcomeUnknown, 504, "outcome_unknown", unknown},
	} {
		f.log.set(func(l *directLog) { l.err = tt.err })
		f.wantProblem(tt.status, tt.code, tt.outcome, "POST", "/v1/txn", `{}`)
	}
	f.wantProblem(403, "cross_origin", notApplied, "POST", "/v1/txn", `{}`, "Origin: http://evil.example")
	f.h.Drain()
	f.wantProblem(503, "stopping", notApplied, "POST", "/v1/txn", `{}`)
}

// What a transaction reads has a limit too: beyond it, nothing is applied.
func TestTxnReadsTooMuch(t *testing.T) {
	f := newFixture(t)
	big := strings.Repeat("v", 1<<20)
	for i := range 6 {
		f.want(201, "", "PUT", fmt.Sprintf("/v1/kv/big/%d", i), big)
	}
	resp := f.do("POST", "/v1/txn", `{"then":[{"range":{"prefix":"big/"}},{"range":{"prefix":"big/","keys":true}}]}`)
	body := readAll(t, resp)
	if resp.StatusCode != 200 || len(body) > 5<<20 || !strings.HasPrefix(body, `{"succeeded":true,"revision":6,"results":[{"range":{"count":3,"items":[{"key":"big/0",`) ||
		!strings.Contains(body, `],"more":true}},{"range":{"count":6,`) || !strings.HasSuffix(body, `],"more":false}}]}`+"\n") {
		t.Errorf("%d, %d bytes: %.200s…%.200s", resp.StatusCode, len(body), body, body[max(0, len(body)-200):])
	}
	gets := strings.Repeat(`{"get":{"key":"big/0"}},`, 20)
	resp = f.do("POST", "/v1/txn", `{"then":[`+gets+`{"put":{"key":"k","value":""}}]}`)
	if resp.Header.Get("Connection") != "" {
		t.Error("the connection could be used on")
	}
	checkProblem(t, resp, 413, "too_large", notApplied)
	f.wantProblem(404, "not_found", "", "GET", "/v1/kv/k", "")
}

func TestTxnOnTheWire(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxValueBytes = maxTxnBytes })
	addr := f.serve(ServerConfig{})
	const start, end = `{"then":[{"put":{"key":"a","value":"`, `"}},{"get":{"key":"a"}}]}`
	body := start + strings.Repeat("x", maxTxnBytes-len(start)-len(end)) + end
	c := dial(t, addr)
	c.send("POST /v1/txn HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(maxTxnBytes) + "\r\n\r\n" + body)
	resp := c.receive("POST")
	if got := readAll(t, resp); resp.StatusCode != 200 || len(got) < maxTxnBytes-len(start)-len(end) || resp.Header.Get("Kvd-Revision") != "1" {
		t.Fatalf("status %d, %d bytes: %.200s", resp.StatusCode, len(got), got)
	}
	for name, request := range map[string]string{
		"length":  "POST /v1/txn HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + itoa(maxTxnBytes+1) + "\r\n\r\n",
		"chunked": "POST /v1/txn HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n400000\r\n" + body + "\r\n1\r\n \r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(request)
			checkProblem(t, c.receive("POST"), 413, "too_large", notApplied)
			c.wantClosed()
		})
	}
	// Half a body is no transaction, even when that half would be one.
	c = dial(t, addr)
	c.send("POST /v1/txn HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n{}")
	closeWrite(c)
	checkProblem(t, c.receive("POST"), 400, "bad_body", notApplied)
	if n := f.log.proposals(); n != 1 {
		t.Errorf("%d proposals", n)
	}
}
