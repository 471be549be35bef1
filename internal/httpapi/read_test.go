package httpapi

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
)

// Two versions of k, a deletion, and another key: revisions 1 to 4.
func newPast(t *testing.T) *fixture {
	f := newFixture(t)
	f.want(201, "", "PUT", "/v1/kv/k", "one")
	f.want(204, "", "PUT", "/v1/kv/k", "two")
	f.want(204, "", "DELETE", "/v1/kv/k", "")
	f.want(201, "", "PUT", "/v1/kv/other", "x")
	return f
}

func TestReadsAtARevision(t *testing.T) {
	f := newPast(t)
	resp := f.want(200, "one", "GET", "/v1/kv/k?revision=1", "")
	wantHeader(t, resp, map[string]string{"Etag": `"1"`, "Kvd-Revision": "1"})
	resp = f.want(200, "two", "GET", "/v1/kv/k?revision=2", "")
	wantHeader(t, resp, map[string]string{"Etag": `"2"`, "Kvd-Revision": "2"})
	resp = f.want(200, "", "HEAD", "/v1/kv/k?revision=1", "")
	wantHeader(t, resp, map[string]string{"Etag": `"1"`, "Content-Length": "3"})
	resp = f.do("GET", "/v1/kv/k?revision=3", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "3"})
	checkProblem(t, resp, 404, "not_found", "")
	f.want(304, "", "GET", "/v1/kv/k?revision=1", "", `If-None-Match: "1"`)
	f.want(200, "two", "GET", "/v1/kv/k?revision=2&consistency=stale", "")

	doc := f.wantProblem(400, "future_revision", "", "GET", "/v1/kv/k?revision=5", "")
	if doc.OldestRevision != 0 {
		t.Errorf("got %+v", doc)
	}
	f.wantProblem(400, "future_revision", "", "GET", "/v1/kv?revision=5", "")
	f.want(200, `{"revision":1,"count":1,"items":[{"key":"k","value":"one","mod_revision":1,"create_revision":1,"version":1,"content_type":"application/octet-stream"}]}`+"\n",
		"GET", "/v1/kv?revision=1", "")

	f.want(200, `{"revision":2}`+"\n", "POST", "/v1/compact", `{"revision":2}`)
	for _, path := range []string{"/v1/kv/k", "/v1/kv"} {
		doc := f.wantProblem(410, "compacted", "", "GET", path+"?revision=1", "")
		if doc.OldestRevision != 2 {
			t.Errorf("%s: the oldest is %d", path, doc.OldestRevision)
		}
	}
	f.want(200, "two", "GET", "/v1/kv/k?revision=2", "")
}

func TestMinRevision(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newPast(t)
		// No quorum is asked, unless by name.
		f.log.set(func(l *directLog) { l.readErr = kvstore.ErrNoLeader })
		f.wantProblem(503, "no_leader", "", "GET", "/v1/kv/other", "")
		f.want(200, "x", "GET", "/v1/kv/other?min_revision=4", "")
		f.want(200, "", "GET", "/v1/kv?min_revision=4", "")
		f.want(200, "two", "GET", "/v1/kv/k?min_revision=4&revision=2", "")
		f.wantProblem(503, "no_leader", "", "GET", "/v1/kv/other?min_revision=0", "")
		f.wantProblem(503, "no_leader", "", "GET", "/v1/kv/other?min_revision=4&consistency=linearizable", "")
		f.wantProblem(503, "no_leader", "", "GET", "/v1/kv?min_revision=4&consistency=linearizable", "")

		// It waits, also for who takes old state, and in the end gives up.
		for _, query := range []string{"", "&consistency=stale"} {
			next := f.machine.Revision() + 1
			done := make(chan struct{})
			go func() {
				defer close(done)
				f.want(200, fmt.Sprint("v", next), "GET", fmt.Sprintf("/v1/kv/new?timeout=1m&min_revision=%d%s", next, query), "")
			}()
			time.Sleep(10 * time.Second)
			select {
			case <-done:
				t.Error("answered too early")
			default:
			}
			f.do("PUT", "/v1/kv/new", fmt.Sprint("v", next))
			<-done
			start := time.Now()
			f.wantProblem(503, "no_leader", "", "GET", "/v1/kv/new?timeout=2s&min_revision=99"+query, "")
			if took := time.Since(start); took < 2*time.Second || took > 2*time.Second+deadlineStep {
				t.Errorf("gave up after %v", took)
			}
		}
	})
}

func TestMaxStale(t *testing.T) {
	f := newPast(t)
	f.cluster.set(func(c *fakeCluster) { c.age = 1500 * time.Millisecond })
	for _, path := range []string{"/v1/kv/other", "/v1/kv"} {
		resp := f.want(200, "", "GET", path+"?consistency=stale&max_stale=1500ms", "")
		wantHeader(t, resp, map[string]string{"Kvd-Staleness": "1.5s"})
		resp = f.do("GET", path+"?consistency=stale&max_stale=1499ms", "")
		wantHeader(t, resp, map[string]string{"Kvd-Staleness": "1.5s"})
		checkProblem(t, resp, 503, "too_stale", "")
		doc := f.wantProblem(400, "bad_parameter", "", "GET", path+"?max_stale=1s", "")
		if doc.Parameter != "max_stale" {
			t.Errorf("got %+v", doc)
		}
	}
	f.cluster.set(func(c *fakeCluster) { c.silent = true })
	f.wantProblem(503, "too_stale", "", "GET", "/v1/kv/other?consistency=stale&max_stale=10h", "")
	resp := f.want(200, "", "GET", "/v1/kv?consistency=stale", "")
	wantHeader(t, resp, map[string]string{"Kvd-Staleness": "unknown"})
}
