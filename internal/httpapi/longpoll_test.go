package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
)

// later serves a request on another goroutine.
func (f *fixture) later(method, target string, headers ...string) <-chan *http.Response {
	c := make(chan *http.Response, 1)
	go func() { c <- f.do(method, target, "", headers...) }()
	return c
}

func TestLongPoll(t *testing.T) {
	const wait = 30 * time.Second
	tests := []struct {
		name    string
		target  string // below /v1/kv/; two:2 and gone:4 are the state at revision 4
		tag     string // If-None-Match
		change  func(f *fixture)
		status  int
		body    string
		tagged  string
		at      string // Kvd-Revision
		changed bool   // answered by the change, not by the end of the wait
	}{
		{name: "changed", target: "two", tag: `"2"`, change: func(f *fixture) { f.do("PUT", "/v1/kv/two", "new") }, status: 200, body: "new", tagged: `"5"`, at: "5", changed: true},
		{name: "deleted", target: "two", tag: `"2"`, change: func(f *fixture) { f.do("DELETE", "/v1/kv/two", "") }, status: 404, at: "5", changed: true},
		{name: "created", target: "none", change: func(f *fixture) { f.do("PUT", "/v1/kv/none", "new") }, status: 200, body: "new", tagged: `"5"`, at: "5", changed: true},
		{name: "created again", target: "gone", change: func(f *fixture) { f.do("PUT", "/v1/kv/gone", "new") }, status: 200, body: "new", tagged: `"5"`, at: "5", changed: true},
		{name: "any changed", target: "two", tag: "*", change: func(f *fixture) { f.do("PUT", "/v1/kv/two", "new") }, status: 200, body: "new", tagged: `"5"`, at: "5", changed: true},
		{name: "any deleted", target: "two", tag: "*", change: func(f *fixture) { f.do("DELETE", "/v1/kv/two", "") }, status: 404, at: "5", changed: true},
		{name: "any created", target: "none", tag: "*", change: func(f *fixture) { f.do("PUT", "/v1/kv/none", "new") }, status: 200, body: "new", tagged: `"5"`, at: "5", changed: true},
		{name: "one of several", target: "two", tag: `"1", "2"`, change: func(f *fixture) { f.do("PUT", "/v1/kv/two", "new") }, status: 200, body: "new", tagged: `"5"`, at: "5", changed: true},
		{name: "to one of several", target: "two", tag: `"2", "5"`, change: func(f *fixture) { f.do("PUT", "/v1/kv/two", "new") }, status: 304, tagged: `"5"`, at: "5"},
		{name: "after others", target: "two", tag: `"2"`, change: func(f *fixture) {
			f.fill(3, 1)
			f.do("PUT", "/v1/kv/two", "new")
		}, status: 200, body: "new", tagged: `"8"`, at: "8", changed: true},
		{name: "compacted", target: "two", tag: `"2"`, change: func(f *fixture) {
			f.do("PUT", "/v1/kv/two", "new")
			f.do("PUT", "/v1/kv/other", "")
			f.do("POST", "/v1/compact", `{"revision":6}`)
		}, status: 200, body: "new", tagged: `"5"`, changed: true},
		{name: "unchanged", target: "two", tag: `"2"`, status: 304, tagged: `"2"`, at: "4"},
		{name: "never there", target: "none", status: 404, at: "4"},
		{name: "another changed", target: "two", tag: `"2"`, change: func(f *fixture) { f.do("PUT", "/v1/kv/tw", ""); f.do("PUT", "/v1/kv/twoo", "") }, status: 304, tagged: `"2"`, at: "6"},
		{name: "in JSON", target: "two", tag: `"2"`, change: func(f *fixture) { f.do("PUT", "/v1/kv/two", "new") }, status: 200, tagged: `"5"`, at: "5", changed: true,
			body: `{"key":"two","value":"new","mod_revision":5,"create_revision":2,"version":2,"content_type":"application/octet-stream"}` + "\n"},

		{name: "without a condition", target: "two", status: 200, body: "2", tagged: `"2"`, at: "4", changed: true},
		{name: "news already", target: "two", tag: `"1"`, status: 200, body: "2", tagged: `"2"`, at: "4", changed: true},
		{name: "gone already", target: "gone", tag: `"3"`, status: 404, at: "4", changed: true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				f := newFixture(t)
				f.do("PUT", "/v1/kv/one", "1")
				f.do("PUT", "/v1/kv/two", "2")
				f.do("PUT", "/v1/kv/gone", "3")
				f.do("DELETE", "/v1/kv/gone", "")
				var headers []string
				if tt.tag != "" {
					headers = append(headers, "If-None-Match: "+tt.tag)
				}
				if tt.name == "in JSON" {
					headers = append(headers, "Accept: application/json")
				}
				start := time.Now()
				answer := f.later("GET", "/v1/kv/"+tt.target+"?wait="+wait.String(), headers...)
				time.Sleep(time.Second)
				if tt.change != nil {
					tt.change(f)
				}
				resp := <-answer
				took := time.Since(start)
				if ended := took == wait; ended == tt.changed || !ended && took > time.Second {
					t.Errorf("answered after %v", took)
				}
				if resp.StatusCode != tt.status {
					t.Errorf("got %d, want %d", resp.StatusCode, tt.status)
				}
				if tt.at != "" {
					wantHeader(t, resp, map[string]string{"Kvd-Revision": tt.at})
				}
				wantHeader(t, resp, map[string]string{"Etag": tt.tagged})
				if got := readAll(t, resp); tt.status != 404 && got != tt.body {
					t.Errorf("got %q, want %q", got, tt.body)
				}
				if got := f.machine.Watchers(); got != 0 {
					t.Errorf("%d watchers are left", got)
				}
			})
		})
	}
}

