package test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// response is a whole HTTP answer.
type response struct {
	status int
	header http.Header
	body   []byte
}

// problem is the body of an error.
type problem struct {
	Status  int    `json:"status"`
	Code    string `json:"code"`
	Outcome string `json:"outcome"`
	Detail  string `json:"detail"`
}

// httpClient is shared by all requests that do not bring a client of their
// own. It follows no redirect: kvd never sends one.
var httpClient = newClient()

func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:         dial,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     20 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// dialers reach the addresses that stand in no network of ours.
var dialers sync.Map // address to func(context.Context) (net.Conn, error)

// dial opens a connection, in the address's own network if it has one.
func dial(ctx context.Context, network, addr string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if d, ok := dialers.Load(addr); ok {
		return d.(func(context.Context) (net.Conn, error))(ctx)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}

// send sends one request; header holds names and values in turn.
func send(ctx context.Context, method, url string, body []byte, header ...string) (*response, error) {
	return sendWith(ctx, httpClient, method, url, body, header...)
}

func sendWith(ctx context.Context, c *http.Client, method, url string, body []byte, header ...string) (*response, error) {
	var rd io.Reader
	if body != nil {
		rd = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, url, rd)
	if err != nil {
		return nil, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	return &response{res.StatusCode, res.Header, b}, nil
}

// want returns an error unless the status is one of codes.
func (r *response) want(codes ...int) error {
	for _, code := range codes {
		if r.status == code {
			return nil
		}
	}
	return fmt.Errorf("status %d, want %v: %s", r.status, codes, r.body)
}

// decode reads the JSON body of an answer with the status code.
func (r *response) decode(code int, v any) error {
	if err := r.want(code); err != nil {
		return err
	}
	if err := json.Unmarshal(r.body, v); err != nil {
		return fmt.Errorf("%w in %q", err, r.body)
	}
	return nil
}

// problem reads the body of an error; one that is no problem document has an
// empty code.
func (r *response) problem() problem {
	var p problem
	_ = json.Unmarshal(r.body, &p)
	return p
}

// revision is the number in the answer's ETag; 0 when there is none.
func (r *response) revision() uint64 {
	n, err := strconv.ParseUint(strings.Trim(r.header.Get("ETag"), `"`), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// call sends a request to the member and fails the test when there is no
// answer at all.
func (m *member) call(method, path string, body []byte, header ...string) *response {
	m.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := send(ctx, method, m.clientURL+path, body, header...)
	if err != nil {
		m.t.Fatal(err)
	}
	return r
}

// put writes a key through the member and fails the test unless it worked.
// The key stands in its escaped form.
func (m *member) put(key, value string) uint64 {
	m.t.Helper()
	r := m.call(http.MethodPut, "/v1/kv/"+key, []byte(value))
	if err := r.want(http.StatusCreated, http.StatusNoContent); err != nil {
		m.t.Fatalf("PUT %s through %s: %v", key, m.name(), err)
	}
	return r.revision()
}

// wantValue fails the test unless a linearizable read of key has this value.
func (m *member) wantValue(key, value string) {
	m.t.Helper()
	r := m.call(http.MethodGet, "/v1/kv/"+key, nil)
	if err := r.want(http.StatusOK); err != nil {
		m.t.Fatalf("GET %s from %s: %v", key, m.name(), err)
	}
	if string(r.body) != value {
		m.t.Fatalf("GET %s from %s: got %.80q (%d bytes), want %.80q (%d bytes)",
			key, m.name(), r.body, len(r.body), value, len(value))
	}
}

// wantProblem fails the test unless r is a problem document with this status,
// code and outcome; an empty outcome is not looked at.
func wantProblem(t testing.TB, r *response, status int, code, outcome string) {
	t.Helper()
	p := r.problem()
	if r.status != status || p.Code != code || outcome != "" && p.Outcome != outcome {
		t.Errorf("got %d %s: want status %d, code %q, outcome %q", r.status, r.body, status, code, outcome)
	}
	if ct := r.header.Get("Content-Type"); ct != "application/problem+json" {
		t.Errorf("Content-Type of an error: got %q", ct)
	}
}

// notSent reports whether err means that the request never reached a member:
// nothing answered the dial.
func notSent(err error) bool {
	op, ok := errors.AsType[*net.OpError](err)
	return ok && op.Op == "dial"
}

// tryPut is put for goroutines other than the test's own.
func tryPut(m *member, key, value string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	r, err := send(ctx, http.MethodPut, m.clientURL+"/v1/kv/"+key, []byte(value))
	if err != nil {
		return err
	}
	return r.want(http.StatusCreated, http.StatusNoContent)
}

// post sends a JSON body, from any goroutine.
func post(m *member, path, body string) (*response, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return send(ctx, http.MethodPost, m.clientURL+path, []byte(body), "Content-Type", "application/json")
}
