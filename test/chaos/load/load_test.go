package load

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kvd/test/chaos/history"
)

// testClient is a client of one member, which answers as h says.
func testClient(t *testing.T, h http.HandlerFunc) *client {
	t.Helper()
	return clientOf(t, testServer(t, h))
}

func testServer(t *testing.T, h http.HandlerFunc) *httptest.Server {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func clientOf(t *testing.T, s *httptest.Server) *client {
	t.Helper()
	w, err := history.Create(filepath.Join(t.TempDir(), "h"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.Close(); err != nil {
			t.Error(err)
		}
	})
	l := New(Config{
		Endpoints: func() []Endpoint { return []Endpoint{{"m1", s.URL}} },
		Dial:      new(net.Dialer).DialContext, History: w, Seed: 1,
	})
	c := newClient(l, 1, rand.New(rand.NewPCG(1, 1)))
	t.Cleanup(c.close)
	return c
}

// What an answer means: a write is refused for certain only where the answer
// says so, and an answer that nothing explains is a surprise.
func TestOutcomes(t *testing.T) {
	problem := func(code, outcome string) string { return fmt.Sprintf(`{"code":%q,"outcome":%q}`, code, outcome) }
	for _, test := range []struct {
		name     string
		kind     history.Kind
		status   int // 0: the connection breaks
		body     string
		want     history.Outcome
		surprise bool
	}{
		{"put", history.Put, 201, "", history.OK, false},
		{"replaced", history.Put, 204, "", history.OK, false},
		{"condition", history.Put, 412, problem("precondition_failed", "not_applied"), history.OK, false},
		{"condition without outcome", history.Put, 412, problem("precondition_failed", ""), history.OK, true},
		{"no lease", history.Put, 404, problem("not_found", "not_applied"), history.OK, false},
		{"no leader", history.Put, 503, problem("no_leader", "not_applied"), history.Failed, false},
		{"no leader, in doubt", history.Put, 503, problem("no_leader", "unknown"), history.Unknown, false},
		{"no leader, not said", history.Put, 503, problem("no_leader", ""), history.Unknown, true},
		{"overloaded", history.Put, 429, problem("overloaded", "not_applied"), history.Failed, false},
		{"unknown", history.Put, 504, problem("outcome_unknown", "unknown"), history.Unknown, false},
		{"full", history.Put, 507, problem("no_space", "not_applied"), history.Failed, false},
		{"broken", history.Put, 0, "", history.Unknown, false},
		{"no document", history.Put, 500, "oops", history.Unknown, true},
		{"internal", history.Put, 500, problem("internal", "unknown"), history.Unknown, true},
		{"reused", history.Put, 422, problem("idempotency_mismatch", "not_applied"), history.Failed, true},
		{"read", history.Get, 200, "x", history.OK, false},
		{"no key", history.Get, 404, problem("not_found", ""), history.OK, false},
		{"read without leader", history.Get, 503, problem("no_leader", ""), history.Failed, false},
		{"read too late", history.Get, 504, problem("timeout", ""), history.Failed, false},
		{"read, broken", history.Get, 0, "", history.Failed, false},
		{"history gone", history.Get, 410, problem("compacted", ""), history.OK, false},
		{"ahead", history.Get, 400, problem("future_revision", ""), history.OK, false},
		{"bad", history.Get, 400, problem("bad_parameter", ""), history.Failed, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
				if test.status == 0 {
					panic(http.ErrAbortHandler)
				}
				w.Header().Set("Kvd-Revision", "7")
				w.WriteHeader(test.status)
				_, _ = w.Write([]byte(test.body))
			})
			o := c.begin(&history.Op{Kind: test.kind, Key: "k", Value: "v"})
			if test.kind == history.Get {
				c.get(o)
			} else {
				c.write(o)
			}
			if o.Outcome != test.want {
				t.Errorf("got %s, want %s", o.Outcome, test.want)
			}
			if test.status != 0 && (o.Revision != 7 || o.Status != test.status || o.Conn == 0) {
				t.Errorf("got %+v", o)
			}
			if list, n := c.l.tally.Surprises(); (n > 0) != test.surprise {
				t.Errorf("surprises: got %q, want %v", list, test.surprise)
			}
		})
	}
}

