package client

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
)

// shelf serves listings of keys by lines, from any member, and cuts them.
type shelf struct {
	keys  []string // in order, at revision
	asked []url.Values
	cut   func() int // bytes until the cut; negative: there is none
	newer bool       // the store has moved on since: only revision 5 is known
}

func (s *shelf) RoundTrip(r *http.Request) (*http.Response, error) {
	q := r.URL.Query()
	s.asked = append(s.asked, q)
	reply := func(status int, contentType, body string, tail io.Reader) (*http.Response, error) {
		h := http.Header{"Content-Type": {contentType}, "Kvd-Revision": {"5"}}
		return &http.Response{StatusCode: status, Header: h, Body: io.NopCloser(io.MultiReader(strings.NewReader(body), tail)), Request: r}, nil
	}
	if s.newer && q.Get("revision") != "5" {
		return reply(500, "text/plain", "the moment is lost", strings.NewReader(""))
	}
	if p := q.Get("prefix"); p != "" && (q.Get("start") != "" || q.Get("end") != "") {
		return reply(400, "text/plain", "prefix and range", strings.NewReader(""))
	}
	var b strings.Builder
	keys := slices.Clone(s.keys)
	if q.Get("reverse") == "true" {
		slices.Reverse(keys)
	}
	for _, key := range keys {
		if strings.HasPrefix(key, q.Get("prefix")) && key >= q.Get("start") && (q.Get("end") == "" || key < q.Get("end")) {
			name, text := "key", any(key)
			if newText(key).plain == nil {
				name, text = "key_base64", []byte(key)
			}
			line, _ := json.Marshal(map[string]any{name: text, "value": "v", "mod_revision": 1, "create_revision": 1, "version": 1, "content_type": "a/b"})
			b.Write(line)
			b.WriteByte('\n')
		}
	}
	body := b.String()
	s.newer = true
	if n := s.cut(); n >= 0 && n < len(body) {
		return reply(200, "application/x-ndjson", body[:n], failing{})
	}
	return reply(200, "application/x-ndjson", body, strings.NewReader(""))
}

// A listing by lines shows one moment, whole and once, however often it is cut.
func TestAllResumes(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			rnd := rand.New(rand.NewPCG(seed, 3))
			s := &shelf{cut: func() int { return rnd.IntN(1500) - 100 }}
			for range 60 {
				s.keys = append(s.keys, []string{"a/", "a\xff", "b", "\xff"}[rnd.IntN(4)]+fmt.Sprint(rnd.IntN(1000)))
			}
			slices.Sort(s.keys)
			s.keys = slices.Compact(s.keys)
			o := &ListOptions{Reverse: rnd.IntN(2) == 0, Prefix: []string{"", "a", "a\xff", "\xff"}[rnd.IntN(4)]}
			if o.Prefix == "" {
				o.Start, o.End = []string{"", "a/5"}[rnd.IntN(2)], []string{"", "b5"}[rnd.IntN(2)]
			}
			var want []string
			for _, key := range s.keys {
				if strings.HasPrefix(key, o.Prefix) && key >= o.Start && (o.End == "" || key < o.End) {
					want = append(want, key)
				}
			}
			c, err := New(Config{Endpoints: []string{"http://a", "http://b"}, HTTPClient: &http.Client{Transport: s}})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for e, err := range c.All(t.Context(), o) {
				if err != nil {
					t.Fatalf("seed %d: %v after %d of %d", seed, err, len(got), len(want))
				}
				got = append(got, e.Key)
			}
			if want = sorted(want, o.Reverse); !slices.Equal(got, want) {
				t.Errorf("seed %d: %+v: asked %v\ngot  %q\nwant %q", seed, o, s.asked, got, want)
			}
		})
	}
}

// A listing may be left early, and an error is its last entry.
func TestAllEnds(t *testing.T) {
	s := &shelf{keys: []string{"a", "b", "c"}, cut: func() int { return -1 }}
	c, err := New(Config{Endpoints: []string{"http://a"}, HTTPClient: &http.Client{Transport: s}})
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for range c.All(t.Context(), nil) {
		if n++; n == 2 {
			break
		}
	}
	if n != 2 || len(s.asked) != 1 {
		t.Errorf("%d entries of %d streams", n, len(s.asked))
	}
	lines := http.Header{"Content-Type": {"application/x-ndjson"}}
	for name, r := range map[string]reply{
		"refused":      problemReply(410, "compacted", ""),
		"bad JSON":     {status: 200, header: lines, body: "{\"key\":\"a\"}\n{\n"},
		"no key":       {status: 200, header: lines, body: "{\"key\":\"a\"}\n{}\n"},
		"endless line": {status: 200, header: lines, body: strings.Repeat("x", 3000)},
	} {
		c, _ := newScript(t, Config{MaxAnswerBytes: 1000}, r)
		var last error
		for e, err := range c.All(t.Context(), nil) {
			if last != nil || err != nil && e.Key != "" {
				t.Errorf("%s: %+v, %v after %v", name, e, err, last)
			}
			last = err
		}
		if _, ok := errors.AsType[*Error](last); !ok {
			t.Errorf("%s: ended by %v", name, last)
		}
	}
}

// Pages are followed by their cursors, and their entries stand in order.
func TestAllPages(t *testing.T) {
	page := func(reverse bool) []reply {
		first := `{"items":[{"key":"a"},{"key":"c"}],"prefixes":["b/"],"next":"x"}`
		last := `{"items":[],"prefixes":["d/"],"prefixes_base64":["/w=="]}`
		if reverse {
			first = `{"items":[{"key":"c"},{"key":"a"}],"prefixes":["b/"],"next":"x"}`
			last = `{"items":[],"prefixes":["_"],"prefixes_base64":[]}`
		}
		return []reply{{status: 200, body: first}, {status: 200, body: last}}
	}
	for _, tt := range []struct {
		reverse bool
		want    string
	}{{false, "a [b/] c [d/] [\xff]"}, {true, "c [b/] a [_]"}} {
		c, s := newScript(t, Config{}, page(tt.reverse)...)
		var got []string
		for e, err := range c.All(t.Context(), &ListOptions{Separator: "/", Reverse: tt.reverse, Limit: 3}) {
			switch {
			case err != nil:
				t.Fatal(err)
			case e.Prefix != "":
				got = append(got, "["+e.Prefix+"]")
			default:
				got = append(got, e.Key)
			}
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
		if len(s.sent) != 2 || !strings.Contains(s.sent[1].query, "cursor=x&limit=3") {
			t.Errorf("sent %+v", s.sent)
		}
	}
	// An error after a page.
	c, _ := newScript(t, Config{}, page(false)[0], problemReply(410, "compacted", ""))
	n := 0
	for _, err := range c.All(t.Context(), &ListOptions{Separator: "/"}) {
		if n++; (err != nil) != (n == 4) || err != nil && !errors.Is(err, ErrCompacted) {
			t.Errorf("entry %d: %v", n, err)
		}
	}
}

func TestPrefixEnd(t *testing.T) {
	for prefix, want := range map[string]string{"": "", "a": "b", "a\xff": "b", "\xff\xff": "", "a\x00": "a\x01"} {
		if got := prefixEnd(prefix); got != want {
			t.Errorf("%q: got %q, want %q", prefix, got, want)
		}
	}
}
