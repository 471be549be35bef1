package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// listJSON is the answer of a listing as a client reads it.
type listJSON struct {
	Revision       uint64
	Count          int
	Items          []itemJSON
	Prefixes       []string
	PrefixesBase64 [][]byte `json:"prefixes_base64"`
	Next           string
}

// entries are the keys, and the prefixes with a mark in front.
func (l *listJSON) entries() []string {
	var all []string
	for _, it := range l.Items {
		all = append(all, it.key())
	}
	for _, p := range l.Prefixes {
		all = append(all, "fold "+p)
	}
	for _, p := range l.PrefixesBase64 {
		all = append(all, "fold "+string(p))
	}
	return all
}

func (j *itemJSON) key() string {
	if j.Key != nil {
		return *j.Key
	}
	return string(j.KeyBase64)
}

func (f *fixture) list(query string) *listJSON {
	f.t.Helper()
	resp := f.do("GET", "/v1/kv?"+query, "")
	return decodeList(f.t, resp, resp.Header.Get("Kvd-Revision"))
}

func decodeList(t testing.TB, resp *http.Response, revision string) *listJSON {
	t.Helper()
	l := new(listJSON)
	body := readAll(t, resp)
	dec := json.NewDecoder(strings.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(l); err != nil {
		t.Fatalf("%v: %q", err, body)
	}
	if fmt.Sprint(l.Revision) != revision {
		t.Errorf("revision %d in the body, %s in the header", l.Revision, revision)
	}
	return l
}

// newTree has keys below a/ and b/, plain and not UTF-8: revisions 1 to 8.
func newTree(t testing.TB) *fixture {
	f := newFixture(t)
	for i, key := range []string{"a", "a/1", "a/2", "a/b/1", "a/b/2", "a/\xff/1", "b/1", "c"} {
		f.want(201, "", "PUT", "/v1/kv/"+url.PathEscape(key), fmt.Sprint(i))
	}
	return f
}

func TestList(t *testing.T) {
	f := newTree(t)
	for _, tt := range []struct {
		query string
		want  []string
	}{
		{"", []string{"a", "a/1", "a/2", "a/b/1", "a/b/2", "a/\xff/1", "b/1", "c"}},
		{"prefix=", []string{"a", "a/1", "a/2", "a/b/1", "a/b/2", "a/\xff/1", "b/1", "c"}},
		{"prefix=a/b", []string{"a/b/1", "a/b/2"}},
		{"prefix=a%2F%FF", []string{"a/\xff/1"}},
		{"prefix_base64=YS//", []string{"a/\xff/1"}},
		{"prefix=none", nil},
		{"start=a/2&end=b", []string{"a/2", "a/b/1", "a/b/2", "a/\xff/1"}},
		{"start=b", []string{"b/1", "c"}},
		{"end=a/1", []string{"a"}},
		{"start=a&end=a", nil},
		{"start_base64=YS//&end_base64=Yw==", []string{"a/\xff/1", "b/1"}},
		{"limit=2", []string{"a", "a/1"}},
		{"limit=2&reverse=true", []string{"c", "b/1"}},
		{"reverse=true&start=a/2&end=b", []string{"a/\xff/1", "a/b/2", "a/b/1", "a/2"}},
		{"separator=/", []string{"a", "c", "fold a/", "fold b/"}},
		{"separator=/&reverse=true", []string{"c", "a", "fold b/", "fold a/"}},
		{"separator=/&prefix=a/", []string{"a/1", "a/2", "fold a/b/", "fold a/\xff/"}},
		{"separator=/&prefix=a/b/1", []string{"a/b/1"}},
		{"separator=/&start=a/2&end=a/b/2", []string{"fold a/"}},
		{"separator=/&start=a/b/2&reverse=true", []string{"c", "fold b/", "fold a/"}},
		{"separator=/b/", []string{"a", "a/1", "a/2", "a/\xff/1", "b/1", "c", "fold a/b/"}},
		{"separator=%FF", []string{"a", "a/1", "a/2", "a/b/1", "a/b/2", "b/1", "c", "fold a/\xff"}},
		{"separator=/&limit=2", []string{"a", "fold a/"}}, // a fold is one entry
		{"consistency=stale", []string{"a", "a/1", "a/2", "a/b/1", "a/b/2", "a/\xff/1", "b/1", "c"}},
	} {
		got := f.list(tt.query)
		if !slices.Equal(got.entries(), tt.want) || got.Count != len(tt.want) || got.Revision != 8 {
			t.Errorf("%s: got %q, count %d, revision %d; want %q", tt.query, got.entries(), got.Count, got.Revision, tt.want)
		}
		count := f.list("count=true&" + strings.Replace(tt.query, "limit=2", "", 1))
		if !strings.Contains(tt.query, "limit") && (count.Count != len(tt.want) || count.Items != nil) {
			t.Errorf("%s: counted %+v, want %d", tt.query, count, len(tt.want))
		}
	}
}

func TestListForm(t *testing.T) {
	f := newFixture(t)
	f.want(200, `{"revision":0,"count":0,"items":[]}`+"\n", "GET", "/v1/kv", "")
	f.want(200, `{"revision":0,"count":0,"items":[],"prefixes":[]}`+"\n", "GET", "/v1/kv?separator=/", "")
	f.want(200, `{"revision":0,"count":0}`+"\n", "GET", "/v1/kv?count=true", "")
	f.do("PUT", "/v1/kv/k", `<"v">`, "Content-Type: text/plain")
	f.do("PUT", "/v1/kv/%FF", "\xff")
	f.do("PUT", "/v1/kv/z%FF/1", "")
	const k, ff = `"mod_revision":1,"create_revision":1,"version":1,"content_type":"text/plain"}`, `"mod_revision":2,"create_revision":2,"version":1,"content_type":"application/octet-stream"}`
	resp := f.want(200, `{"revision":3,"count":3,"items":[{"key":"k","value":"<\"v\">",`+k+`,{"key_base64":"/w==","value_base64":"/w==",`+ff+`],"prefixes":[],"prefixes_base64":["ev8v"]}`+"\n",
		"GET", "/v1/kv?separator=/", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "3", "Content-Type": "application/json", "Vary": "Accept", "X-Content-Type-Options": "nosniff", "Link": ""})
	f.want(200, `{"revision":3,"count":1,"items":[{"key":"k",`+k+`]}`+"\n", "GET", "/v1/kv?prefix=k&keys=true", "")
	resp = f.want(200, "", "HEAD", "/v1/kv?limit=1", "")
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "3", "Content-Type": "application/json"})
	if link := resp.Header.Get("Link"); !strings.HasPrefix(link, "</v1/kv?limit=1&cursor=") {
		t.Errorf("HEAD: Link %q", link)
	}
}