// A member that is not there has done nothing.
func TestRefusedConnection(t *testing.T) {
	c := testClient(t, nil)
	c.to = Endpoint{"gone", "http://127.0.0.1:1"}
	o := c.begin(&history.Op{Kind: history.Put, Key: "k", Value: "v"})
	c.write(o)
	if o.Outcome != history.Failed {
		t.Errorf("got %s, want failed", o.Outcome)
	}
}

// A request that went out over a connection that then broke is in doubt, also
// when the transport tried again by itself and nobody listened any more.
func TestBrokenThenRefused(t *testing.T) {
	var n atomic.Int64
	var s *httptest.Server
	s = testServer(t, func(w http.ResponseWriter, r *http.Request) {
		if n.Add(1) > 1 {
			s.Listener.Close()
			panic(http.ErrAbortHandler)
		}
		w.WriteHeader(201)
	})
	c := clientOf(t, s)
	for i, want := range []history.Outcome{history.OK, history.Unknown, history.Failed} {
		o := c.begin(&history.Op{Kind: history.Put, Key: "k", Value: "v", IdempotencyKey: "i"})
		c.write(o)
		if o.Outcome != want {
			t.Errorf("%d: got %s, want %s", i, o.Outcome, want)
		}
	}
}

// An attempt that surely failed does not take back that the one before it may
// have happened.
func TestRepeat(t *testing.T) {
	const refused = `{"code":"no_leader","outcome":"not_applied"}`
	for _, test := range []struct {
		name    string
		answers []int // 504: in doubt; 503: refused; then the last for ever
		want    history.Outcome
		tries   int
	}{
		{"at once", []int{204}, history.OK, 1},
		{"in the end", []int{503, 504, 503, 204}, history.OK, 4},
		{"never, for certain", []int{503}, history.Failed, triesPerIncrement},
		{"never, in doubt", []int{503, 504, 503}, history.Unknown, triesPerIncrement},
	} {
		t.Run(test.name, func(t *testing.T) {
			var n atomic.Int64
			c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Header.Get("Idempotency-Key") != "i" {
					t.Error("the idempotency key is missing")
				}
				status := test.answers[min(int(n.Add(1)), len(test.answers))-1]
				w.WriteHeader(status)
				if status == 504 {
					fmt.Fprint(w, `{"code":"outcome_unknown","outcome":"unknown"}`)
				} else if status == 503 {
					fmt.Fprint(w, refused)
				}
			})
			o := c.begin(&history.Op{Kind: history.Increment, Key: "k", Value: "1", IdempotencyKey: "i"})
			ctx := quick{t.Context()}
			c.repeat(ctx, o, func() { c.write(o) })
			if o.Outcome != test.want || o.Tries != test.tries {
				t.Errorf("got %s after %d tries, want %s after %d", o.Outcome, o.Tries, test.want, test.tries)
			}
		})
	}
}

// quick is a context whose Done is closed while its Err is nil: pauses end at
// once, and nothing else does.
type quick struct{ context.Context }

func (quick) Done() <-chan struct{} {
	c := make(chan struct{})
	close(c)
	return c
}

// A second answer to one idempotency key that differs from the first is found.
func TestAgain(t *testing.T) {
	for _, test := range []struct {
		name     string
		replayed string
		revision string
		surprise bool
	}{
		{"the same", "true", "7", false},
		{"not a replay", "", "7", true},
		{"an older one", "true", "6", true},
	} {
		c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Idempotent-Replay", test.replayed)
			w.Header().Set("Kvd-Revision", test.revision)
			w.WriteHeader(201)
		})
		o := c.begin(&history.Op{Kind: history.Increment, Key: "k", IdempotencyKey: "i", Outcome: history.OK, Status: 201, Hit: true, Revision: 7, Tries: 1})
		c.again(o, func() { c.write(o) })
		if _, n := c.l.tally.Surprises(); (n > 0) != test.surprise {
			t.Errorf("%s: %d surprises, want %v", test.name, n, test.surprise)
		}
		if o.Revision != 7 || o.Replayed || o.Tries != 2 {
			t.Errorf("%s: the first answer did not stand: %+v", test.name, o)
		}
	}
}

