package httpapi

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// A page ends by what it holds, whatever its limit.
func TestPagesHaveALimitInBytes(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxValueBytes = maxPageBytes + 1 })
	f.fill(10, 1<<20)
	page := func(query string) *page {
		t.Helper()
		p, err := parseParams(query, paramsList)
		if err != nil {
			t.Fatal(err)
		}
		l, err := newListing(&p, false)
		if err != nil {
			t.Fatal(err)
		}
		if l.view, err = f.h.cfg.Store.View(t.Context(), p.readOptions()); err != nil {
			t.Fatal(err)
		}
		return l.page()
	}
	for _, query := range []string{"limit=20", "limit=20&reverse=true"} {
		first := page(query)
		if len(first.items) != 8 || first.next == "" {
			t.Fatalf("%s: a page of %d values of 1 MiB, next %q", query, len(first.items), first.next)
		}
		second := page(query + "&cursor=" + first.next)
		if len(second.items) != 2 || second.next != "" {
			t.Errorf("%s: then one of %d, next %q", query, len(second.items), second.next)
		}
		last, next := first.items[7].Key[len(first.items[7].Key)-1], second.items[0].Key[len(second.items[0].Key)-1]
		if last+1 != next && last != next+1 {
			t.Errorf("%s: %c goes on with %c", query, last, next)
		}
	}
	if pg := page("limit=20&keys=true"); len(pg.items) != 10 || pg.next != "" {
		t.Errorf("a page of %d keys without their values", len(pg.items))
	}
	// What is folded counts with what is shown of it.
	if pg := page("separator=/"); len(pg.folds) != 1 || pg.next != "" {
		t.Errorf("folded: %d entries, next %q", len(pg.folds), pg.next)
	}
	// One item is a page, however large.
	f.want(201, "", "PUT", "/v1/kv/a", strings.Repeat("v", maxPageBytes+1))
	if pg := page(""); len(pg.items) != 1 || pg.next == "" {
		t.Errorf("%d entries, next %q", len(pg.items), pg.next)
	}
}

// during is a client that does something else with the first part of an answer
// in its hands, and then goes.
type during struct {
	sink
	first func()
}

func (d *during) Write([]byte) (int, error) {
	d.first()
	return 0, errors.New("gone")
}

func TestListingsAtOnce(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxStreams = 2 })
	f.want(201, "", "PUT", "/v1/kv/k", "v")
	listing := func(first func()) {
		r := httptest.NewRequest("GET", "/v1/kv", nil)
		r.Header.Set("Accept", "application/x-ndjson")
		f.h.ServeHTTP(&during{sink{header: make(http.Header)}, first}, r)
	}
	inside := 0
	for range 2 { // what was taken is given back
		listing(func() {
			listing(func() {
				inside++
				doc := f.wantProblem(429, "overloaded", "", "GET", "/v1/kv", "", ndjson)
				if !strings.Contains(doc.Detail, "listings") {
					t.Errorf("got detail %q", doc.Detail)
				}
				f.want(200, "", "GET", "/v1/kv", "")
				f.want(200, "", "GET", "/v1/kv?count=true", "", ndjson)
				f.want(200, "", "GET", "/v1/kv/k", "")
			})
			f.want(200, "", "GET", "/v1/kv", "", ndjson)
		})
	}
	if n := f.h.listings.Load(); inside != 2 || n != 0 {
		t.Errorf("%d times inside, %d listings left", inside, n)
	}
	if _, err := New(Config{Store: f.h.cfg.Store, Stats: f.machine, Cluster: f.cluster, MaxStreams: -1}); err == nil {
		t.Error("a negative number of streams was taken")
	}
}
