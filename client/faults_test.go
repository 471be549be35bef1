package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// fakeCluster is what its members share: a store that does each request once,
// by its key.
type fakeCluster struct {
	mu      sync.Mutex
	values  map[string]string
	results map[string]int // status, by idempotency key
	writes  int
}

func (s *fakeCluster) serve(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := strings.TrimPrefix(r.URL.Path, kvPath)
	if r.Method == http.MethodGet {
		v, ok := s.values[key]
		if !ok {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(404)
			fmt.Fprint(w, `{"status":404,"code":"not_found"}`)
			return
		}
		io.WriteString(w, v)
		return
	}
	status, again := s.results[r.Header.Get("Idempotency-Key")]
	if again {
		w.Header().Set("Idempotent-Replay", "true")
	} else {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		status = 201
		s.values[key] = string(body)
		s.results[r.Header.Get("Idempotency-Key")] = status
		s.writes++
	}
	w.Header().Set("ETag", `"1"`)
	w.WriteHeader(status)
}

// fault is what goes wrong at a member. It answers itself, or returns false.
type fault func(w http.ResponseWriter, r *http.Request, s *fakeCluster) bool

// sick answers the first n requests with the fault.
func sick(n int, f fault) fault {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request, s *fakeCluster) bool {
		mu.Lock()
		n--
		now := n >= 0
		mu.Unlock()
		return now && f(w, r, s)
	}
}

// waitForEnd waits until the client has gone, which net/http notices only when
// the body was read.
func waitForEnd(r *http.Request) bool {
	_, _ = io.Copy(io.Discard, r.Body)
	<-r.Context().Done()
	return true
}

func cutConnection(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(err)
	}
	conn.Close()
}

var (
	healthy fault = func(http.ResponseWriter, *http.Request, *fakeCluster) bool { return false }
	hangs   fault = func(_ http.ResponseWriter, r *http.Request, _ *fakeCluster) bool { return waitForEnd(r) }
	closes  fault = func(w http.ResponseWriter, _ *http.Request, _ *fakeCluster) bool { cutConnection(w); return true }
	writes  fault = func(w http.ResponseWriter, r *http.Request, s *fakeCluster) bool {
		s.serve(httptest.NewRecorder(), r) // and the answer is lost
		cutConnection(w)
		return true
	}
	half fault = func(w http.ResponseWriter, r *http.Request, s *fakeCluster) bool {
		rec := httptest.NewRecorder()
		s.serve(rec, r)
		w.Header().Set("Content-Length", "1000")
		w.WriteHeader(rec.Code)
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		cutConnection(w)
		return true
	}
	trickles fault = func(w http.ResponseWriter, r *http.Request, _ *fakeCluster) bool {
		w.Header().Set("Content-Length", "1000")
		io.WriteString(w, "half")
		http.NewResponseController(w).Flush()
		return waitForEnd(r)
	}
	noLeader fault = func(w http.ResponseWriter, _ *http.Request, _ *fakeCluster) bool {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(503)
		fmt.Fprint(w, `{"status":503,"code":"no_leader","outcome":"not_applied"}`)
		return true
	}
)

// newCluster starts a server a member and returns a Client of all of them.
func newCluster(t *testing.T, cfg Config, members ...fault) (*Client, *fakeCluster) {
	t.Helper()
	s := &fakeCluster{values: map[string]string{}, results: map[string]int{}}
	for _, f := range members {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !f(w, r, s) {
				s.serve(w, r)
			}
		}))
		t.Cleanup(srv.Close)
		cfg.Endpoints = append(cfg.Endpoints, srv.URL)
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close) // before the servers, which wait for idle connections
	return c, s
}

// overBoth runs a test over connections of the Client's own, and over net/http.
func overBoth(t *testing.T, test func(*testing.T, Config)) {
	t.Run("own", func(t *testing.T) { test(t, Config{}) })
	t.Run("net-http", func(t *testing.T) {
		h := ownHTTPClient()
		defer h.CloseIdleConnections()
		test(t, Config{HTTPClient: h})
	})
}

// A write is done once, and a read is whole, whatever happens on the way.
func TestFaults(t *testing.T) { overBoth(t, testFaults) }

func testFaults(t *testing.T, cfg Config) {
	for _, tt := range []struct {
		name     string
		members  []fault
		replayed bool
	}{
		{"hung", []fault{hangs, healthy}, false},
		{"closed", []fault{closes, healthy}, false},
		{"no leader, then one", []fault{sick(3, noLeader), sick(2, noLeader)}, false},
		{"answer lost after the write", []fault{writes, healthy}, true},
		{"answer lost twice", []fault{writes, writes, healthy}, true},
		{"answer lost, one member", []fault{sick(2, writes)}, true},
		{"answer cut", []fault{half, healthy}, false},
		{"answer stuck", []fault{trickles, healthy}, false},
		{"all of it", []fault{sick(1, hangs), sick(1, noLeader), sick(2, writes), sick(1, closes)}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, s := newCluster(t, Config{HTTPClient: cfg.HTTPClient, AttemptTimeout: 300 * time.Millisecond}, tt.members...)
			put, err := c.Put(t.Context(), "k", []byte("v"), nil)
			if err != nil {
				t.Fatal(err)
			}
			if tt.replayed && !put.Replayed {
				t.Errorf("got %+v, want a replay", put)
			}
			got, err := c.Get(t.Context(), "k", nil)
			if err != nil || string(got.Value) != "v" {
				t.Errorf("got %+v, %v", got, err)
			}
			if s.writes != 1 {
				t.Errorf("written %d times", s.writes)
			}
		})
	}
}

