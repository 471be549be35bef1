package httpapi

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

const ndjson = "Accept: application/x-ndjson"

func TestLines(t *testing.T) {
	f := newTree(t)
	resp := f.do("GET", "/v1/kv?prefix=a/&separator=/", "", ndjson)
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "8", "Content-Type": "application/x-ndjson", "Vary": "Accept", "X-Content-Type-Options": "nosniff"})
	const rest = `"version":1,"content_type":"application/octet-stream"}`
	want := `{"key":"a/1","value":"1","mod_revision":2,"create_revision":2,` + rest + "\n" +
		`{"key":"a/2","value":"2","mod_revision":3,"create_revision":3,` + rest + "\n" +
		`{"prefix":"a/b/"}` + "\n" + `{"prefix_base64":"YS//Lw=="}` + "\n"
	if got := readAll(t, resp); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	f.want(200, `{"key":"c","mod_revision":8,"create_revision":8,`+rest+"\n", "GET", "/v1/kv?start=c&keys=true", "", ndjson)
	f.want(200, `{"key_base64":"YS//LzE=","value":"5","mod_revision":6,"create_revision":6,`+rest+"\n", "GET", "/v1/kv?prefix_base64=YS//&reverse=true", "", ndjson)

	// A cursor of a page goes on in lines.
	next := f.list("limit=7").Next
	if got := readAll(t, f.do("GET", "/v1/kv?cursor="+next, "", ndjson)); strings.Count(got, "\n") != 1 || !strings.HasPrefix(got, `{"key":"c"`) {
		t.Errorf("after the cursor: %q", got)
	}
	resp = f.want(200, "", "HEAD", "/v1/kv", "", ndjson)
	wantHeader(t, resp, map[string]string{"Kvd-Revision": "8", "Content-Type": "application/x-ndjson"})
	if got := readAll(t, f.do("HEAD", "/v1/kv", "", ndjson)); got != "" {
		t.Errorf("HEAD with a body: %q", got)
	}

	for accept, lines := range map[string]bool{
		"*/*": false, "application/json": false, "application/x-ndjson, */*": false, "application/x-ndjson;q=0": false,
		"application/x-ndjson, application/json": false, "application/json;q=0.5, application/x-ndjson": true, "Application/X-NDJSON": true,
	} {
		resp := f.do("GET", "/v1/kv", "", "Accept: "+accept)
		if got := resp.Header.Get("Content-Type") == "application/x-ndjson"; got != lines {
			t.Errorf("Accept %q: lines %v, want %v", accept, got, lines)
		}
	}
}

// fill writes n keys with values of size bytes, without HTTP.
func (f *fixture) fill(n, size int) {
	f.t.Helper()
	value := []byte(strings.Repeat("v", size))
	for i := range n {
		if _, err := f.h.cfg.Store.Put(f.t.Context(), fmt.Appendf(nil, "key/%08d", i), value, kvstore.PutOptions{}); err != nil {
			f.t.Fatal(err)
		}
	}
}

// The deadline for an answer starts anew with each part of it: here it has
// passed before anything is written.
func TestStreamsOutliveWriteDeadline(t *testing.T) {
	f := newFixture(t)
	f.fill(3000, 100)
	addr := f.serve(ServerConfig{WriteTimeout: time.Nanosecond})
	for accept, more := range map[string]string{"application/x-ndjson": "", "application/json": "&limit=3000"} {
		c := dial(t, addr)
		c.send("GET /v1/kv?keys=true" + more + " HTTP/1.1\r\nHost: localhost\r\nAccept: " + accept + "\r\n\r\n")
		resp := c.receive("GET")
		body := readAll(t, resp)
		if accept == "application/json" {
			if l := decodeList(t, &http.Response{Body: io.NopCloser(strings.NewReader(body))}, resp.Header.Get("Kvd-Revision")); len(l.Items) != 3000 {
				t.Errorf("a page of %d items", len(l.Items))
			}
			continue
		}
		n := 0
		for line := range strings.Lines(body) {
			if n++; !json.Valid([]byte(line)) {
				t.Fatalf("line %d: %q", n, line)
			}
		}
		if n != 3000 {
			t.Errorf("%d lines", n)
		}
	}
}

// deaf is a client that reads a little and then no more.
type deaf struct {
	sink
	takes     int
	refused   int
	deadlines []time.Time
}

func (d *deaf) Write(b []byte) (int, error) {
	if d.takes--; d.takes < 0 {
		d.refused++
		return 0, errors.New("deadline passed")
	}
	return d.sink.Write(b)
}

func (d *deaf) SetWriteDeadline(t time.Time) error {
	d.deadlines = append(d.deadlines, t)
	return nil
}

func (d *deaf) SetReadDeadline(time.Time) error { return nil }

func TestStreamsEndWhenNobodyReads(t *testing.T) {
	f := newFixture(t)
	f.fill(5000, 100)
	for accept, query := range map[string]string{"application/x-ndjson": "", "application/json": "?limit=5000"} {
		r := httptest.NewRequest("GET", "/v1/kv"+query, nil)
		r.Header.Set("Accept", accept)
		d := &deaf{sink: sink{header: make(http.Header)}, takes: 3}
		start := time.Now()
		f.h.ServeHTTP(d, r)
		if d.refused != 1 || d.n < 3*streamChunk || d.n > 3*streamChunk+3*1024 {
			t.Errorf("%s: %d bytes taken, then %d more writes", accept, d.n, d.refused)
		}
		if len(d.deadlines) != 4 || !slices.IsSortedFunc(d.deadlines, time.Time.Compare) || d.deadlines[0].Sub(start) < answerTime {
			t.Errorf("%s: deadlines %v", accept, d.deadlines)
		}
	}
}

// A long listing costs as much memory as a short one.
func TestStreamsAreFlat(t *testing.T) {
	cost := func(n int) float64 {
		f := newFixture(t)
		f.fill(n, 50)
		r := httptest.NewRequest("GET", "/v1/kv", nil)
		r.Header.Set("Accept", "application/x-ndjson")
		w := &deaf{sink: sink{header: make(http.Header)}, takes: 1 << 30, deadlines: make([]time.Time, 0, 1<<10)}
		return testing.AllocsPerRun(5, func() {
			w.reset()
			w.deadlines = w.deadlines[:0]
			f.h.ServeHTTP(w, r)
			if w.n < n*50 {
				t.Fatalf("%d bytes of %d items", w.n, n)
			}
		})
	}
	short, long := cost(1_000), cost(20_000)
	if long > short+10 {
		t.Errorf("%v allocations for 1,000 items, %v for 20,000", short, long)
	}
}

func BenchmarkListLines(b *testing.B) {
	f := newFixture(b)
	f.fill(10_000, 128)
	r := httptest.NewRequest("GET", "/v1/kv", nil)
	r.Header.Set("Accept", "application/x-ndjson")
	w := &deaf{sink: sink{header: make(http.Header)}, takes: 1 << 30}
	b.ReportAllocs()
	for b.Loop() {
		w.reset()
		w.deadlines = w.deadlines[:0]
		f.h.ServeHTTP(w, r)
	}
	b.SetBytes(int64(w.n))
}

func BenchmarkListPage(b *testing.B) {
	f := newFixture(b)
	f.fill(10_000, 128)
	r := httptest.NewRequest("GET", "/v1/kv?prefix=key/0000&limit=100", nil)
	w := &sink{header: make(http.Header)}
	b.ReportAllocs()
	for b.Loop() {
		w.reset()
		f.h.ServeHTTP(w, r)
	}
}
