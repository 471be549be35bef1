package httpapi

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/kvstore"
)

// watching is a client in the middle of a watch.
type watching struct {
	*conn
	body *bufio.Reader
}

// watch begins one and reads its first event, which tells where it starts.
func (f *fixture) watch(addr, query string, from uint64, headers ...string) *watching {
	f.t.Helper()
	w := f.openWatch(addr, query, headers...)
	if slices.Contains(headers, sse) {
		w.want(fmt.Sprintf("id: %d", from), "event: progress", fmt.Sprintf(`data: {"type":"progress","revision":%d}`, from), "")
	} else {
		w.want(fmt.Sprintf(`{"type":"progress","revision":%d,"id":%d}`, from, from))
	}
	return w
}

func (f *fixture) openWatch(addr, query string, headers ...string) *watching {
	f.t.Helper()
	c := dial(f.t, addr)
	c.send("GET /v1/watch" + query + " HTTP/1.1\r\nHost: localhost\r\n" + strings.Join(append(headers, "\r\n"), "\r\n"))
	resp, err := http.ReadResponse(c.br, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	if resp.StatusCode != 200 {
		f.t.Fatalf("watch %s: %d %s", query, resp.StatusCode, readAll(f.t, resp))
	}
	return &watching{conn: c, body: bufio.NewReader(resp.Body)}
}

const sse = "Accept: text/event-stream"

func (w *watching) line() string {
	w.t.Helper()
	line, err := w.body.ReadString('\n')
	if err != nil {
		w.t.Fatalf("read a line of a watch: %v", err)
	}
	return strings.TrimSuffix(line, "\n")
}

func (w *watching) want(lines ...string) {
	w.t.Helper()
	for _, want := range lines {
		if got := w.line(); got != want {
			w.t.Fatalf("got  %.500s\nwant %.500s", got, want)
		}
	}
}

// wantEnd checks that the stream ends, as a stream should.
func (w *watching) wantEnd() {
	w.t.Helper()
	if rest, err := io.ReadAll(w.body); err != nil || len(rest) > 0 {
		w.t.Fatalf("got %.200q and %v at the end", rest, err)
	}
}

const typed = `"content_type":"application/octet-stream"}`

func putLine(key string, mod, created, version int) string {
	return fmt.Sprintf(`{"type":"put","key":"%s","value":"%d","mod_revision":%d,"create_revision":%d,"version":%d,"content_type":"application/octet-stream"`, key, mod, mod, created, version)
}

func TestWatchLines(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	put := func(key, value string) { f.do("PUT", "/v1/kv/"+key, value) }
	put("a/1", "1")
	put("b", "2")
	now := f.watch(addr, "?prefix=a/&key=x&prefix=c", 2)
	all := f.watch(addr, "?since=0", 0)
	none := f.watch(addr, "?prefix=", 2)
	put("a/1", "3")
	put("b", "4")
	f.do("DELETE", "/v1/kv/a/1", "")
	put("x", "6")
	put("xx", "7")
	put("c%FF", "8")

	now.want(putLine("a/1", 3, 1, 2)+`,"id":3}`, `{"type":"delete","key":"a/1","mod_revision":5,"id":5}`, putLine("x", 6, 6, 1)+`,"id":6}`,
		`{"type":"put","key_base64":"Y/8=","value":"8","mod_revision":8,"create_revision":8,"version":1,"content_type":"application/octet-stream","id":8}`)
	all.want(putLine("a/1", 1, 1, 1)+`,"id":1}`, putLine("b", 2, 2, 1)+`,"id":2}`, putLine("a/1", 3, 1, 2)+`,"id":3}`)
	none.want(putLine("a/1", 3, 1, 2) + `,"id":3}`)

	deletes := f.watch(addr, "?since=0&events=expire,delete&key_base64=YS8x&prev=true", 0)
	deletes.want(`{"type":"delete","key":"a/1","mod_revision":5,"prev":{"key":"a/1","value":"3","mod_revision":3,"create_revision":1,"version":2,` + typed + `,"id":5}`)
	prev := f.watch(addr, "?since=4&key=x&prefix_base64=YS8&prev=true", 4)
	prev.want(`{"type":"delete","key":"a/1","mod_revision":5,"prev":{"key":"a/1","value":"3","mod_revision":3,"create_revision":1,"version":2,`+typed+`,"id":5}`,
		putLine("x", 6, 6, 1)+`,"prev":null,"id":6}`)
}

func TestWatchServerSentEvents(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	for i := range 3 {
		f.do("PUT", fmt.Sprintf("/v1/kv/k%d", i), fmt.Sprint(i+1))
	}
	w := f.watch(addr, "?prefix=k", 3, sse)
	f.do("DELETE", "/v1/kv?prefix=k", "")
	w.want("event: delete", `data: {"type":"delete","key":"k0","mod_revision":4}`, "",
		"event: delete", `data: {"type":"delete","key":"k1","mod_revision":4}`, "",
		"id: 4", "event: delete", `data: {"type":"delete","key":"k2","mod_revision":4}`, "")
	// A browser connects again with the same URL and the last id.
	w = f.watch(addr, "?since=0&key=k1", 1, sse, "Last-Event-ID: 1")
	w.want("id: 2", "event: put", "data: "+putLine("k1", 2, 2, 1)+"}", "",
		"id: 4", "event: delete", `data: {"type":"delete","key":"k1","mod_revision":4}`, "")
	f.watch(addr, "", 2, "Last-Event-ID: 2").want(putLine("k2", 3, 3, 1) + `,"id":3}`)

	resp := f.do("HEAD", "/v1/watch?since=2", "", sse)
	wantHeader(t, resp, map[string]string{"Content-Type": "text/event-stream", "Cache-Control": "no-store", "Vary": "Accept", "X-Content-Type-Options": "nosniff", "X-Accel-Buffering": "no"})
	if got := readAll(t, resp); resp.StatusCode != 200 || got != "" {
		t.Errorf("HEAD: %d %q", resp.StatusCode, got)
	}
	for accept, want := range map[string]bool{
		"text/event-stream": true, "text/event-stream, */*": true, "Text/Event-Stream;q=0.9, */*;q=0.8": true,
		"*/*": false, "": false, "application/x-ndjson, text/event-stream": false, "text/event-stream;q=0": false, "text/event-stream;q=0.1, */*": false,
	} {
		if got := wantsEvents([]string{accept}); got != want {
			t.Errorf("Accept %q: %v", accept, got)
		}
	}
}

func TestWatchErrors(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxWatches = 1; c.Timeout = 50 * time.Millisecond })
	f.fill(5, 1)
	f.do("POST", "/v1/compact", `{"revision":3}`)
	if doc := f.wantProblem(410, "compacted", "", "GET", "/v1/watch?since=2", ""); doc.OldestRevision != 3 {
		t.Errorf("got %+v", doc)
	}
	f.wantProblem(400, "future_revision", "", "GET", "/v1/watch?since=6", "")
	f.wantProblem(400, "future_revision", "", "GET", "/v1/watch?since=18446744073709551615&consistency=stale", "")
	for query, parameter := range map[string]string{
		"since=x": "since", "since=-1": "since", "since=1&since=2": "since", "key=": "key", "key_base64=": "key_base64", "key_base64==": "key_base64",
		"events=": "events", "events=put,put": "events", "events=progress": "events", "events=put,": "events",
		"prefix=" + strings.Repeat("a", 4097): "prefix", "start=a": "start", "limit=1": "limit", "revision=1": "revision", "max_stale=1s": "max_stale", "wait=1s": "wait",
		strings.Repeat("key=a&", maxWatched) + "key=b": "key", strings.Repeat("key=a&", maxWatched) + "prefix=b": "prefix",
	} {
		if doc := f.wantProblem(400, "bad_parameter", "", "GET", "/v1/watch?"+query, ""); doc.Parameter != parameter {
			t.Errorf("%.50s: got %+v", query, doc)
		}
	}
	for _, id := range []string{"", "x", "-1", "1.5", "18446744073709551616", "4 "} {
		r := httptest.NewRequest("GET", "/v1/watch?since=4", nil)
		r.Header["Last-Event-Id"] = []string{id}
		w := httptest.NewRecorder()
		f.h.ServeHTTP(w, r)
		if doc := checkProblem(t, w.Result(), 400, "bad_parameter", ""); doc.Parameter != "Last-Event-ID" {
			t.Errorf("%q: got %+v", id, doc)
		}
	}
	f.wantProblem(400, "bad_parameter", "", "GET", "/v1/watch", "", "Last-Event-ID: 1", "Last-Event-ID: 2")
	f.wantProblem(405, "method_not_allowed", notApplied, "POST", "/v1/watch", "")

	f.log.set(func(l *directLog) { l.readErr = kvstore.ErrNoLeader })
	f.wantProblem(503, "no_leader", "", "GET", "/v1/watch", "")
	resp := f.want(200, "", "HEAD", "/v1/watch?consistency=stale", "")
	wantHeader(t, resp, map[string]string{"Kvd-Staleness": "0s"})
	f.log.set(func(l *directLog) { l.readErr, l.blocked = nil, true })
	f.wantProblem(503, "no_leader", "", "GET", "/v1/watch?timeout=1ms", "")
	f.log.set(func(l *directLog) { l.blocked = false })

	addr := f.serve(ServerConfig{})
	w := f.watch(addr, "?timeout=1ms", 5)
	f.wantProblem(429, "overloaded", "", "GET", "/v1/watch", "")
	f.wantProblem(429, "overloaded", "", "GET", "/v1/kv/none?wait=1s", "")
	f.want(200, "v", "GET", "/v1/kv/key/00000001?wait=1s", "")
	f.h.Drain()
	w.wantEnd()
	f.wantProblem(503, "stopping", "", "GET", "/v1/watch", "")
	f.h.Drain()
	if got := f.machine.Watchers(); got != 0 {
		t.Errorf("%d watchers are left", got)
	}
}