// A change of the membership whose answer is lost is not sent again, and one
// that nobody took is.
func TestMembershipFaults(t *testing.T) {
	c, _ := newCluster(t, Config{}, closes, func(http.ResponseWriter, *http.Request, *fakeCluster) bool {
		t.Error("sent again")
		return false
	})
	err := c.RemoveMember(t.Context(), 3, false)
	if e, ok := errors.AsType[*Error](err); !ok || e.Outcome != OutcomeUnknown || e.Attempts != 1 {
		t.Errorf("got %v", err)
	}

	// Nobody listens at the first, so that nothing can have been sent.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	deaf := "http://" + l.Addr().String()
	l.Close()
	taken := 0
	c, _ = newCluster(t, Config{Endpoints: []string{deaf}}, sick(1, noLeader), func(w http.ResponseWriter, _ *http.Request, _ *fakeCluster) bool {
		taken++
		w.WriteHeader(http.StatusNoContent)
		return true
	})
	if err := c.RemoveMember(t.Context(), 3, false); err != nil || taken != 1 {
		t.Errorf("got %v, taken %d times", err, taken)
	}
	only, err := New(Config{Endpoints: []string{deaf}, Timeout: 200 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer only.Close()
	if err := only.RemoveMember(t.Context(), 3, false); !errors.Is(err, context.DeadlineExceeded) || errors.Is(err, ErrOutcomeUnknown) {
		t.Errorf("got %v", err)
	}
}

// Redirects are not followed: kvd sends none.
func TestRedirect(t *testing.T) { overBoth(t, testRedirect) }

func testRedirect(t *testing.T, cfg Config) {
	c, s := newCluster(t, cfg, func(w http.ResponseWriter, r *http.Request, _ *fakeCluster) bool {
		if r.URL.Path == kvPath+"k" {
			http.Redirect(w, r, kvPath+"other", http.StatusTemporaryRedirect)
			return true
		}
		return false
	})
	_, err := c.Put(t.Context(), "k", nil, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Status != 307 || s.writes != 0 {
		t.Errorf("got %v, %d writes", err, s.writes)
	}
}

// Keys reach a server as they are: net/http cleans nothing on the way.
func TestKeysOnTheWire(t *testing.T) { overBoth(t, testKeysOnTheWire) }

func testKeysOnTheWire(t *testing.T, cfg Config) {
	c, s := newCluster(t, cfg, healthy)
	keys := []string{"a//b", "../x", "/", "a/..", "%2F", "a?b", "a#b", "\x00\xff", "//", ".", "http://a"}
	for _, key := range keys {
		if _, err := c.Put(t.Context(), key, []byte(key), nil); err != nil {
			t.Errorf("%q: %v", key, err)
		}
		if got, err := c.Get(t.Context(), key, nil); err != nil || string(got.Value) != key {
			t.Errorf("%q: got %+v, %v", key, got, err)
		}
	}
	if len(s.values) != len(keys) {
		t.Errorf("%d keys became %d", len(keys), len(s.values))
	}
}

// A connection is used for as many calls as it serves, errors among them.
func TestConnectionsAreKept(t *testing.T) { overBoth(t, testConnectionsAreKept) }

func testConnectionsAreKept(t *testing.T, cfg Config) {
	var mu sync.Mutex
	var from []string
	c, _ := newCluster(t, cfg, func(_ http.ResponseWriter, r *http.Request, _ *fakeCluster) bool {
		mu.Lock()
		defer mu.Unlock()
		if !slices.Contains(from, r.RemoteAddr) {
			from = append(from, r.RemoteAddr)
		}
		return false
	})
	for i := range 20 {
		_, _ = c.Get(t.Context(), "missing", nil)
		if _, err := c.Put(t.Context(), fmt.Sprint(i), make([]byte, 100), nil); err != nil {
			t.Error(err)
		}
	}
	if len(from) != 1 {
		t.Errorf("%d connections", len(from))
	}
}

// A watch whose stream is cut in the middle of a revision goes on with another
// member; Close leaves nothing behind.
func TestWatchOverConnections(t *testing.T) {
	event := func(id, key string, rev int) string {
		return fmt.Sprintf("%sevent: put\ndata: {\"type\":\"put\",\"key\":%q,\"value\":\"v\",\"mod_revision\":%d}\n\n", id, key, rev)
	}
	whole := event("id: 4\n", "a", 4) + event("", "b", 5) + event("", "c", 5) + event("id: 5\n", "d", 5)
	stream := func(text string, end func(w http.ResponseWriter, r *http.Request)) fault {
		return func(w http.ResponseWriter, r *http.Request, _ *fakeCluster) bool {
			w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
			if since := r.URL.Query().Get("since"); since != "" {
				io.WriteString(w, progressFrame(4))
				text = text[strings.Index(text, "event: put\ndata: {\"type\":\"put\",\"key\":\"b\""):]
			} else {
				io.WriteString(w, progressFrame(3))
			}
			io.WriteString(w, text)
			http.NewResponseController(w).Flush()
			end(w, r)
			return true
		}
	}
	c, _ := newCluster(t, Config{},
		stream(whole[:strings.LastIndex(whole, "id: 5")+9], func(w http.ResponseWriter, _ *http.Request) { cutConnection(w) }),
		stream(whole, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	w, err := c.Watch(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	var got []string
	for range 4 {
		ev, err := w.Next()
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, ev.Item.Key)
	}
	if !slices.Equal(got, []string{"a", "b", "c", "d"}) || w.Revision() != 5 {
		t.Errorf("got %q, revision %d", got, w.Revision())
	}
}
