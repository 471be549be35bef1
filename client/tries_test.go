package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Which calls are sent again after which failures, where to, and what is known
// of them in the end.
func TestAttempts(t *testing.T) { overScripts(t, testAttempts) }

func testAttempts(t *testing.T, newScript newScriptFunc) {
	const (
		put    = "put"
		get    = "get"
		add    = "add"
		bare   = "bare" // a put without a key
		compct = "compact"
	)
	noLeader := problemReply(503, "no_leader", NotApplied)
	unknown := problemReply(504, "outcome_unknown", OutcomeUnknown)
	proxy := reply{status: 502, body: "<html>bad gateway"}
	diverged := problemReply(503, "diverged", NotApplied).after(1)
	failed := problemReply(412, "precondition_failed", NotApplied)
	full := problemReply(507, "no_space", NotApplied)
	got := reply{status: 200, body: "v", header: http.Header{"Etag": {`"7"`}}}
	added := reply{status: 201, body: `{"id":4}`}

	for _, tt := range []struct {
		name    string
		call    string
		replies []reply
		hosts   string // in the order they were asked
		status  int    // of the error; -1: there is none
		outcome Outcome
	}{
		{"at once", put, []reply{created}, "a", -1, ""},
		{"refused", put, []reply{refused, created}, "ab", -1, ""},
		{"lost", put, []reply{lost, created}, "ab", -1, ""},
		{"no leader, twice", put, []reply{noLeader, noLeader, created}, "abc", -1, ""},
		{"all the way round", put, []reply{noLeader, noLeader, noLeader, noLeader, created}, "abcab", -1, ""},
		{"unknown", put, []reply{unknown, created}, "ab", -1, ""},
		{"behind a proxy", put, []reply{proxy, created}, "ab", -1, ""},
		{"silent", put, []reply{silence, created}, "ab", -1, ""},
		{"answer cut", put, []reply{{status: 503, body: "x", cutBody: true}, created}, "ab", -1, ""},
		{"diverged", put, []reply{diverged, created}, "ab", -1, ""},
		{"final", put, []reply{full}, "a", 507, NotApplied},
		{"condition", put, []reply{failed}, "a", 412, NotApplied},
		{"condition after unknown", put, []reply{unknown, failed}, "ab", 412, NotApplied},
		{"mismatch after unknown", put, []reply{unknown, problemReply(422, "idempotency_mismatch", NotApplied)}, "ab", 422, NotApplied},
		{"not found after unknown", put, []reply{unknown, problemReply(404, "not_found", NotApplied)}, "ab", 404, OutcomeUnknown},
		{"full after unknown", put, []reply{unknown, full}, "ab", 507, OutcomeUnknown},
		{"full after not applied", put, []reply{noLeader, refused, full}, "abc", 507, NotApplied},
		{"not kvd's", put, []reply{{status: 403, body: "<html>"}}, "a", 403, OutcomeUnknown},
		{"redirect", put, []reply{{status: 307, header: http.Header{"Location": {"http://b/"}}}}, "a", 307, OutcomeUnknown},
		{"internal", put, []reply{problemReply(500, "internal", OutcomeUnknown)}, "a", 500, OutcomeUnknown},

		{"read", get, []reply{lost, proxy, got}, "abc", -1, ""},
		{"read cut", get, []reply{{status: 200, body: "half", cutBody: true}, got}, "ab", -1, ""},
		{"read diverged", get, []reply{diverged, got}, "ab", -1, ""},
		{"read refused", get, []reply{problemReply(404, "not_found", "")}, "a", 404, ""},

		{"member: refused", add, []reply{refused, added}, "ab", -1, ""},
		{"member: not applied", add, []reply{noLeader, added}, "ab", -1, ""},
		{"member: lost", add, []reply{lost, added}, "a", 0, OutcomeUnknown},
		{"member: unknown", add, []reply{unknown, added}, "a", 504, OutcomeUnknown},
		{"member: proxy", add, []reply{proxy, added}, "a", 502, OutcomeUnknown},
		{"member: pending", add, []reply{problemReply(409, "config_change_pending", NotApplied)}, "a", 409, NotApplied},
		{"no key: refused", bare, []reply{refused, created}, "ab", -1, ""},
		{"no key: diverged", bare, []reply{diverged, created}, "ab", -1, ""},
		{"no key: lost", bare, []reply{lost, created}, "a", 0, OutcomeUnknown},
		{"compaction: lost", compct, []reply{lost, {status: 200, body: "{}"}}, "ab", -1, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t, Config{NoIdempotencyKeys: tt.call == bare}, tt.replies...)
				var err error
				switch tt.call {
				case put, bare:
					_, err = c.Put(t.Context(), "k", []byte("v"), nil)
				case get:
					_, err = c.Get(t.Context(), "k", nil)
				case add:
					_, err = c.AddMember(t.Context(), NewMember{PeerURL: "http://d"})
				case compct:
					err = c.Compact(t.Context(), 3)
				}
				if s.hosts() != tt.hosts {
					t.Errorf("asked %q, want %q", s.hosts(), tt.hosts)
				}
				all := slices.DeleteFunc(s.all(), func(r sent) bool { return r.method == "" }) // which never left
				for _, r := range all {
					if r.key != all[0].key || (r.key != "") != (tt.call == put) {
						t.Errorf("idempotency keys %q and %q", all[0].key, r.key)
					}
					if r.body != all[0].body {
						t.Errorf("bodies %q and %q", all[0].body, r.body)
					}
				}
				if tt.status < 0 {
					if err != nil {
						t.Errorf("got %v", err)
					}
					return
				}
				e, ok := errors.AsType[*Error](err)
				if !ok || e.Status != tt.status || e.Outcome != tt.outcome || e.Attempts != len(tt.hosts) {
					t.Errorf("got %#v, want status %d, outcome %q", err, tt.status, tt.outcome)
				}
				if errors.Is(err, ErrOutcomeUnknown) != (tt.outcome == OutcomeUnknown) {
					t.Errorf("errors.Is(%v, ErrOutcomeUnknown)", err)
				}
			})
		})
	}
}