func TestWatchProgress(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.ProgressEvery = time.Millisecond })
	addr := f.serve(ServerConfig{BodyTimeout: 20 * time.Millisecond, WriteTimeout: time.Nanosecond})
	w := f.watch(addr, "?key=none", 0)
	for i := range 100 {
		if i%3 == 0 {
			f.do("PUT", "/v1/kv/other", "v")
		}
		w.line()
	}
	want := f.machine.Revision()
	for line := ""; line != fmt.Sprintf(`{"type":"progress","revision":%d,"id":%d}`, want, want); {
		line = w.line()
	}
}

// Progress never stands between two events of one revision, and each revision
// has its id on its last event.
func TestWatchNeverSplitsARevision(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.ProgressEvery = 100 * time.Microsecond })
	addr := f.serve(ServerConfig{})
	w := f.watch(addr, "?events=delete", 0)
	f.fill(1000, 1)
	f.do("DELETE", "/v1/kv?prefix=&confirm=all", "")
	for seen, done := 0, false; !done; {
		var e struct {
			Type string
			Key  string
			ID   uint64
		}
		if err := json.Unmarshal([]byte(w.line()), &e); err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case "delete":
			if want := fmt.Sprintf("key/%08d", seen); e.Key != want || e.ID > 0 != (seen == 999) {
				t.Fatalf("event %d: %+v", seen, e)
			}
			seen++
			done = seen == 1000
		case "progress":
			if seen > 0 || e.ID > 1000 {
				t.Fatalf("progress %d after %d events of revision 1001", e.ID, seen)
			}
		}
	}
}

