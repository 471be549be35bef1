package httpapi

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// directLog applies commands to a machine at once, or does what a test asks.
type directLog struct {
	mu       sync.Mutex
	m        *kvstore.Machine
	index    uint64
	clock    time.Duration
	proposed int
	err      error            // of Propose, instead of a result
	lose     func(n int) bool // whether the nth result, of a command that is applied, is lost on its way
	readErr  error            // of ReadBarrier
	blocked  bool             // both wait for their context, as without a quorum
}

func (l *directLog) set(f func(l *directLog)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f(l)
}

func (l *directLog) proposals() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.proposed
}

func (l *directLog) Propose(ctx context.Context, cmd []byte) (kvstore.Result, error) {
	l.mu.Lock()
	l.proposed++
	if l.blocked {
		l.mu.Unlock()
		<-ctx.Done()
		return kvstore.Result{}, fmt.Errorf("%w: %w", kvstore.ErrOutcomeUnknown, ctx.Err())
	}
	defer l.mu.Unlock()
	if l.err != nil {
		return kvstore.Result{}, l.err
	}
	l.index++
	results, err := l.m.Apply(l.index, l.clock, [][]byte{cmd})
	if err != nil {
		return kvstore.Result{}, err
	}
	if l.lose != nil && l.lose(l.proposed) {
		return kvstore.Result{}, kvstore.ErrOutcomeUnknown
	}
	return results[0], nil
}

func (l *directLog) ReadBarrier(ctx context.Context) error {
	l.mu.Lock()
	blocked, err := l.blocked, l.readErr
	l.mu.Unlock()
	if blocked {
		<-ctx.Done()
		return ctx.Err()
	}
	return err
}

// fakeCluster answers what a test put into it.
type fakeCluster struct {
	mu      sync.Mutex
	err     error // of the three that may fail
	ready   error
	members []Member
	state   Status
	age     time.Duration
	silent  bool // never heard a leader
	clock   time.Duration
	added   []NewMember
	removed []string // "3", or "3 force"
}

func (c *fakeCluster) set(f func(c *fakeCluster)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f(c)
}

func (c *fakeCluster) Members(context.Context) ([]Member, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.members, c.err
}

func (c *fakeCluster) AddMember(_ context.Context, m NewMember) (Member, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return Member{}, c.err
	}
	c.added = append(c.added, m)
	if m.ID == 0 {
		m.ID = 4
	}
	return Member{ID: m.ID, Name: m.Name, PeerURL: m.PeerURL, ClientURL: m.ClientURL, Role: RoleLearner, AutoPromote: m.AutoPromote}, nil
}

func (c *fakeCluster) RemoveMember(_ context.Context, id uint64, force bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	s := fmt.Sprint(id)
	if force {
		s += " force"
	}
	c.removed = append(c.removed, s)
	return nil
}

func (c *fakeCluster) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.state
}

func (c *fakeCluster) Staleness() (time.Duration, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.age, !c.silent
}

func (c *fakeCluster) LogClock() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.clock
}

func (c *fakeCluster) Ready() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.ready
}

// fixture is a Handler over a real machine.
type fixture struct {
	t       testing.TB
	h       *Handler
	log     *directLog
	cluster *fakeCluster
	admin   *fakeAdmin
	machine *kvstore.Machine
	errors  *bytes.Buffer
}

func newFixture(t testing.TB, change ...func(*Config)) *fixture {
	t.Helper()
	m := kvstore.NewMachine()
	f := &fixture{t: t, machine: m, log: &directLog{m: m}, cluster: new(fakeCluster), admin: new(fakeAdmin), errors: new(bytes.Buffer)}
	cfg := Config{
		Store:   kvstore.NewDB(m, f.log),
		Stats:   m,
		Cluster: f.cluster,

		Membership: f.admin,
		Leadership: f.admin,
		Snapshots:  f.admin,
		Verifier:   f.admin,
		Guard:      f.admin,

		Hosts:    []string{"example.com"}, // httptest's default
		Version:  "v1.2.3",
		ErrorLog: log.New(f.errors, "", 0),
	}
	for _, c := range change {
		c(&cfg)
	}
	h, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	f.h = h
	return f
}

