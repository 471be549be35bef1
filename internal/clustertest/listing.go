package clustertest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"time"
)

// listed is an item of a listing.
type listed struct {
	Key         string `json:"key"`
	Value       string `json:"value"`
	Value64     []byte `json:"value_base64"`
	ModRevision uint64 `json:"mod_revision"`
}

func (i *listed) version() version {
	if i.Value64 != nil {
		return version{string(i.Value64), i.ModRevision}
	}
	return version{i.Value, i.ModRevision}
}

func versions(items []listed) map[string]version {
	all := make(map[string]version)
	for i := range items {
		all[items[i].Key] = items[i].version()
	}
	return all
}

// claimList takes note of what a listing of one page has found.
func (s *sim) claimList(a *client, prefix string, r *reply) ([]listed, bool) {
	var page struct {
		Revision uint64
		Items    []listed
		Next     string
	}
	if r.status != http.StatusOK {
		return nil, false
	}
	if err := json.Unmarshal(r.body, &page); err != nil || page.Next != "" {
		s.c.violated(fmt.Sprintf("a listing of %q was answered with %.200q: %v", prefix, r.body, err))
		return nil, false
	}
	s.claims.read(readClaim{at: page.Revision, prefix: prefix, found: versions(page.Items), who: fmt.Sprintf("a listing of client %d", a.id)})
	return page.Items, true
}

// listings reads many keys at once: page by page, each from another member, and
// what was at an older revision.
func (s *sim) listings(a *client) {
	for !s.over() {
		a.pause(1500 * time.Millisecond)
		prefix := fmt.Sprintf("r/%d/", time.Since(s.begun)/era)
		if a.rng.IntN(3) == 0 {
			s.readOld(a, prefix)
			continue
		}
		s.pages(a, prefix)
	}
}

func (s *sim) pages(a *client, prefix string) {
	found, at, cursor := make(map[string]version), uint64(0), ""
	for {
		path := "/v1/kv?limit=2&prefix=" + prefix
		if cursor != "" {
			path += "&revision=" + fmt.Sprint(at) + "&cursor=" + url.QueryEscape(cursor)
		}
		r, o := a.once(call{method: "GET", path: path})
		if o != answered || r.status != http.StatusOK {
			return
		}
		var page struct {
			Revision uint64
			Items    []listed
			Next     string
		}
		if err := json.Unmarshal(r.body, &page); err != nil || at != 0 && page.Revision != at {
			s.c.violated(fmt.Sprintf("page of revision %d, after one of %d: %v", page.Revision, at, err))
			return
		}
		at = page.Revision
		for i := range page.Items {
			found[page.Items[i].Key] = page.Items[i].version()
		}
		if cursor = page.Next; cursor == "" {
			break
		}
	}
	s.claims.count("listing in pages")
	s.claims.read(readClaim{at: at, prefix: prefix, found: found, who: "a listing in pages"})
}

// readOld reads what was at some revision of late.
func (s *sim) readOld(a *client, prefix string) {
	newest := s.c.truth.newest()
	if newest == 0 {
		return
	}
	at := newest - a.rng.Uint64N(min(newest, 50))
	r, o := a.once(call{method: "GET", path: fmt.Sprintf("/v1/kv?prefix=%s&revision=%d", prefix, max(at, 1))})
	if o == answered {
		if _, ok := s.claimList(a, prefix, r); ok {
			s.claims.count("read of an old revision")
		}
	}
}

// stale reads what a member has, however old that is, but no older than it says.
func (s *sim) stale(a *client) {
	for !s.over() {
		a.pause(500 * time.Millisecond)
		key := fmt.Sprintf("r/%d/%d", time.Since(s.begun)/era, a.rng.IntN(4))
		path, least := "/v1/kv/"+key+"?consistency=stale", uint64(0)
		switch a.rng.IntN(3) {
		case 0:
			least = s.c.truth.newest()
			path += fmt.Sprintf("&min_revision=%d", least)
		case 1:
			path += "&max_stale=1s"
		}
		r, o := a.once(call{method: "GET", path: path})
		if o != answered {
			continue
		}
		if r.revision() < least {
			s.c.violated(fmt.Sprintf("%s was answered from revision %d", path, r.revision()))
		}
		s.claimRead(a, key, r)
		s.claims.count("stale read")
	}
}

// polls waits for a key to become something else than it was.
func (s *sim) polls(a *client) {
	for !s.over() {
		a.pause(500 * time.Millisecond)
		key := fmt.Sprintf("r/%d/%d", time.Since(s.begun)/era, a.rng.IntN(4))
		r, o := a.once(call{method: "GET", path: "/v1/kv/" + key})
		if o != answered {
			continue
		}
		known := r.etag()
		q := call{method: "GET", path: "/v1/kv/" + key + "?wait=2s", header: make(http.Header)}
		if known > 0 {
			q.header.Set("If-None-Match", tag(known))
		}
		asked, srv := time.Now(), a.member()
		r, o = a.ask(srv, q)
		switch {
		case o != answered || srv.draining.Load(): // then it ends as if its time were up
		case r.status == http.StatusNotModified:
			if took := r.at.Sub(asked); took < 2*time.Second {
				s.c.violated(fmt.Sprintf("a long poll of 2s ended without news after %v", took))
			}
		case r.status == http.StatusNotFound && known == 0: // as it was
		case r.status == http.StatusOK && r.etag() <= known:
			s.c.violated(fmt.Sprintf("a long poll of %s from revision %d was answered with %d", key, known, r.etag()))
		default:
			s.claims.count("long poll with news")
			s.claimRead(a, key, r)
		}
	}
}
