package test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"
)

// keyList is the answer of GET /v1/kv.
type keyList struct {
	Revision uint64        `json:"revision"`
	Count    int           `json:"count"`
	Items    []listingItem `json:"items"`
	Prefixes []string      `json:"prefixes"`
	Next     string        `json:"next"`
}

type listingItem struct {
	Key         string `json:"key"`
	KeyBase64   string `json:"key_base64"`
	Value       string `json:"value"`
	ModRevision uint64 `json:"mod_revision"`
	Version     uint64 `json:"version"`
}

func (m *member) list(query string) keyList {
	m.t.Helper()
	var l keyList
	if err := m.call(http.MethodGet, "/v1/kv?"+query, nil).decode(http.StatusOK, &l); err != nil {
		m.t.Fatalf("GET /v1/kv?%s from %s: %v", query, m.name(), err)
	}
	return l
}

func (l keyList) keys() []string {
	var keys []string
	for _, it := range l.Items {
		keys = append(keys, it.Key)
	}
	return keys
}

func wantKeys(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

// Every member lists, deletes by prefix and reads the past alike.
func TestListingAndHistory(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3)
	leader := c.leader()
	for _, m := range []*member{leader, c.followers(leader)[0]} {
		p := m.name()[len("member "):] + "/" // a part of the store for each
		t.Run(m.name(), func(t *testing.T) {
			for _, k := range []string{"a", "b/1", "b/2", "b/deep/3", "c"} {
				m.put(p+k, "first "+k)
			}
			at := m.put(p+"a", "second a")

			all := m.list("prefix=" + p)
			wantKeys(t, "all", all.keys(), p+"a", p+"b/1", p+"b/2", p+"b/deep/3", p+"c")
			wantKeys(t, "reverse", m.list("reverse=true&limit=2&prefix="+p).keys(), p+"c", p+"b/deep/3")
			wantKeys(t, "range", m.list("start="+p+"b/1&end="+p+"b/deep").keys(), p+"b/1", p+"b/2")
			folded := m.list("separator=/&prefix=" + p)
			wantKeys(t, "separator: keys", folded.keys(), p+"a", p+"c")
			wantKeys(t, "separator: prefixes", folded.Prefixes, p+"b/")
			if n := m.list("count=true&prefix=" + p); n.Count != 5 || len(n.Items) != 0 {
				t.Errorf("count: %+v", n)
			}
			if only := m.list("keys=true&limit=1&prefix=" + p); only.Items[0].Value != "" || only.Items[0].Key != p+"a" {
				t.Errorf("keys only: %+v", only)
			}

			// The pages of one listing show one moment.
			var pages []string
			page := m.list("limit=2&prefix=" + p)
			m.put(p+"aa", "too late")
			m.put(p+"c", "changed too late")
			for {
				for _, it := range page.Items {
					pages = append(pages, it.Key+"="+it.Value)
				}
				if page.Next == "" {
					break
				}
				page = m.list("limit=2&prefix=" + p + "&cursor=" + url.QueryEscape(page.Next))
			}
			wantKeys(t, "pages", pages, p+"a=second a", p+"b/1=first b/1", p+"b/2=first b/2", p+"b/deep/3=first b/deep/3", p+"c=first c")

			// The past, and a future that has not come.
			r := m.call(http.MethodGet, fmt.Sprintf("/v1/kv/%sa?revision=%d", p, at-1), nil)
			if string(r.body) != "first a" {
				t.Errorf("a at revision %d: %d %s", at-1, r.status, r.body)
			}
			wantProblem(t, m.call(http.MethodGet, "/v1/kv/"+p+"a?revision=999999", nil), 400, "future_revision", "")
			if r := m.call(http.MethodGet, fmt.Sprintf("/v1/kv/%sa?consistency=stale&min_revision=%d", p, at), nil); string(r.body) != "second a" {
				t.Errorf("a at least at revision %d: %d %s", at, r.status, r.body)
			}

			r = m.call(http.MethodGet, "/v1/kv?prefix="+p, nil, "Accept", "application/x-ndjson")
			if n := bytes.Count(r.body, []byte("\n")); r.status != 200 || n != 6 {
				t.Errorf("NDJSON: %d with %d lines: %s", r.status, n, r.body)
			}

			var deleted struct{ Deleted, Revision uint64 }
			if err := m.call(http.MethodDelete, "/v1/kv?dry_run=true&prefix="+p+"b/", nil).decode(200, &deleted); err != nil || deleted.Deleted != 3 {
				t.Errorf("dry run: %+v, %v", deleted, err)
			}
			if err := m.call(http.MethodDelete, "/v1/kv?prefix="+p+"b/", nil).decode(200, &deleted); err != nil || deleted.Deleted != 3 {
				t.Errorf("delete by prefix: %+v, %v", deleted, err)
			}
			wantKeys(t, "after the delete", m.list("prefix="+p).keys(), p+"a", p+"aa", p+"c")
			wantKeys(t, "before the delete", m.list(fmt.Sprintf("prefix=%s&revision=%d", p, deleted.Revision-1)).keys(),
				p+"a", p+"aa", p+"b/1", p+"b/2", p+"b/deep/3", p+"c")
			wantProblem(t, m.call(http.MethodDelete, "/v1/kv?prefix=", nil), 400, "bad_parameter", "not_applied")
			for _, bad := range []string{"limit=-1", "limit=1000000000", "start=b&end=a", "cursor=nonsense"} {
				wantProblem(t, m.call(http.MethodGet, "/v1/kv?"+bad, nil), 400, "bad_parameter", "")
			}
		})
	}

	// A compaction through one member is one on all, and outlives a restart.
	now := leader.put("last", "x")
	if r, err := post(leader, "/v1/compact", fmt.Sprintf(`{"revision":%d}`, now)); err != nil || r.status != 200 {
		t.Fatalf("compact: %v %v", r, err)
	}
	c.waitApplied(10 * time.Second)
	victim := c.followers(leader)[0]
	victim.kill()
	victim.start()
	victim.waitReady(15 * time.Second)
	for _, m := range c.members {
		wantProblem(t, m.call(http.MethodGet, fmt.Sprintf("/v1/kv/last?revision=%d", now-1), nil), 410, "compacted", "")
		m.wantValue("last", "x")
	}
	if r, err := post(leader, "/v1/compact", `{"revision":999999}`); err != nil {
		t.Error(err)
	} else {
		wantProblem(t, r, 400, "future_revision", "not_applied")
	}
}

// Retention keeps history within its bounds on all members, without being asked.
func TestRetention(t *testing.T) {
	t.Parallel()
	c := startCluster(t, 3, "--history-revisions", "50")
	leader := c.leader()
	first := leader.put("k", "0")
	for i := range 500 { // a tenth of all must be over the limit
		leader.put("k", fmt.Sprint(i))
	}
	for _, m := range c.members {
		waitFor(t, 20*time.Second, m.name()+" forgets", func() error {
			r, err := m.get(fmt.Sprintf("/v1/kv/k?revision=%d", first))
			if err == nil {
				err = r.want(http.StatusGone)
			}
			return err
		})
	}
}