// TestWatchResumes cuts streams anywhere and goes on from their last ids: what
// was delivered up to these is everything, once, in order.
func TestWatchResumes(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	f := newFixture(t, func(c *Config) { c.ProgressEvery = time.Millisecond })
	addr := f.serve(ServerConfig{})
	for range 300 {
		key := fmt.Sprintf("/v1/kv/%c/%d", "ab"[rnd.IntN(2)], rnd.IntN(30))
		switch rnd.IntN(8) {
		case 0:
			f.do("DELETE", key, "")
		case 1:
			f.do("DELETE", "/v1/kv?prefix="+[]string{"a/1", "b/", "a/2"}[rnd.IntN(3)], "")
		default:
			f.do("PUT", key, strings.Repeat("v", rnd.IntN(2000)))
		}
	}
	var want []kvstore.Event
	watcher, err := f.h.cfg.Store.Watch(t.Context(), kvstore.WatchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer watcher.Close()
	for buf, at := make([]kvstore.Event, 10), uint64(0); at < f.machine.Revision(); at = watcher.Progress() {
		events, err := watcher.Next(t.Context(), buf)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range events {
			if strings.HasPrefix(string(e.Key), "a/") {
				want = append(want, e)
			}
		}
	}

	var got []string
	for last := uint64(0); last < f.machine.Revision(); {
		w := f.openWatch(addr, fmt.Sprintf("?prefix=a/&since=%d", last))
		var open []string // events without an id after them
		for range 1 + rnd.IntN(40) {
			var e struct {
				Type        string
				Key         string
				ModRevision uint64 `json:"mod_revision"`
				ID          *uint64
			}
			if err := json.Unmarshal([]byte(w.line()), &e); err != nil {
				t.Fatal(err)
			}
			if e.Type != "progress" {
				open = append(open, fmt.Sprintf("%s %s %d", e.Type, e.Key, e.ModRevision))
			}
			if e.ID == nil {
				continue
			}
			if *e.ID < last {
				t.Fatalf("id %d after %d", *e.ID, last)
			}
			got, open, last = append(got, open...), nil, *e.ID
			if last == f.machine.Revision() {
				break
			}
		}
		w.Close()
	}
	if len(got) != len(want) {
		t.Fatalf("%d events, want %d", len(got), len(want))
	}
	for i, e := range want {
		if text := fmt.Sprintf("%s %s %d", eventNames[e.Type], e.Key, e.ModRevision); got[i] != text {
			t.Fatalf("event %d is %s, want %s", i, got[i], text)
		}
	}
}

// A client that falls behind the history is told so, after all that was there
// for it, and the stream ends.
func TestWatchReset(t *testing.T) {
	for _, accept := range []string{"Accept: */*", sse} {
		f := newFixture(t)
		addr := f.serve(ServerConfig{})
		w := f.watch(addr, "?since=0", 0, accept)
		// More than any socket takes, and then more than is taken at once.
		const large, size, events = 24, 1 << 20, 24 + 2*manyEvents
		value := strings.Repeat("v", size)
		for i := range events {
			if i == large {
				value = "v"
			}
			f.do("PUT", "/v1/kv/k", value)
		}
		f.want(200, "", "POST", "/v1/compact", fmt.Sprintf(`{"revision":%d}`, events))
		var last string
		seen := 0
		for {
			line, err := w.body.ReadString('\n')
			if err == io.EOF {
				break
			}
			if err != nil {
				t.Fatal(err)
			}
			if line = strings.TrimSpace(strings.TrimPrefix(line, "data: ")); line == "" || line[0] != '{' {
				continue
			}
			if last = line; strings.Contains(line, `"type":"put"`) {
				if seen++; !strings.Contains(line, fmt.Sprintf(`"mod_revision":%d,`, seen)) || seen <= large && len(line) < size {
					t.Fatalf("event %d: %.150s", seen, line)
				}
			}
		}
		if want := fmt.Sprintf(`{"type":"reset","oldest_revision":%d}`, events); last != want || seen == 0 || seen >= events {
			t.Errorf("%d events, then %.100s; want some, then %s", seen, last, want)
		}
		if got := f.h.metrics.watchResets.Load(); got != 1 {
			t.Errorf("%d resets counted", got)
		}
	}
}

// Neither a watch that waits nor one whose client does not read holds up a
// shutdown.
func TestWatchesEndWhenDraining(t *testing.T) {
	f := newFixture(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := NewServer(f.h, ServerConfig{ErrorLog: log.New(io.Discard, "", 0)})
	served := make(chan error, 1)
	go func() { served <- srv.Serve(ln) }()
	waiting := f.watch(ln.Addr().String(), "?key=none", 0)
	dial(t, ln.Addr().String()).send("GET /v1/watch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n") // and no body
	f.watch(ln.Addr().String(), "", 0)
	for range 24 {
		f.do("PUT", "/v1/kv/k", strings.Repeat("v", 1<<20))
	}
	f.h.Drain()
	ctx, cancel := context.WithTimeout(t.Context(), answerTime/2)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		t.Errorf("shutdown: %v", err)
	}
	waiting.wantEnd()
	if err := <-served; !errors.Is(err, http.ErrServerClosed) {
		t.Errorf("serve: %v", err)
	}
	if got := f.machine.Watchers(); got != 0 {
		t.Errorf("%d watchers are left", got)
	}
}

// A client that goes is missed at once, with nothing to write to it.
func TestWatchEndsWithItsClient(t *testing.T) {
	f := newFixture(t)
	ended := make(chan struct{}, 1)
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.h.ServeHTTP(w, r)
		ended <- struct{}{}
	}))
	srv.Config = newServer(srv.Config.Handler, ServerConfig{})
	srv.Start()
	defer srv.Close()
	w := f.watch(srv.Listener.Addr().String(), "", 0)
	if got := f.h.metrics.watches.Load(); got != 1 {
		t.Errorf("%d watches", got)
	}
	w.Close()
	<-ended
	if got := f.h.metrics.watches.Load(); got != 0 {
		t.Errorf("%d watches are left", got)
	}
}