// do serves one request without a network. headers are "Name: value".
func (f *fixture) do(method, target, body string, headers ...string) *http.Response {
	f.t.Helper()
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		if name == "Host" {
			r.Host = value
			continue
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	f.h.ServeHTTP(w, r)
	return w.Result()
}

// want serves one request and checks status and, when given, the whole body.
func (f *fixture) want(status int, body string, method, target, send string, headers ...string) *http.Response {
	f.t.Helper()
	resp := f.do(method, target, send, headers...)
	got := readAll(f.t, resp)
	if resp.StatusCode != status {
		f.t.Errorf("%s %s: got status %d, want %d; body %q", method, target, resp.StatusCode, status, got)
	} else if body != "" && got != body {
		f.t.Errorf("%s %s: got body %q, want %q", method, target, got, body)
	}
	return resp
}

// wantProblem serves one request and checks the problem document it gets.
func (f *fixture) wantProblem(status int, code, outcome string, method, target, send string, headers ...string) document {
	f.t.Helper()
	resp := f.do(method, target, send, headers...)
	return checkProblem(f.t, resp, status, code, outcome)
}

// refused is the outcome of a request that came to nothing: told for writes.
func refused(method string) string {
	if safe(method) {
		return ""
	}
	return notApplied
}

func checkProblem(t testing.TB, resp *http.Response, status int, code, outcome string) document {
	t.Helper()
	body := readAll(t, resp)
	var doc document
	if err := json.Unmarshal([]byte(body), &doc); err != nil {
		t.Fatalf("status %d, not a problem document: %q", resp.StatusCode, body)
	}
	want := document{Status: status, Code: code, Outcome: outcome, Type: "/problems/" + strings.ReplaceAll(code, "_", "-")}
	got := document{Status: doc.Status, Code: doc.Code, Outcome: doc.Outcome, Type: doc.Type}
	if got != want || resp.StatusCode != status {
		t.Errorf("status %d, got %+v, want %+v; detail %q", resp.StatusCode, got, want, doc.Detail)
	}
	if got := resp.Header.Get("Content-Type"); got != "application/problem+json" {
		t.Errorf("got type %q", got)
	}
	if doc.RequestID == "" || doc.Title == "" {
		t.Errorf("no request id or title: %s", body)
	}
	retry := status == http.StatusTooManyRequests || status == http.StatusServiceUnavailable
	if got := resp.Header.Get("Retry-After"); (got != "") != retry {
		t.Errorf("status %d with Retry-After %q", status, got)
	}
	return doc
}

func readAll(t testing.TB, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// serve puts the handler on a real listener with real limits.
func (f *fixture) serve(cfg ServerConfig) string {
	f.t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		f.t.Fatal(err)
	}
	if cfg.ErrorLog == nil {
		cfg.ErrorLog = log.New(io.Discard, "", 0)
	}
	srv := NewServer(f.h, cfg)
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	f.t.Cleanup(func() {
		srv.Close()
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			f.t.Errorf("serve: %v", err)
		}
	})
	return ln.Addr().String()
}

// conn is a client that sends bytes as they are.
type conn struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

func dial(t testing.TB, addr string) *conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	return &conn{Conn: c, t: t, br: bufio.NewReader(c)}
}

func (c *conn) send(s string) {
	c.t.Helper()
	if _, err := io.WriteString(c, s); err != nil {
		c.t.Fatal(err)
	}
}

// receive reads one answer with its body.
func (c *conn) receive(method string) *http.Response {
	c.t.Helper()
	resp, err := http.ReadResponse(c.br, &http.Request{Method: method})
	if err != nil {
		c.t.Fatalf("read answer: %v", err)
	}
	body := readAll(c.t, resp)
	resp.Body = io.NopCloser(strings.NewReader(body))
	return resp
}

// wantClosed checks that the server ends the connection with nothing more to
// say.
func (c *conn) wantClosed() {
	c.t.Helper()
	if n, err := io.Copy(io.Discard, c.br); n > 0 {
		c.t.Errorf("%d bytes after the answer", n)
	} else if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		c.t.Error("the connection was not closed")
	}
}
