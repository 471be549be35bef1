package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

const testCluster = 0x0123456789abcdef

// fakeMember answers like a member of a cluster that runs.
type fakeMember struct {
	*httptest.Server

	mu       sync.Mutex
	members  []memberDocument
	posted   []newMemberDocument
	failures []func(http.ResponseWriter) // answers of the next POSTs
	down     int                         // answers 503 to so many requests first
}

func newFakeMember(t *testing.T, members ...memberDocument) *fakeMember {
	f := &fakeMember{members: members}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintf(w, `{"id":1,"cluster_id":%q}`, formatClusterID(testCluster))
	})
	mux.HandleFunc("GET /v1/members", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(f.members)
	})
	mux.HandleFunc("POST /v1/members", f.post)
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.down > 0 {
			f.down--
			problem(503, "no_leader")(w)
			return
		}
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func (f *fakeMember) post(w http.ResponseWriter, r *http.Request) {
	var asked newMemberDocument
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil || r.Header.Get("Content-Type") != "application/json" {
		problem(400, "bad_json")(w)
		return
	}
	f.posted = append(f.posted, asked)
	if len(f.failures) > 0 {
		fail := f.failures[0]
		f.failures = f.failures[1:]
		fail(w)
		return
	}
	m := f.add(asked)
	w.WriteHeader(http.StatusCreated)
	_ = json.NewEncoder(w).Encode(m)
}

// add enters a member as the cluster would.
func (f *fakeMember) add(asked newMemberDocument) memberDocument {
	m := memberDocument{ID: asked.ID, Name: asked.Name, PeerURL: asked.PeerURL, ClientURL: asked.ClientURL}
	if m.ID == 0 {
		m.ID = 9
	}
	f.members = append(f.members, m)
	return m
}

func problem(status int, code string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(status)
		fmt.Fprintf(w, `{"status":%d,"code":%q,"detail":"because"}`, status, code)
	}
}

// joinConfig is the settled config of a member on :42379 that joins at url.
func joinConfig(t *testing.T, url string, args ...string) *config {
	t.Helper()
	cfg := configOf(t, append([]string{"--join", url, "--listen-client", "127.0.0.1:42380", "--listen-peer", "127.0.0.1:42379"}, args...)...)
	cfg.settle(&net.TCPAddr{Port: 42380}, &net.TCPAddr{Port: 42379})
	return cfg
}

const ownURL = "http://127.0.0.1:42379"

var threeMembers = []memberDocument{
	{ID: 1, PeerURL: "http://127.0.0.1:12379", Started: true},
	{ID: 2, PeerURL: "http://127.0.0.1:22379", Started: true},
}

func seedsOf(members []memberDocument) map[uint64]string {
	seeds := map[uint64]string{}
	for _, m := range members {
		seeds[m.ID] = m.PeerURL
	}
	return seeds
}

func TestJoin(t *testing.T) {
	added := memberDocument{ID: 4, PeerURL: ownURL + "/"} // as somebody typed it
	asks := func(id uint64, name string) []newMemberDocument {
		return []newMemberDocument{{ID: id, Name: name, PeerURL: ownURL, ClientURL: "http://127.0.0.1:42380", AutoPromote: true}}
	}
	tests := []struct {
		name    string
		args    []string
		members []memberDocument
		arrange func(*fakeMember)
		id      uint64
		posted  []newMemberDocument
	}{
		{"adds itself", nil, threeMembers, nil, 9, asks(0, "")},
		{"adds itself by id and name", []string{"--id", "5", "--name", "db5"}, threeMembers, nil, 5, asks(5, "db5")},
		{"was added before", nil, append(threeMembers[:2:2], added), nil, 4, nil},
		{"was added before under its id", []string{"--id", "4"}, append(threeMembers[:2:2], added), nil, 4, nil},
		{"waits for a leader", nil, threeMembers, func(f *fakeMember) { f.down = 2 }, 9, asks(0, "")},
		{"waits for another change", nil, threeMembers, func(f *fakeMember) {
			f.failures = append(f.failures, problem(409, "config_change_pending"))
		}, 9, append(asks(0, ""), asks(0, "")...)},
		{"finds itself after a lost answer", nil, threeMembers, func(f *fakeMember) {
			f.failures = append(f.failures, func(w http.ResponseWriter) {
				f.add(newMemberDocument{ID: 7, PeerURL: ownURL})
				problem(504, "outcome_unknown")(w)
			})
		}, 7, asks(0, "")},
		{"finds itself when a lost attempt wins", nil, threeMembers, func(f *fakeMember) {
			f.failures = append(f.failures, func(w http.ResponseWriter) {
				f.add(newMemberDocument{ID: 7, PeerURL: ownURL})
				problem(409, "exists")(w)
			})
		}, 7, asks(0, "")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			f := newFakeMember(t, tt.members...)
			if tt.arrange != nil {
				tt.arrange(f)
			}
			p, err := join(t.Context(), joinConfig(t, f.URL, tt.args...), zap.NewNop())
			if err != nil {
				t.Fatal(err)
			}
			want := place{cluster: testCluster, member: tt.id, seeds: seedsOf(threeMembers)}
			if !reflect.DeepEqual(p, want) {
				t.Errorf("place = %+v, want %+v", p, want)
			}
			if !reflect.DeepEqual(f.posted, tt.posted) {
				t.Errorf("posted = %+v, want %+v", f.posted, tt.posted)
			}
		})
	}
}

