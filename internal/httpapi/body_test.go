package httpapi

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"
	"time"
)

func itoa(n int) string { return strconv.Itoa(n) }

func TestReadBody(t *testing.T) {
	const limit = 200_000
	for _, size := range []int{0, 1, 1023, 1024, 1025, trusted, trusted + 1, limit} {
		want := bytes.Repeat([]byte{'x', 'y', 'z'}, size/3+1)[:size]
		for _, length := range []int64{int64(size), -1} {
			for _, buf := range [][]byte{nil, make([]byte, 0, 1024), make([]byte, 5, trusted)} {
				r := &http.Request{ContentLength: length, Body: io.NopCloser(iotest.HalfReader(bytes.NewReader(want)))}
				got, err := readBody(r, limit, buf)
				if err != nil || !bytes.Equal(got, want) {
					t.Errorf("size %d, length %d: got %d bytes, %v", size, length, len(got), err)
				}
			}
		}
	}
	for _, length := range []int64{limit + 1, -1} {
		r := &http.Request{ContentLength: length, Body: io.NopCloser(bytes.NewReader(make([]byte, limit+1)))}
		if _, err := readBody(r, limit, nil); !errors.Is(err, errTooLarge) {
			t.Errorf("length %d: %v, want too large", length, err)
		}
	}
	r := &http.Request{ContentLength: 10, Body: io.NopCloser(strings.NewReader("short"))}
	if _, err := readBody(r, limit, nil); !errors.Is(err, errBadBody) {
		t.Errorf("short body: %v", err)
	}
}

// Memory is taken for bytes that have come, not for bytes that were promised.
func TestBodyMemoryIsEarned(t *testing.T) {
	var asked int
	body := readerFunc(func(p []byte) (int, error) {
		asked = max(asked, len(p))
		return 0, io.ErrUnexpectedEOF
	})
	r := &http.Request{ContentLength: 1 << 20, Body: io.NopCloser(body)}
	if _, err := readBody(r, 1<<20, nil); !errors.Is(err, errBadBody) || asked > trusted {
		t.Errorf("a promise of 1 MiB took %d bytes, %v", asked, err)
	}
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestBodyLimitOnTheWire(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.MaxValueBytes = 1000 })
	addr := f.serve(ServerConfig{})
	exact, over := strings.Repeat("x", 1000), strings.Repeat("x", 1001)

	c := dial(t, addr)
	c.send("PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n" + exact)
	if resp := c.receive("PUT"); resp.StatusCode != 201 {
		t.Fatalf("status %d", resp.StatusCode)
	}
	c.send("PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + exact + "\r\n0\r\n\r\n")
	if resp := c.receive("PUT"); resp.StatusCode != 204 {
		t.Fatalf("chunked: status %d", resp.StatusCode)
	}

	for name, request := range map[string]string{
		"length":            "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\n\r\n" + over,
		"length unsent":     "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999\r\n\r\n",
		"expect":            "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1001\r\nExpect: 100-continue\r\n\r\n",
		"chunked":           "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e9\r\n" + over + "\r\n0\r\n\r\n",
		"chunked and more":  "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nffffff\r\n" + over,
		"chunked in pieces": "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3e8\r\n" + exact + "\r\n1\r\ny\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(request)
			resp := c.receive("PUT")
			if !resp.Close {
				t.Error("the connection is to be closed")
			}
			checkProblem(t, resp, 413, "too_large", notApplied)
			c.wantClosed()
		})
	}
	if rev := f.machine.Revision(); rev != 2 {
		t.Errorf("revision %d: something was applied", rev)
	}
}

// TestBrokenBodies: a body that does not come to its end writes nothing,
// however it ends, and an answer, when one can be read, says so.
func TestBrokenBodies(t *testing.T) {
	f := newFixture(t, func(c *Config) { c.Compat = true })
	addr := f.serve(ServerConfig{})
	half := "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n" + strings.Repeat("x", 50)
	for name, request := range map[string]string{
		"length":        half,
		"chunked":       "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n64\r\n" + strings.Repeat("x", 50),
		"between":       "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nxx\r\n",
		"bad chunk":     "PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nxx\r\n",
		"compat":        strings.Replace(half, "/v1/kv/k", "/k", 1),
		"member by url": strings.Replace(half, "PUT /v1/kv/k", "POST /v1/members", 1),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, addr)
			c.send(request)
			// Half closed: nothing more comes, and the answer is still read. A
			// handler that just returned would have told this client 200.
			if err := c.Conn.(*net.TCPConn).CloseWrite(); err != nil {
				t.Fatal(err)
			}
			resp := c.receive("PUT")
			checkProblem(t, resp, 400, "bad_body", notApplied)
			c.wantClosed()
		})
	}
	t.Run("reset", func(t *testing.T) {
		c := dial(t, addr)
		c.send(half)
		before := f.h.metrics.requests[2][0].Load()
		if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
			t.Fatal(err)
		}
		c.Close()
		waitFor(t, func() bool { return f.h.metrics.requests[2][0].Load() == before+1 })
	})
	if n, errs := f.log.proposals(), f.h.metrics.requests[2][5].Load(); n != 0 || errs != 0 {
		t.Errorf("%d proposals, %d errors counted", n, errs)
	}
}

func TestSlowBody(t *testing.T) {
	f := newFixture(t)
	addr := f.serve(ServerConfig{BodyTimeout: 100 * time.Millisecond})
	c := dial(t, addr)
	c.send("PUT /v1/kv/k HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nx")
	checkProblem(t, c.receive("PUT"), 408, "body_timeout", notApplied)
	c.wantClosed()
	if n := f.log.proposals(); n != 0 {
		t.Errorf("%d proposals", n)
	}
}

// waitFor polls a condition that another goroutine brings about.
func waitFor(t *testing.T, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatal("condition not met within 10s")
		}
	}
}