// No key gets more operations than its check can bear.
func TestGroup(t *testing.T) {
	g := New(Config{}).newGroup("g")
	counts := map[string]int{}
	for range 3 * opsPerKey {
		counts[g.key()]++
	}
	if len(counts) < 3 {
		t.Errorf("%d keys for %d operations", len(counts), 3*opsPerKey)
	}
	for key, n := range counts {
		if n > opsPerKey {
			t.Errorf("%s has %d operations", key, n)
		}
	}
}

// A transaction is sent as the API wants it, and its results are taken down.
func TestTransaction(t *testing.T) {
	var got string
	c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		var body any
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		b, err := json.Marshal(body)
		if err != nil {
			t.Error(err)
		}
		got = string(b)
		fmt.Fprint(w, `{"succeeded":true,"revision":9,"results":[{"put":{"created":true,"mod_revision":9}},{"get":null},{"delete":{"deleted":1}}]}`)
	})
	x := &transactor{client: c, revs: map[string]uint64{}}
	o := c.begin(&history.Op{Kind: history.Txn, Txn: &history.TxnOp{
		If:   []history.Compare{{Key: "a", Target: "exists", Exists: false}, {Key: "b", Target: "mod_revision", Op: "eq", Number: 4}},
		Then: []history.Step{{Kind: history.Put, Key: "a", Value: "1"}, {Kind: history.Get, Key: "b"}, {Kind: history.Delete, Key: "c"}},
		Else: []history.Step{{Kind: history.List, Prefix: "p", Limit: 3}},
	}})
	x.txnOnce(o)
	want := `{"else":[{"range":{"limit":3,"prefix":"p"}}],"if":[{"exists":false,"key":"a"},{"key":"b","mod_revision":{"eq":4}}],` +
		`"then":[{"put":{"key":"a","value":"1"}},{"get":{"key":"b"}},{"delete":{"key":"c"}}]}`
	if got != want {
		t.Errorf("sent %s\nwant %s", got, want)
	}
	r := o.Txn.Results
	if !o.Hit || o.Revision != 9 || len(r) != 3 || !r[0].Created || r[0].Seen[0].ModRevision != 9 || r[1].Seen != nil || r[2].Deleted != 1 {
		t.Errorf("got %+v, %+v", o, r)
	}
}

// A watcher writes down what came, and goes on from the last id.
func TestWatcher(t *testing.T) {
	var asked []string
	streams := []string{
		"id: 3\nevent: progress\ndata: {\"type\":\"progress\",\"revision\":3}\n\n" +
			"event: put\ndata: {\"type\":\"put\",\"key\":\"p/a\",\"value\":\"1\",\"mod_revision\":4,\"create_revision\":4,\"version\":1,\"prev\":null}\n\n" +
			"id: 4\nevent: delete\ndata: {\"type\":\"delete\",\"key\":\"p/b\",\"mod_revision\":4}\n\n" +
			"id: 5\nevent: put\ndata: {\"type\":\"put\",\"key\":\"p/a\"", // cut off
		"event: reset\ndata: {\"type\":\"reset\",\"oldest_revision\":9}\n\n",
		"",
	}
	c := testClient(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		asked = append(asked, cmp.Or(q.Get("since"), r.Header.Get("Last-Event-ID"), "now"))
		fmt.Fprint(w, streams[len(asked)-1])
	})
	w := &watcher{client: c, number: 1, what: watched{prefixes: []string{"p/"}}}
	for range streams {
		w.step(t.Context())
	}
	if got := strings.Join(asked, " "); got != "now 4 now" {
		t.Errorf("asked for %s, want now, 4, and now after a reset", got)
	}
	if n := c.l.tally.Events(); n != 2 {
		t.Errorf("%d events, want 2", n)
	}
	if list, n := c.l.tally.Surprises(); n > 0 {
		t.Errorf("surprises: %q", list)
	}
}

