package httpapi

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"

	"kvd/internal/kvstore"
)

// pages follows the links of a listing to its end.
func (f *fixture) pages(q url.Values, between func()) (all []string, revision uint64) {
	f.t.Helper()
	target := "/v1/kv?" + q.Encode()
	for {
		resp := f.do("GET", target, "")
		link := resp.Header.Get("Link")
		l := decodeList(f.t, resp, resp.Header.Get("Kvd-Revision"))
		all = append(all, l.entries()...)
		if revision != 0 && l.Revision != revision {
			f.t.Fatalf("a page of revision %d after one of %d", l.Revision, revision)
		}
		revision = l.Revision
		if l.Next == "" {
			if link != "" {
				f.t.Fatalf("a link without a cursor: %s", link)
			}
			return all, revision
		}
		if l.Count == 0 {
			f.t.Fatal("an empty page with a cursor")
		}
		q.Set("cursor", l.Next)
		target = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
		if u, err := url.Parse(target); err != nil || u.Path != "/v1/kv" || u.Query().Encode() != q.Encode() {
			f.t.Fatalf("got link %q, want one with %q", link, q.Encode())
		}
		between()
	}
}

// TestPagesShowOneMoment compares listings of random stores, page by page while
// the store changes, with what a map and a loop say.
func TestPagesShowOneMoment(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	word := func(n int) string {
		b := make([]byte, rnd.IntN(n))
		for i := range b {
			b[i] = "ab/\xff"[rnd.IntN(4)]
		}
		return string(b)
	}
	f := newFixture(t)
	model := make(map[string]bool)
	change := func() {
		key := "k" + word(5)
		if rnd.IntN(3) > 0 {
			f.do("PUT", "/v1/kv/"+url.PathEscape(key), "v")
			model[key] = true
		} else {
			f.do("DELETE", "/v1/kv/"+url.PathEscape(key), "")
			delete(model, key)
		}
	}
	for range 60 {
		change()
	}
	for range 250 {
		q := url.Values{"limit": {fmt.Sprint(1 + rnd.IntN(6))}}
		start, end, prefix := "", "\xff\xff\xff\xff\xff\xff\xff\xff\xff", ""
		switch rnd.IntN(3) {
		case 0:
			prefix = ("k" + word(3))[rnd.IntN(2):]
			q.Set("prefix", prefix)
		case 1:
			start, end = "k"+word(4), "k"+word(4)
			if end < start {
				start, end = end, start
			}
			q.Set("start", start)
			q.Set("end", end)
		}
		separator := ""
		if rnd.IntN(2) == 0 {
			separator = []string{"/", "a/", "\xff"}[rnd.IntN(3)]
			q.Set("separator", separator)
		}
		var want []string
		for key := range model {
			if !strings.HasPrefix(key, prefix) || key < start || key >= end {
				continue
			}
			if i := strings.Index(key[len(prefix):], separator); separator != "" && i >= 0 {
				key = "fold " + key[:len(prefix)+i+len(separator)]
			}
			want = append(want, key)
		}
		slices.Sort(want)
		want = slices.Compact(want)
		if rnd.IntN(2) == 0 {
			q.Set("reverse", "true")
		}
		given := q.Encode()
		revision := f.machine.Revision()
		got, at := f.pages(q, change)
		// Items and folds of a page come apart: order is looked at without folds.
		if separator == "" && !slices.IsSortedFunc(got, func(a, b string) int {
			if q.Has("reverse") {
				a, b = b, a
			}
			return strings.Compare(a, b)
		}) {
			t.Fatalf("%s: out of order: %q", given, got)
		}
		slices.Sort(got)
		if !slices.Equal(got, want) || at != revision {
			t.Fatalf("%s: got %q at %d, want %q at %d", given, got, at, want, revision)
		}
	}
}

func TestLinkIsEscaped(t *testing.T) {
	f := newFixture(t)
	for _, key := range []string{"a;<b>\"\xff", "a;<b>\"\xff2"} {
		f.want(201, "", "PUT", "/v1/kv/"+url.PathEscape(key), "")
	}
	resp := f.do("GET", "/v1/kv?&limit=1&&prefix=a;<b>\"\xff&keys=true&", "")
	link := resp.Header.Get("Link")
	const want = "</v1/kv?limit=1&prefix=a%3B%3Cb%3E%22%FF&keys=true&cursor="
	if !strings.HasPrefix(link, want) || strings.Count(link, ">") != 1 {
		t.Fatalf("got %s, want %s…", link, want)
	}
	target := strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	if got := decodeList(t, f.do("GET", target, ""), "2"); len(got.Items) != 1 || got.Next != "" {
		t.Errorf("the next page is %+v", got)
	}
}

// A cursor outlives what it shows by as much as history is kept.
func TestCursorOfCompactedRevision(t *testing.T) {
	f := newTree(t)
	next := url.QueryEscape(f.list("limit=2").Next)
	f.do("PUT", "/v1/kv/d", "")
	f.do("PUT", "/v1/kv/e", "")
	f.want(200, "", "POST", "/v1/compact", `{"revision":10}`)
	doc := f.wantProblem(410, "compacted", "", "GET", "/v1/kv?limit=2&cursor="+next, "")
	if doc.OldestRevision != 10 {
		t.Errorf("the oldest is %d", doc.OldestRevision)
	}
}

func TestLongKeysHaveCursorsThatFit(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	prefix := strings.Repeat("\xff", kvstore.MaxKeyBytes-1)
	for _, last := range "abc" {
		f.want(201, "", "PUT", "/v1/kv/"+url.PathEscape(prefix+string(last)), "")
	}
	c := dial(t, addr)
	target := "/v1/kv?limit=1&prefix=" + url.QueryEscape(prefix)
	for i := range 3 {
		c.send("GET " + target + " HTTP/1.1\r\nHost: localhost\r\n\r\n")
		resp := c.receive("GET")
		if resp.StatusCode != 200 {
			t.Fatalf("page %d: %d %.100s", i, resp.StatusCode, readAll(t, resp))
		}
		link := resp.Header.Get("Link")
		if (link == "") != (i == 2) {
			t.Fatalf("page %d: link %.50q", i, link)
		}
		target = strings.TrimSuffix(strings.TrimPrefix(link, "<"), `>; rel="next"`)
	}
}