func TestJoinRefused(t *testing.T) {
	ran := memberDocument{ID: 4, PeerURL: ownURL, Started: true}
	tests := []struct {
		name    string
		args    []string
		members []memberDocument
		failure func(http.ResponseWriter)
		code    int
		want    []string
	}{
		{"has run before", nil, append(threeMembers[:2:2], ran), nil, exitDataDir,
			[]string{"member 4 of cluster 0123456789abcdef has already run", "curl -X DELETE", "/v1/members/4", "without --id"}},
		{"is known under another id", []string{"--id", "5"}, append(threeMembers[:2:2], ran), nil, exitUsage, []string{"--id", "member 4", "--id 4"}},
		{"asks for the id of another", []string{"--id", "2"}, threeMembers, nil, exitUsage, []string{"--id: 2 is the id of http://127.0.0.1:22379"}},
		{"asks for an id of the past", []string{"--id", "3"}, threeMembers, problem(409, "id_removed"), exitUsage, []string{"--id: 3 was removed", "used once"}},
		{"is refused", nil, threeMembers, problem(400, "bad_parameter"), exitUsage, []string{"--join", "400 bad_parameter: because"}},
		{"by another name", nil, threeMembers, problem(421, "bad_host"), exitUsage, []string{"--join", "421 bad_host"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			f := newFakeMember(t, tt.members...)
			if tt.failure != nil {
				f.failures = append(f.failures, tt.failure)
			}
			_, err := join(t.Context(), joinConfig(t, f.URL, tt.args...), zap.NewNop())
			wantExit(t, err, tt.code, tt.want...)
		})
	}
}

func wantExit(t *testing.T, err error, code int, parts ...string) {
	t.Helper()
	e, ok := errors.AsType[*exitError](err)
	if !ok || e.code != code {
		t.Fatalf("error = %v, want one that exits with %d", err, code)
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("error = %q, want it to hold %q", err, p)
		}
	}
}

// What answers at --join may be no kvd at all.
func TestJoinStranger(t *testing.T) {
	for name, h := range map[string]http.HandlerFunc{
		"not found":       http.NotFound,
		"a web page":      func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "<html>") },
		"no cluster id":   func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "{}") },
		"bad cluster id":  func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"cluster_id":"12 "}`) },
		"zero cluster id": func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"cluster_id":"0000000000000000"}`) },
		"a redirect": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "http://127.0.0.1:1/v1/status", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			srv := httptest.NewServer(h)
			defer srv.Close()
			_, err := join(t.Context(), joinConfig(t, srv.URL), zap.NewNop())
			wantExit(t, err, exitUsage, "--join: "+srv.URL, "client URL of a member")
		})
	}
}

// Nobody answers: join tries until it is told to stop.
func TestJoinStops(t *testing.T) {
	srv := httptest.NewServer(nil)
	srv.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	tried := make(chan struct{}, 100)
	go func() {
		_, err := join(ctx, joinConfig(t, srv.URL), logTo(tried))
		ended <- err
	}()
	<-tried
	<-tried
	cause := errors.New("enough")
	cancel(cause)
	if err := <-ended; !errors.Is(err, cause) {
		t.Errorf("join = %v, want %v", err, cause)
	}
}

// logTo returns a logger that signals each line.
func logTo(c chan<- struct{}) *zap.Logger {
	core := zapcore.NewCore(newEncoder("json"), zapcore.AddSync(io.Discard), zapcore.InfoLevel)
	return zap.New(core, zap.Hooks(func(zapcore.Entry) error {
		c <- struct{}{}
		return nil
	}))
}
