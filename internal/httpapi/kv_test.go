package httpapi

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

func wantHeader(t *testing.T, resp *http.Response, want map[string]string) {
	t.Helper()
	for name, value := range want {
		if got := resp.Header.Get(name); got != value {
			t.Errorf("%s: got %q, want %q", name, got, value)
		}
	}
}

func TestPutGetDelete(t *testing.T) {
	f := newFixture(t)
	resp := f.want(404, "", "GET", "/v1/kv/a", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "0", "Etag": ""})

	resp = f.want(201, "", "PUT", "/v1/kv/a", "one", "Content-Type: text/plain")
	wantHeader(t, resp, map[string]string{"Etag": `"1"`, "Kvd-Revision": "1"})
	resp = f.want(200, "one", "GET", "/v1/kv/a", "")
	wantHeader(t, resp, map[string]string{
		"Etag": `"1"`, "Kvd-Revision": "1", "Content-Type": "text/plain", "Content-Length": "3",
		"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox",
	})
	if len(resp.Header) != 6 {
		t.Errorf("a GET answers with more than it should: %v", resp.Header)
	}

	f.want(201, "", "PUT", "/v1/kv/b", "")
	resp = f.want(204, "", "PUT", "/v1/kv/a", "two")
	wantHeader(t, resp, map[string]string{"Etag": `"3"`, "Kvd-Revision": "3"})
	resp = f.want(200, "", "GET", "/v1/kv/b", "")
	wantHeader(t, resp, map[string]string{"Etag": `"2"`, "Kvd-Revision": "3", "Content-Length": "0"})

	resp = f.want(200, "", "HEAD", "/v1/kv/a", "")
	wantHeader(t, resp, map[string]string{"Etag": `"3"`, "Content-Length": "3"})
	resp = f.do("HEAD", "/v1/kv/none", "")
	if got := readAll(t, resp); resp.StatusCode != 404 || got != "" {
		t.Errorf("HEAD of nothing: %d %q", resp.StatusCode, got)
	}

	resp = f.want(204, "", "DELETE", "/v1/kv/a", "")
	wantHeader(t, resp, map[string]string{"Kvd-Deleted": "1", "Kvd-Revision": "4"})
	resp = f.want(204, "", "DELETE", "/v1/kv/a", "")
	wantHeader(t, resp, map[string]string{"Kvd-Deleted": "0", "Kvd-Revision": "4"})
	doc := f.wantProblem(404, "not_found", "", "GET", "/v1/kv/a", "")
	if doc.Detail != "no such key" {
		t.Errorf("got detail %q", doc.Detail)
	}
}

func TestValuesAreBytes(t *testing.T) {
	f := newFixture(t)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	for _, value := range []string{"\xff\xfe\x00\x41", string(every), strings.Repeat("x", 200_000)} {
		f.do("PUT", "/v1/kv/v", value)
		f.want(200, value, "GET", "/v1/kv/v", "")
	}
}

func TestContentTypes(t *testing.T) {
	tests := []struct{ sent, stored, served string }{
		{"", "", octets},
		{"application/x-www-form-urlencoded", "", octets},
		{"application/x-www-form-urlencoded; charset=UTF-8", "", octets},
		{"Application/X-WWW-Form-URLEncoded", "", octets},
		{octets, "", octets},
		{"text/html; charset=utf-8", "text/html; charset=utf-8", "text/html; charset=utf-8"},
		{"image/png", "image/png", "image/png"},
	}
	for _, tt := range tests {
		f := newFixture(t)
		if tt.sent == "" {
			f.want(201, "", "PUT", "/v1/kv/k", "v")
		} else {
			f.want(201, "", "PUT", "/v1/kv/k", "v", "Content-Type: "+tt.sent)
		}
		if item, _ := f.machine.Get([]byte("k")); item.ContentType != tt.stored {
			t.Errorf("%q: stored %q, want %q", tt.sent, item.ContentType, tt.stored)
		}
		wantHeader(t, f.want(200, "v", "GET", "/v1/kv/k", ""), map[string]string{"Content-Type": tt.served})
	}
	f := newFixture(t)
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k", "v", "Content-Type: text/"+strings.Repeat("x", kvstore.MaxContentTypeBytes))
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k", "v", "Content-Type: a/b", "Content-Type: c/d")
}