// Every member must tell of a write, by itself and soon: one that says nothing, one
// that gives no stream, and one that only tells from time to time how far it is are
// told of, and no other.
func TestSpeak(t *testing.T) {
	var mu sync.Mutex
	revision := 8
	changed := make(chan struct{})
	put := func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		revision++
		close(changed)
		changed = make(chan struct{})
		w.Header().Set("Kvd-Revision", strconv.Itoa(revision))
		w.Header().Set("Kvd-Deleted", "1")
		w.WriteHeader(map[string]int{http.MethodPut: 201, http.MethodDelete: 204}[r.Method])
	}
	progress := func(w http.ResponseWriter, n int) {
		fmt.Fprintf(w, "id: %d\nevent: progress\ndata: {\"type\":\"progress\",\"revision\":%d}\n\n", n, n)
		w.(http.Flusher).Flush()
	}
	var asked atomic.Value
	member := func(watch func(w http.ResponseWriter, r *http.Request)) Endpoint {
		s := testServer(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v1/watch" {
				put(w, r)
				return
			}
			asked.Store(cmp.Or(r.URL.Query().Get("since"), r.Header.Get("Last-Event-ID")))
			watch(w, r)
		})
		return Endpoint{URL: s.URL}
	}
	sound := member(func(w http.ResponseWriter, r *http.Request) {
		for progress(w, 7); ; {
			mu.Lock()
			n, next := revision, changed
			mu.Unlock()
			progress(w, n)
			select {
			case <-next:
			case <-r.Context().Done():
				return
			}
		}
	})
	silent := member(func(w http.ResponseWriter, r *http.Request) {
		progress(w, 8)
		<-r.Context().Done()
	})
	refuses := member(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(503)
		fmt.Fprint(w, `{"code":"stopping"}`)
	})
	mute := member(func(w http.ResponseWriter, r *http.Request) {
		w.(http.Flusher).Flush()
		<-r.Context().Done()
	})
	sound.Name, silent.Name, refuses.Name, mute.Name = "sound", "silent", "refuses", "mute"
	for _, test := range []struct {
		other Endpoint
		want  []string
	}{
		{Endpoint{}, nil},
		{silent, []string{"silent did not tell a watcher of [p/ q/] within 300ms of a write: it is at revision 8"}},
		{refuses, []string{"refuses did not tell a watcher of [p/ q/] within 300ms where it begins", "refuses did not tell a watcher of [p/ q/] within 300ms of a write"}},
		{mute, []string{"mute did not tell a watcher of [p/ q/] within 300ms where it begins", "mute did not tell a watcher of [p/ q/] within 300ms of a write"}},
	} {
		all := []Endpoint{sound}
		if test.other.Name != "" { // who is looked at after it has had time enough all the same
			all = []Endpoint{test.other, sound}
		}
		w, err := history.Create(filepath.Join(t.TempDir(), "h"))
		if err != nil {
			t.Fatal(err)
		}
		l := New(Config{Endpoints: func() []Endpoint { return all }, Dial: new(net.Dialer).DialContext, History: w, Seed: 1})
		l.watchers = []*watcher{{what: watched{prefixes: []string{"p/", "q/"}}, last: 6, begun: true}}
		streams, got := l.Speak(t.Context(), 300*time.Millisecond)
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		if streams != len(all) || len(got) != len(test.want) {
			t.Fatalf("%s: %d streams, %q, want %d and %q", test.other.Name, streams, got, len(all), test.want)
		}
		for i := range got {
			if !strings.HasPrefix(got[i], test.want[i]) {
				t.Errorf("%s: got %q, want %q", test.other.Name, got[i], test.want[i])
			}
		}
		if got := asked.Load(); got != "6" && test.other.Name == "" {
			t.Errorf("it went on from %v, want 6", got)
		}
	}
}