func TestLongPollErrors(t *testing.T) {
	f := newFixture(t)
	f.do("PUT", "/v1/kv/k", "v")
	for _, query := range []string{"wait=0s", "wait=-1s", "wait=5m1s", "wait=5", "wait=", "wait=1s&wait=1s", "wait=1s&revision=1"} {
		if doc := f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv/k?"+query, ""); doc.Parameter != "wait" {
			t.Errorf("%s: got %+v", query, doc)
		}
	}
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv?wait=1s", "")
	f.wantProblem(400, "bad_parameter", notApplied, "PUT", "/v1/kv/k?wait=1s", "v")
}

// What ends a wait early ends it as its time would.
func TestLongPollEndsEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		f.do("PUT", "/v1/kv/k", "v")
		start := time.Now()
		stale := f.later("GET", "/v1/kv/k?wait=5m&consistency=stale", `If-None-Match: "1"`)
		missing := f.later("HEAD", "/v1/kv/none?wait=5m")
		ctx, cancel := context.WithCancel(t.Context())
		gone := make(chan int)
		go func() {
			w := httptest.NewRecorder()
			r := httptest.NewRequest("GET", "/v1/kv/none?wait=5m", nil)
			f.h.ServeHTTP(w, r.WithContext(ctx))
			gone <- w.Code
		}()
		synctest.Wait()
		if got := f.h.metrics.watches.Load(); got != 3 {
			t.Errorf("%d wait", got)
		}
		f.cluster.set(func(c *fakeCluster) { c.age = time.Second })
		cancel()
		if got := <-gone; got != 404 {
			t.Errorf("got %d after the client went", got)
		}
		f.h.Drain()
		resp := <-stale
		if resp.StatusCode != 304 {
			t.Errorf("got %d", resp.StatusCode)
		}
		wantHeader(t, resp, map[string]string{"Kvd-Staleness": "1s"})
		if got := (<-missing).StatusCode; got != 404 {
			t.Errorf("got %d", got)
		}
		if took := time.Since(start); took > 0 {
			t.Errorf("took %v", took)
		}
		if got := f.h.metrics.watches.Load(); got != 0 {
			t.Errorf("%d wait still", got)
		}
	})
}

// A wait may be longer than the server's deadlines, and than a request's.
func TestLongPollOutlivesServerDeadlines(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Timeout = 20 * time.Millisecond })
	f.do("PUT", "/v1/kv/k", "v")
	addr := f.serve(ServerConfig{BodyTimeout: 50 * time.Millisecond, WriteTimeout: 50 * time.Millisecond})
	c := dial(t, addr)
	start := time.Now()
	c.send("GET /v1/kv/k?wait=300ms HTTP/1.1\r\nHost: localhost\r\nIf-None-Match: \"1\"\r\n\r\n")
	if got := c.receive("GET").StatusCode; got != 304 || time.Since(start) < 300*time.Millisecond {
		t.Errorf("got %d after %v", got, time.Since(start))
	}
	// The connection goes on.
	c.send("GET /v1/kv/k HTTP/1.1\r\nHost: localhost\r\n\r\n")
	if got := c.receive("GET").StatusCode; got != 200 {
		t.Errorf("got %d", got)
	}
}

// FuzzWait: what is taken is a duration within bounds.
func FuzzWait(f *testing.F) {
	for _, s := range []string{"30s", "5m", "5m0.000000001s", "0", "-1s", "1e3s", "1h", "", "300s", ".1s", "1µs"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, wait string) {
		p, err := parseParams("wait="+url.QueryEscape(wait), paramsRead|paramWait)
		if err != nil {
			if !errors.Is(err, errBadParameter) {
				t.Fatal(err)
			}
			return
		}
		if d, err := time.ParseDuration(wait); err != nil || p.wait != d || d <= 0 || d > maxTimeout {
			t.Fatalf("%q is taken for %v", wait, p.wait)
		}
	})
}

// TestLongPollFollows polls a key that is written all the time: each answer is
// newer than the one before, and the last is the last.
func TestLongPollFollows(t *testing.T) {
	f := newFixture(t)
	const writes = 300
	done := make(chan error, 1)
	go func() {
		for i := range writes {
			if _, err := f.h.cfg.Store.Put(context.Background(), []byte("k"), fmt.Append(nil, i), kvstore.PutOptions{}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	tag, last := `"1"`, ""
	for tag != fmt.Sprintf(`"%d"`, writes) {
		resp := f.do("GET", "/v1/kv/k?wait=20s", "", "If-None-Match: "+tag)
		if resp.StatusCode == 404 && last == "" {
			continue // before the first
		}
		next := resp.Header.Get("Etag")
		if resp.StatusCode != 200 || len(next) < len(tag) || len(next) == len(tag) && strings.Compare(next, tag) <= 0 {
			if tag != `"1"` {
				t.Fatalf("%d with %s after %s", resp.StatusCode, next, tag)
			}
		}
		tag, last = next, readAll(t, resp)
	}
	if err := <-done; err != nil || last != fmt.Sprint(writes-1) {
		t.Errorf("the last is %s, %v", last, err)
	}
}