func TestBadLists(t *testing.T) {
	f := newTree(t)
	next := url.QueryEscape(f.list("prefix=a/&limit=1").Next)
	for query, parameter := range map[string]string{
		"limit=-1":                              "limit",
		"limit=1000000000":                      "limit",
		"limit=0":                               "limit",
		"start=b&end=a":                         "end",
		"start=a&end=":                          "end",
		"prefix=a&start=b":                      "start",
		"prefix=a&end=b":                        "end",
		"cursor=x":                              "cursor",
		"cursor=%00":                            "cursor",
		"cursor=" + next:                        "cursor", // of another range
		"prefix=a&cursor=" + next:               "cursor",
		"start=a/&end=a0&cursor=" + next:        "cursor", // the same range, by other words
		"prefix=a/&reverse=true&cursor=" + next: "cursor",
		"prefix=a/&separator=/&cursor=" + next:  "cursor",
		"prefix=a/&cursor=" + next + "A":        "cursor",
		"prefix=a/&revision=7&cursor=" + next:   "revision",
		"count=true&limit=1":                    "limit",
		"prefix=a/&count=true&cursor=" + next:   "cursor",
		"ca=1":                                  "ca",
		"prev=true":                             "prev",
		"confirm=all":                           "confirm",
	} {
		doc := f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv?"+query, "")
		if doc.Parameter != parameter {
			t.Errorf("%s: the error names %q, want %q", query, doc.Parameter, parameter)
		}
	}
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/kv?limit=1", "", "Accept: application/x-ndjson")
	if got := f.list("prefix=a/&revision=8&limit=9&cursor=" + next).entries(); len(got) != 4 {
		t.Errorf("the cursor went on with %q", got)
	}
}

// FuzzList: whatever the query, the answer is a listing or a bad parameter, and
// what is listed lies in the range asked for.
func FuzzList(f *testing.F) {
	for _, s := range []string{"", "prefix=a", "start=a&end=b", "start=b&end=a", "limit=3", "limit=-1", "limit=1000000000", "cursor=AQAB",
		"separator=/", "separator=/&prefix=a/&reverse=true", "prefix_base64=YS%2F%2F", "prefix=%FF", "end_base64=Yw", "count=true", "keys=true&limit=1",
		"prefix=a%", "revision=3", "revision=99", "min_revision=8", "reverse=false", "separator=%FF&limit=1", "prefix=a&prefix_base64=YQ"} {
		f.Add(s)
	}
	fx := newTree(f)
	f.Fuzz(func(t *testing.T, query string) {
		p, err := parseParams(query, paramsList&^(paramTimeout|paramMinRevision))
		var l *listing
		if err == nil {
			l, err = newListing(&p, false)
		}
		if err != nil {
			if !errors.Is(err, errBadParameter) {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		values, err := url.ParseQuery(strings.ReplaceAll(query, ";", "%3B")) // which it refuses, and RFC 3986 does not
		if err != nil {
			t.Fatalf("%q was taken: %v", query, err)
		}
		if l.view, err = fx.h.cfg.Store.View(t.Context(), p.readOptions()); err != nil {
			return
		}
		pg := l.page()
		if n := len(pg.items) + len(pg.folds) + len(pg.foldsBase64); n > p.many.limit || n > 8 {
			t.Fatalf("%q: %d entries of at most %d", query, n, p.many.limit)
		}
		for _, it := range pg.items {
			if !strings.HasPrefix(string(it.Key), values.Get("prefix")) || string(it.Key) < values.Get("start") || values.Has("end") && string(it.Key) >= values.Get("end") {
				t.Fatalf("%q lists %q", query, it.Key)
			}
			if sep := values.Get("separator"); sep != "" && bytes.Contains(it.Key[len(l.span.prefix):], []byte(sep)) {
				t.Fatalf("%q does not fold %q", query, it.Key)
			}
		}
		if pg.next != "" {
			if c, ok := decodeCursor(pg.next, &l.span); !ok || c.revision != l.view.Revision() {
				t.Fatalf("%q: cursor %q of %+v", query, pg.next, c)
			}
		}
	})
}
