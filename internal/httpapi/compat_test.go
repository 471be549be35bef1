package httpapi

import (
	"reflect"
	"strings"
	"testing"
)

// curl is how raftexample's README has curl send a body.
const curl = "Content-Type: application/x-www-form-urlencoded"

func TestCompat(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	f.wantProblem(404, "not_found", "", "GET", "/my-key", "")
	f.want(204, "", "PUT", "/my-key", "hello", curl)
	f.want(200, "hello", "GET", "/my-key", "")
	f.want(200, "hello", "GET", "/v1/kv/my-key", "")
	f.want(204, "", "PUT", "/my-key", "bye", curl)
	f.want(200, "bye", "GET", "/my-key?consistency=stale", "")
	f.want(200, "", "HEAD", "/my-key", "")

	f.want(204, "", "POST", "/4", "http://127.0.0.1:42379\n", curl)
	if want := []NewMember{{ID: 4, PeerURL: "http://127.0.0.1:42379", AutoPromote: true}}; !reflect.DeepEqual(f.cluster.added, want) {
		t.Errorf("added %+v", f.cluster.added)
	}
	f.want(204, "", "DELETE", "/3", "")
	if !reflect.DeepEqual(f.cluster.removed, []string{"3"}) {
		t.Errorf("removed %v", f.cluster.removed)
	}

	// A key is not deleted here, nor a member lost by a typo.
	for _, path := range []string{"/my-key", "/3/", "/03", "/-3", "/0", "/3x", "/18446744073709551616", "/%20", "/"} {
		for _, method := range []string{"DELETE", "POST"} {
			doc := f.wantProblem(400, "bad_parameter", notApplied, method, path, "http://x:1")
			if !strings.Contains(doc.Detail, "/v1/members") || !strings.Contains(doc.Detail, "/v1/kv/") {
				t.Errorf("%s %s: detail %q", method, path, doc.Detail)
			}
		}
	}
	f.cluster.set(func(c *fakeCluster) { c.err = ErrWouldLoseQuorum })
	f.wantProblem(409, "would_lose_quorum", notApplied, "DELETE", "/2", "")
	f.wantProblem(409, "would_lose_quorum", notApplied, "POST", "/5", "http://x:1")
	f.wantProblem(400, "bad_parameter", notApplied, "DELETE", "/2?force=true", "")

	f.wantProblem(400, "bad_key", notApplied, "PUT", "/", "v")
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/k?x=1", "v")
	f.wantProblem(412, "precondition_failed", notApplied, "PUT", "/my-key", "v", "If-None-Match: *")
	f.wantProblem(414, "key_too_long", notApplied, "PUT", "/"+strings.Repeat("k", 4097), "v")
	resp := f.do("PATCH", "/my-key", "")
	wantHeader(t, resp, map[string]string{"Allow": "GET, HEAD, PUT, POST, DELETE"})
	checkProblem(t, resp, 405, "method_not_allowed", notApplied)
}

func TestCompatKeys(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	for path, key := range map[string]string{
		"/a//b": "a//b", "//a": "/a", "/../x": "../x", "/%2F": "/", "/a%3Fb": "a?b", "/a+b": "a+b", "/vv1/x": "vv1/x",
		"/v1x": "v1x", "/V1": "V1", "/x/v1": "x/v1", "//v1/kv/a": "/v1/kv/a", "/4": "4",
	} {
		f.want(204, "", "PUT", path, path)
		if item, _ := f.machine.Get([]byte(key)); string(item.Value) != path {
			t.Errorf("PUT %s did not write the key %q", path, key)
		}
		f.want(200, path, "GET", path, "")
	}
	n := f.machine.Len()
	for _, segment := range []string{"v1", "livez", "readyz", "metrics", "version", "ui", "debug", "raft", "problems"} {
		for _, path := range []string{"/" + segment + "/x", "/" + segment + "/", "/" + segment + "//", "/" + segment + "%2Fx", "/%" + hex(segment[0]) + segment[1:] + "/x"} {
			f.wantProblem(404, "not_found", notApplied, "PUT", path, "v")
			f.wantProblem(404, "not_found", "", "GET", path, "")
		}
		if got := f.do("PUT", "/"+segment, "v").StatusCode; got != 404 && got != 405 {
			t.Errorf("PUT /%s: %d", segment, got)
		}
	}
	if f.machine.Len() != n {
		t.Error("a reserved path was written")
	}
}

func TestCompatIsOff(t *testing.T) {
	f := newFixture(t)
	for _, method := range []string{"GET", "PUT", "POST", "DELETE"} {
		f.wantProblem(404, "not_found", refused(method), method, "/3", "v")
	}
}