func TestConditionsOnWrites(t *testing.T) {
	f := newFixture(t)
	f.want(201, "", "PUT", "/v1/kv/k", "1", "If-None-Match: *")
	f.want(204, "", "PUT", "/v1/kv/k", "2", `If-Match: "1"`)
	f.want(204, "", "PUT", "/v1/kv/k", "3", "If-Match: *")

	resp := f.do("PUT", "/v1/kv/k", "4", `If-Match: "1"`)
	wantHeader(t, resp, map[string]string{"Etag": `"3"`, "Kvd-Revision": "3"})
	checkProblem(t, resp, 412, "precondition_failed", notApplied)
	resp = f.do("PUT", "/v1/kv/k", "4", "If-None-Match: *")
	wantHeader(t, resp, map[string]string{"Etag": `"3"`})
	checkProblem(t, resp, 412, "precondition_failed", notApplied)
	resp = f.do("PUT", "/v1/kv/none", "4", "If-Match: *")
	wantHeader(t, resp, map[string]string{"Etag": ""})
	checkProblem(t, resp, 412, "precondition_failed", notApplied)
	f.wantProblem(412, "precondition_failed", notApplied, "PUT", "/v1/kv/none", "4", `If-Match: "3"`)
	f.wantProblem(412, "precondition_failed", notApplied, "DELETE", "/v1/kv/k", "", `If-Match: "1"`)
	f.wantProblem(412, "precondition_failed", notApplied, "DELETE", "/v1/kv/none", "", "If-Match: *")
	f.want(200, "3", "GET", "/v1/kv/k", "")
	f.want(204, "", "DELETE", "/v1/kv/k", "", `If-Match: "3"`)
}

func TestConditionsOnReads(t *testing.T) {
	f := newFixture(t)
	f.do("PUT", "/v1/kv/k", "v")
	for _, c := range []struct {
		header string
		status int
	}{
		{`If-None-Match: "1"`, 304},
		{`If-None-Match: *`, 304},
		{`If-None-Match: "7", "1"`, 304},
		{`If-None-Match: "7"`, 200},
		{`If-Match: "1"`, 200},
		{`If-Match: *`, 200},
		{`If-Match: "7","1"`, 200},
		{`If-Match: "7"`, 412},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			resp := f.do(method, "/v1/kv/k", "", c.header)
			body := readAll(t, resp)
			if resp.StatusCode != c.status {
				t.Errorf("%s with %s: got %d, want %d", method, c.header, resp.StatusCode, c.status)
			}
			if c.status == 304 && body != "" {
				t.Errorf("304 with a body: %q", body)
			}
			wantHeader(t, resp, map[string]string{"Etag": `"1"`, "Kvd-Revision": "1"})
		}
	}
	// What is not there is not there, whatever the condition.
	f.wantProblem(404, "not_found", "", "GET", "/v1/kv/none", "", "If-Match: *")
	f.wantProblem(404, "not_found", "", "GET", "/v1/kv/none", "", `If-None-Match: "1"`)
}

func TestPrev(t *testing.T) {
	f := newFixture(t)
	f.want(200, `{"revision":1,"created":true,"prev":null}`+"\n", "PUT", "/v1/kv/k?prev=true", "<a>")
	resp := f.want(200, `{"revision":2,"created":false,"prev":{"key":"k","value":"<a>","mod_revision":1,"create_revision":1,"version":1,"content_type":"application/octet-stream"}}`+"\n",
		"PUT", "/v1/kv/k?prev=true", "\xff", "Content-Type: image/png")
	wantHeader(t, resp, map[string]string{"Etag": `"2"`, "Kvd-Revision": "2", "Content-Type": "application/json"})
	f.want(201, "", "PUT", "/v1/kv/other?prev=false", "")
	f.want(200, `{"revision":4,"deleted":1,"prev":{"key":"k","value_base64":"/w==","mod_revision":2,"create_revision":1,"version":2,"content_type":"image/png"}}`+"\n",
		"DELETE", "/v1/kv/k?prev=true", "")
	resp = f.want(200, `{"revision":4,"deleted":0,"prev":null}`+"\n", "DELETE", "/v1/kv/k?prev=true", "")
	wantHeader(t, resp, map[string]string{"Kvd-Deleted": "0", "Kvd-Revision": "4"})
}

