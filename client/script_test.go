package client

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// reply is what a scripted member does with one request.
type reply struct {
	status  int
	header  http.Header
	body    string
	err     error // instead of an answer
	noConn  bool  // no connection was made: err is of the dial
	silent  bool  // nothing comes until the context ends
	cutBody bool  // the body ends early
	delay   time.Duration
}

// problemReply is an answer as kvd gives it.
func problemReply(status int, code string, outcome Outcome) reply {
	body := `{"type":"/problems/x","title":"X","status":` + strconv.Itoa(status) + `,"code":"` + code + `"`
	if outcome != "" {
		body += `,"outcome":"` + string(outcome) + `"`
	}
	return reply{status: status, body: body + `,"detail":"told so","request_id":"ID"}`, header: http.Header{"Content-Type": {"application/problem+json"}}}
}

func (r reply) after(seconds int) reply {
	r.header = r.header.Clone()
	r.header.Set("Retry-After", strconv.Itoa(seconds))
	return r
}

var (
	refused = reply{err: &net.OpError{Op: "dial", Err: errors.New("connection refused")}, noConn: true}
	lost    = reply{err: io.ErrUnexpectedEOF}
	silence = reply{silent: true}
	created = reply{status: 201, header: http.Header{"Etag": {`"7"`}, "Kvd-Revision": {"7"}}}
)

// sent is one request that a script was sent.
type sent struct {
	host   string
	key    string // Idempotency-Key
	query  string
	method string
	path   string
	header http.Header
	body   string
	at     time.Time
}

// script answers requests in turn, whichever member they are sent to. It is a
// transport, so it works in virtual time.
type script struct {
	t testing.TB

	mu      sync.Mutex
	replies []reply // the last one stands for all that follow
	sent    []sent
}

func (s *script) RoundTrip(r *http.Request) (*http.Response, error) {
	body := ""
	if r.Body != nil {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			s.t.Errorf("request body: %v", err)
		}
		body = string(b)
	}
	s.mu.Lock()
	s.sent = append(s.sent, sent{r.URL.Host, r.Header.Get("Idempotency-Key"), r.URL.RawQuery, r.Method, r.URL.EscapedPath(), r.Header, body, time.Now()})
	next := s.replies[0]
	if len(s.replies) > 1 {
		s.replies = s.replies[1:]
	}
	s.mu.Unlock()
	if trace := httptrace.ContextClientTrace(r.Context()); trace != nil {
		trace.GetConn(r.URL.Host)
		if !next.noConn {
			trace.GotConn(httptrace.GotConnInfo{})
		}
	}
	if next.delay > 0 {
		time.Sleep(next.delay) // in virtual time
	}
	if next.silent {
		<-r.Context().Done()
		return nil, context.Cause(r.Context())
	}
	if next.err != nil {
		return nil, next.err
	}
	header := next.header.Clone()
	if header == nil {
		header = http.Header{}
	}
	var rd io.Reader = strings.NewReader(next.body)
	if next.cutBody {
		rd = io.MultiReader(rd, failing{})
	}
	return &http.Response{StatusCode: next.status, Header: header, Body: io.NopCloser(rd), Request: r}, nil
}

// failing is the place where a body is cut.
type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// all is what it was sent up to now.
func (s *script) all() []sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

func (s *script) hosts() string {
	var b strings.Builder
	for _, r := range s.all() {
		b.WriteString(r.host)
	}
	return b.String()
}

// client returns a Client of the members a, b and c, and the script that they
// follow.
func newScript(t testing.TB, cfg Config, replies ...reply) (*Client, *script) {
	t.Helper()
	s := &script{t: t, replies: replies}
	if cfg.Endpoints == nil {
		cfg.Endpoints = []string{"http://a", "http://b", "http://c"}
	}
	cfg.HTTPClient = &http.Client{Transport: s}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c, s
}

func asError(err error, e **Error) bool { return errors.As(err, e) }