// A Client stays with the member that has answered well.
func TestStickiness(t *testing.T) { overScripts(t, testStickiness) }

func testStickiness(t *testing.T, newScript newScriptFunc) {
	synctest.Test(t, func(t *testing.T) {
		ok := reply{status: 200}
		c, s := newScript(t, Config{}, ok, ok, lost, ok, ok, problemReply(404, "not_found", ""), ok)
		for range 6 {
			_, _ = c.Get(t.Context(), "k", nil)
		}
		if s.hosts() != "aaabbbb" {
			t.Errorf("asked %q", s.hosts())
		}
		if err := c.Live(t.Context(), "http://c"); err != nil {
			t.Error(err)
		}
		_, _ = c.Get(t.Context(), "k", nil)
		if s.hosts() != "aaabbbbcb" {
			t.Errorf("asked %q after a look at one member", s.hosts())
		}
	})
}

// A member that hangs costs one call of an impatient caller, and not all of
// them.
func TestImpatientCallers(t *testing.T) { overScripts(t, testImpatientCallers) }

func testImpatientCallers(t *testing.T, newScript newScriptFunc) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{}, silence, reply{status: 200})
		for range 2 {
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			_, _ = c.Get(ctx, "k", nil)
			cancel()
		}
		if s.hosts() != "ab" {
			t.Errorf("asked %q", s.hosts())
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{}, silence, reply{status: 200})
		for range 2 {
			ctx, cancel := context.WithCancel(t.Context())
			time.AfterFunc(time.Second, cancel)
			_, _ = c.Get(ctx, "k", nil)
		}
		if s.hosts() != "aa" {
			t.Errorf("asked %q, though it was the caller who gave up", s.hosts())
		}
	})
}

// blind is a transport that tells nothing of its connections.
type blind struct{ sent int }

func (b *blind) RoundTrip(*http.Request) (*http.Response, error) {
	b.sent++
	return nil, errors.New("lost")
}