// wall is a client that takes some bytes and then holds up whoever writes, as a
// full socket does.
type wall struct {
	sink
	takes    int
	deadline time.Time
	largest  int
}

func (c *wall) SetWriteDeadline(t time.Time) error { c.deadline = t; return nil }
func (c *wall) SetReadDeadline(time.Time) error    { return nil }
func (c *wall) FlushError() error                  { return nil }

func (c *wall) Write(b []byte) (int, error) {
	c.largest = max(c.largest, len(b))
	if c.takes--; c.takes < 0 {
		time.Sleep(time.Until(c.deadline))
		return 0, errors.New("deadline passed")
	}
	return c.sink.Write(b)
}

func TestWatchCutsOffWhoDoesNotRead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFixture(t)
		for range 4 {
			f.do("PUT", "/v1/kv/k", strings.Repeat("v", 1<<20))
		}
		c := &wall{sink: sink{header: make(http.Header)}, takes: 20}
		start := time.Now()
		f.h.ServeHTTP(c, httptest.NewRequest("GET", "/v1/watch?since=0&prev=true", nil))
		if took := time.Since(start); took < answerTime-rearm || took > answerTime {
			t.Errorf("cut off after %v", took)
		}
		if c.largest > 64<<10 {
			t.Errorf("%d bytes written at once", c.largest)
		}
		// Who reads nothing because there is nothing is left alone for hours.
		c = &wall{sink: sink{header: make(http.Header)}, takes: 1000}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Hour)
		defer cancel()
		f.h.ServeHTTP(c, httptest.NewRequest("GET", "/v1/watch", nil).WithContext(ctx))
		if left := 1000 - c.takes; left < 3*3600/15 || left > 3*3600/15+2 {
			t.Errorf("%d writes in three hours", left)
		}
	})
}