func TestJSONForm(t *testing.T) {
	f := newFixture(t)
	f.do("PUT", "/v1/kv/k%FF", "text", "Content-Type: text/plain")
	want := `{"key_base64":"a/8=","value":"text","mod_revision":1,"create_revision":1,"version":1,"content_type":"text/plain"}` + "\n"
	resp := f.want(200, want, "GET", "/v1/kv/k%FF", "", "Accept: application/json")
	wantHeader(t, resp, map[string]string{"Etag": `"1"`, "Kvd-Revision": "1", "Content-Type": "application/json", "X-Content-Type-Options": "nosniff", "Vary": "Accept"})
	f.do("PUT", "/v1/kv/empty", "")
	f.want(200, `{"key":"empty","value":"","mod_revision":2,"create_revision":2,"version":1,"content_type":"application/octet-stream"}`+"\n",
		"GET", "/v1/kv/empty", "", "Accept: application/json")

	for accept, isJSON := range map[string]bool{
		"*/*": false,
		"text/html,application/xml;q=0.9,*/*;q=0.8": false,
		"application/json, text/plain, */*":         false, // what programs send without thinking
		"application/json":                          true,
		"Application/JSON; charset=utf-8":           true,
		"application/json, */*;q=0.5":               true,
		"application/json;q=0":                      false,
		"application/json;q=x":                      false,
		"application/json;q=NaN":                    false,
		"application/jsonx":                         false,
		"":                                          false,
	} {
		resp := f.do("GET", "/v1/kv/k%FF", "", "Accept: "+accept)
		if got := resp.Header.Get("Content-Type") == "application/json"; got != isJSON {
			t.Errorf("Accept %q: JSON %v, want %v", accept, got, isJSON)
		}
	}
}

func TestConsistency(t *testing.T) {
	f := newFixture(t)
	f.do("PUT", "/v1/kv/k", "v")
	resp := f.want(200, "v", "GET", "/v1/kv/k?consistency=linearizable", "")
	wantHeader(t, resp, map[string]string{"Kvd-Staleness": ""})

	// Without a leader only the stale read answers.
	f.log.set(func(l *directLog) { l.readErr = kvstore.ErrNoLeader })
	f.cluster.set(func(c *fakeCluster) { c.age = 1500 * time.Millisecond })
	f.wantProblem(503, "no_leader", "", "GET", "/v1/kv/k", "")
	resp = f.want(200, "v", "GET", "/v1/kv/k?consistency=stale", "")
	wantHeader(t, resp, map[string]string{"Kvd-Staleness": "1.5s"})
	resp = f.do("GET", "/v1/kv/none?consistency=stale", "")
	wantHeader(t, resp, map[string]string{"Kvd-Staleness": "1.5s"})
	f.cluster.set(func(c *fakeCluster) { c.silent = true })
	resp = f.want(200, "v", "GET", "/v1/kv/k?consistency=stale", "")
	wantHeader(t, resp, map[string]string{"Kvd-Staleness": "unknown"})
}

// What a later release will understand must not be passed over by this one.
func TestUnknownMeansRefused(t *testing.T) {
	f := newFixture(t)
	for _, query := range []string{"ca=1", "prefix=a", "limit=1", "confirm=all"} {
		name, _, _ := strings.Cut(query, "=")
		doc := f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k?"+query, "v")
		if doc.Parameter != name || !strings.Contains(doc.Detail, name) {
			t.Errorf("%s: got %+v", query, doc)
		}
		f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv/k?"+query, "")
		f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/kv/k?"+query, "")
	}
	for _, query := range []string{"ttl=30s", "lease=00000000000000ff"} {
		f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv/k?"+query, "")
		f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/kv/k?"+query, "")
	}
	for _, query := range []string{"max_stale=2s", "wait=30s", "min_revision=1", "revision=1"} {
		f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k?"+query, "v")
		f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/kv/k?"+query, "")
	}
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv/k?prev=true", "")
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k?consistency=stale", "v")
	const header = "Content-Range: bytes 0-1/2"
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k", "v", header)
	f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/v1/kv/k", "", header)
	if n := f.log.proposals(); n != 0 {
		t.Errorf("%d commands were proposed", n)
	}
}