// Where nothing is known of connections, nothing is taken for certain.
func TestBlindTransport(t *testing.T) {
	b := &blind{}
	c, err := New(Config{Endpoints: []string{"http://a", "http://b"}, HTTPClient: &http.Client{Transport: b}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.RemoveMember(t.Context(), 3, false); !errors.Is(err, ErrOutcomeUnknown) || b.sent != 1 {
		t.Errorf("got %v, sent %d times", err, b.sent)
	}
}

// What is asked of one member is asked once.
func TestOneMember(t *testing.T) { overScripts(t, testOneMember) }

func testOneMember(t *testing.T, newScript newScriptFunc) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{}, problemReply(503, "not_ready", ""))
		if err := c.Ready(t.Context(), "http://b/"); !errors.Is(err, ErrNotReady) {
			t.Errorf("got %v", err)
		}
		if s.hosts() != "b" {
			t.Errorf("asked %q", s.hosts())
		}
		if err := c.Ready(t.Context(), "http://d"); err == nil {
			t.Error("a member that is none of the endpoints was asked")
		}
	})
}

// Retry-After is kept: by the member that said it, and for 429 of a write by
// all, since one leader writes for all.
func TestRetryAfter(t *testing.T) { overScripts(t, testRetryAfter) }

func testRetryAfter(t *testing.T, newScript newScriptFunc) {
	noLeader := problemReply(503, "no_leader", NotApplied).after(2)
	busy := problemReply(429, "overloaded", NotApplied).after(2)
	for _, tt := range []struct {
		name    string
		replies []reply
		hosts   string
		from    time.Duration
		to      time.Duration
	}{
		{"another member is asked at once", []reply{noLeader, created}, "ab", 10 * time.Millisecond, 25 * time.Millisecond},
		{"all have said so", []reply{noLeader, noLeader, noLeader, created}, "abca", 2 * time.Second, 2200 * time.Millisecond},
		{"too much to write", []reply{busy, created}, "ab", 2 * time.Second, 2100 * time.Millisecond},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, s := newScript(t, Config{}, tt.replies...)
				begun := time.Now()
				if _, err := c.Put(t.Context(), "k", nil, nil); err != nil {
					t.Error(err)
				}
				if took := time.Since(begun); took < tt.from || took > tt.to || s.hosts() != tt.hosts {
					t.Errorf("asked %q within %v, want %q within %v to %v", s.hosts(), took, tt.hosts, tt.from, tt.to)
				}
			})
		})
	}
}

// Pauses grow, and stay within bounds.
func TestPauses(t *testing.T) {
	for n := 1; n < 100; n++ {
		want := lastPause
		if n < 7 {
			want = firstPause << (n - 1)
		}
		for range 20 {
			if d := pause(n); d < want/2 || d > want {
				t.Fatalf("pause %d: %v", n, d)
			}
		}
	}
}

// Every attempt has a limit, which the member is told, and so has the call.
func TestTimeouts(t *testing.T) { overScripts(t, testTimeouts) }

func testTimeouts(t *testing.T, newScript newScriptFunc) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{Timeout: 5 * time.Second, AttemptTimeout: 2 * time.Second}, silence)
		begun := time.Now()
		_, err := c.Put(t.Context(), "k", nil, nil)
		if took := time.Since(begun); took != 5*time.Second {
			t.Errorf("took %v", took)
		}
		if !errors.Is(err, context.DeadlineExceeded) || !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("got %v", err)
		}
		if len(s.all()) != 3 || s.all()[0].query != "timeout=1.75s" {
			t.Errorf("sent %d times, first with %q", len(s.all()), s.all()[0].query)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		c, _ := newScript(t, Config{Timeout: time.Second}, problemReply(503, "no_leader", NotApplied))
		_, err := c.Put(t.Context(), "k", nil, nil)
		e, ok := errors.AsType[*Error](err)
		if !ok || e.Outcome != NotApplied || !errors.Is(err, ErrNoLeader) || !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
	})
}

// A context that ends also ends the pauses.
func TestContext(t *testing.T) { overScripts(t, testContext) }