func TestWatchMetrics(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{})
	w := f.watch(addr, "", 0)
	f.do("PUT", "/v1/kv/k", "1")
	w.line()
	f.do("PUT", "/v1/kv/k", "1")
	w.line()
	body := readAll(t, f.do("GET", "/metrics", ""))
	for _, line := range []string{"kvd_watchers 1", "kvd_watch_events_total 2", "kvd_watch_resets_total 0"} {
		if !strings.Contains(body, "\n"+line) {
			t.Errorf("no %s", line)
		}
	}
}

// FuzzWatchParams: whatever is taken of a watch's query and Last-Event-ID is what
// url.ParseQuery reads there.
func FuzzWatchParams(f *testing.F) {
	for _, s := range []string{"", "prefix=a&prefix=b&key=c", "key_base64=YQ&since=7", "events=put,delete", "events=expire,", "since=1&since=1", "prefix=&prev=true&consistency=stale", "key=", "timeout=1s"} {
		f.Add(s, "", false)
		f.Add(s, "12", true)
	}
	f.Add("since=1", "-1", true)
	f.Fuzz(func(t *testing.T, query, id string, hasID bool) {
		p, err := parseParams(query, paramsWatch)
		var o kvstore.WatchOptions
		if err == nil {
			header := http.Header{}
			if hasID {
				header["Last-Event-Id"] = []string{id}
			}
			o, err = p.watchOptions(header)
		}
		if err != nil {
			if !errors.Is(err, errBadParameter) {
				t.Fatalf("%q: %v", query, err)
			}
			return
		}
		values, err := url.ParseQuery(query)
		if err != nil {
			t.Fatalf("%q was taken: %v", query, err)
		}
		since := values.Get("since")
		if hasID {
			since = id
		}
		if o.FromNow != (since == "" && !hasID) || !o.FromNow && strings.TrimLeft(since, "0") != strings.TrimLeft(fmt.Sprint(o.Since), "0") {
			t.Fatalf("%q and id %q: from %d, now %v", query, id, o.Since, o.FromNow)
		}
		if len(o.Keys) != len(values["key"])+len(values["key_base64"]) || len(o.Prefixes) != len(values["prefix"])+len(values["prefix_base64"]) ||
			len(o.Keys)+len(o.Prefixes) > maxWatched || o.Stale != (values.Get("consistency") == "stale") {
			t.Fatalf("%q: got %+v", query, o)
		}
		for _, key := range o.Keys {
			if len(key) == 0 || len(key) > kvstore.MaxKeyBytes {
				t.Fatalf("%q: a key of %d bytes", query, len(key))
			}
		}
		var names []string
		for _, typ := range o.Types {
			names = append(names, eventNames[typ])
		}
		if strings.Join(names, ",") != values.Get("events") {
			t.Fatalf("%q: types %v", query, names)
		}
	})
}