func testContext(t *testing.T, newScript newScriptFunc) {
	for _, tt := range []struct {
		name    string
		replies []reply
		outcome Outcome
	}{
		{"in a pause", []reply{problemReply(429, "overloaded", NotApplied).after(5)}, NotApplied},
		{"in an attempt", []reply{silence}, OutcomeUnknown},
		{"in a pause after an attempt that may live", []reply{lost, problemReply(429, "overloaded", NotApplied).after(5)}, OutcomeUnknown},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c, _ := newScript(t, Config{}, tt.replies...)
				ctx, cancel := context.WithCancel(t.Context())
				time.AfterFunc(time.Second, cancel)
				begun := time.Now()
				_, err := c.Put(ctx, "k", nil, nil)
				if took := time.Since(begun); took != time.Second {
					t.Errorf("took %v", took)
				}
				e, ok := errors.AsType[*Error](err)
				if !ok || !errors.Is(err, context.Canceled) || e.Outcome != tt.outcome {
					t.Errorf("got %v, want outcome %q", err, tt.outcome)
				}
			})
		})
	}
	c, s := newScript(t, Config{}, created)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := c.Put(ctx, "k", nil, nil)
	if e, ok := errors.AsType[*Error](err); !ok || e.Outcome != NotApplied || len(s.sent) != 0 {
		t.Errorf("a call that never began: %v, sent %d", err, len(s.sent))
	}
}

// Each call has a key of its own, or the caller's.
func TestIdempotencyKeys(t *testing.T) { overScripts(t, testIdempotencyKeys) }

func testIdempotencyKeys(t *testing.T, newScript newScriptFunc) {
	c, s := newScript(t, Config{}, created)
	for range 2 {
		if _, err := c.Put(t.Context(), "k", nil, nil); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := c.Put(t.Context(), "k", nil, &PutOptions{IdempotencyKey: "mine"}); err != nil {
		t.Fatal(err)
	}
	a, b := s.sent[0].key, s.sent[1].key
	if len(a) < 26 || len(b) < 26 || a == b || s.sent[2].key != "mine" {
		t.Errorf("keys %q, %q, %q", a, b, s.sent[2].key)
	}
}

// The error tells all that is known, and no key.
func TestErrorText(t *testing.T) { overScripts(t, testErrorText) }

func testErrorText(t *testing.T, newScript newScriptFunc) {
	e := &Error{
		Method: "PUT", Route: "/v1/kv/{key}", Endpoint: "http://a", Attempts: 3,
		Status: 503, Code: "no_leader", Outcome: NotApplied, Detail: "told so",
		Err: errors.Join(errors.New("x"), context.DeadlineExceeded),
	}
	want := "kvd: PUT /v1/kv/{key} at http://a: 503 no_leader: told so: x; context deadline exceeded (not applied) after 3 attempts"
	if e.Error() != want {
		t.Errorf("got  %s\nwant %s", e, want)
	}

	c, _ := newScript(t, Config{Timeout: time.Millisecond}, refused)
	_, err := c.Put(t.Context(), "secret", nil, nil)
	if err == nil || strings.Contains(err.Error(), "secret") {
		t.Errorf("got %v", err)
	}
}

// Every code of the API's table is its sentinel, and no other one.
func TestSentinels(t *testing.T) {
	for code, want := range codes {
		err := error(fmt.Errorf("wrapped: %w", &Error{Status: 409, Code: code}))
		for other, sentinel := range codes {
			if errors.Is(err, sentinel) != (sentinel == want) {
				t.Errorf("%s is %s: %v", code, other, errors.Is(err, sentinel))
			}
		}
	}
	for _, code := range []string{"bad_key", "bad_parameter", "bad_condition", "bad_json", "bad_txn"} {
		if !errors.Is(&Error{Status: 400, Code: code}, ErrBadRequest) {
			t.Errorf("%s is no bad request", code)
		}
	}
	if errors.Is(&Error{Status: 400, Code: "future_revision"}, ErrBadRequest) {
		t.Error("a future revision is a bad request")
	}
}

// What a member says about an error arrives.
func TestProblem(t *testing.T) { overScripts(t, testProblem) }

func testProblem(t *testing.T, newScript newScriptFunc) {
	r := problemReply(412, "precondition_failed", NotApplied)
	r.header.Set("ETag", `"42"`)
	r.header.Set("Kvd-Revision", "50")
	c, _ := newScript(t, Config{}, r)
	_, err := c.Put(t.Context(), "k", nil, &PutOptions{If: IfRevision(3)})
	e, ok := errors.AsType[*Error](err)
	if !ok || e.CurrentRevision != 42 || e.Revision != 50 || e.Detail != "told so" || e.RequestID != "ID" ||
		e.Method != "PUT" || e.Route != "/v1/kv/{key}" || e.Endpoint != "http://a" {
		t.Errorf("got %#v", err)
	}
}

// What cannot be sent is not tried again and again.
func TestUnsendable(t *testing.T) { overScripts(t, testUnsendable) }

func testUnsendable(t *testing.T, newScript newScriptFunc) {
	for _, o := range []PutOptions{{ContentType: "a\nb"}, {IdempotencyKey: "a\x00"}} {
		c, s := newScript(t, Config{}, created)
		_, err := c.Put(t.Context(), "k", nil, &o)
		if e, ok := errors.AsType[*Error](err); !ok || !errors.Is(err, ErrBadRequest) || e.Outcome != NotApplied || len(s.sent) != 0 {
			t.Errorf("%+v: got %v, sent %d", o, err, len(s.sent))
		}
	}
}

// A long poll that is cut goes on for what is left of its time.
func TestLongPoll(t *testing.T) { overScripts(t, testLongPoll) }

func testLongPoll(t *testing.T, newScript newScriptFunc) {
	synctest.Test(t, func(t *testing.T) {
		c, s := newScript(t, Config{AttemptTimeout: 2 * time.Second}, silence, reply{status: 304})
		got, err := c.Get(t.Context(), "k", &GetOptions{Unless: 3, Wait: 10*time.Second + 500*time.Microsecond})
		if err != nil || !got.NotModified {
			t.Errorf("got %+v, %v", got, err)
		}
		if took := s.sent[1].at.Sub(s.sent[0].at); took < 12*time.Second || took > 12100*time.Millisecond {
			t.Errorf("the first attempt took %v", took)
		}
		if first, second := s.sent[0].query, s.sent[1].query; first != "wait=10.0005s&timeout=1.75s" || second != "timeout=1.75s" {
			t.Errorf("sent %s and %s", first, second)
		}
	})
}

// No answer fills the memory.
func TestAnswerTooLarge(t *testing.T) { overScripts(t, testAnswerTooLarge) }

func testAnswerTooLarge(t *testing.T, newScript newScriptFunc) {
	c, s := newScript(t, Config{MaxAnswerBytes: 10}, reply{status: 200, body: "12345678901"})
	_, err := c.Get(t.Context(), "k", nil)
	if !errors.Is(err, ErrTooLarge) || len(s.sent) != 1 {
		t.Errorf("got %v after %d attempts", err, len(s.sent))
	}
}

func TestConfig(t *testing.T) {
	for _, tt := range []struct {
		cfg  Config
		want string // part of the error; "": none
	}{
		{Config{Endpoints: []string{"http://a:1", "https://[::1]:2/"}}, ""},
		{Config{}, "no endpoints"},
		{Config{Endpoints: []string{"a:1"}}, "scheme"},
		{Config{Endpoints: []string{"ftp://a"}}, "scheme"},
		{Config{Endpoints: []string{"http://"}}, "no host"},
		{Config{Endpoints: []string{"http://a/v1"}}, "only scheme"},
		{Config{Endpoints: []string{"http://a?x=1"}}, "only scheme"},
		{Config{Endpoints: []string{"http://u:p@a"}}, "only scheme"},
		{Config{Endpoints: []string{"http://a"}, Timeout: -1}, "timeout"},
		{Config{Endpoints: []string{"http://a"}, Timeout: time.Hour}, "timeout"},
		{Config{Endpoints: []string{"http://a"}, AttemptTimeout: time.Hour}, "attempt timeout"},
		{Config{Endpoints: []string{"http://a"}, MaxAnswerBytes: -1}, "answer"},
	} {
		c, err := New(tt.cfg)
		if tt.want == "" {
			if err != nil {
				t.Errorf("%v: %v", tt.cfg, err)
			} else {
				c.Close()
				c.Close()
			}
		} else if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v: got %v, want %q", tt.cfg, err, tt.want)
		}
	}
}
