package http1

import (
	"bufio"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// soon is a limit that tests wait for; far is one they do not live to see.
const (
	soon = 100 * time.Millisecond
	far  = time.Hour
)

// limits sets all four, to far unless a test says otherwise.
func limits(change func(*http.Server)) func(*http.Server) {
	return func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = far, far, far, far
		change(s)
	}
}

// TestClientsThatWait each run into the limit that is theirs.
func TestClientsThatWait(t *testing.T) {
	const half = "PUT /b HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\n\r\nhe"
	head := func(s *http.Server) { s.ReadHeaderTimeout = soon }
	body := func(s *http.Server) { s.ReadHeaderTimeout, s.ReadTimeout = soon, soon }
	idle := func(s *http.Server) { s.IdleTimeout = soon }
	read := func(s *http.Server) { s.ReadHeaderTimeout, s.IdleTimeout, s.ReadTimeout = 0, 0, soon }
	for _, row := range []struct {
		name, raw string
		change    func(*http.Server)
		answers   int
	}{
		{"nothing", "", head, 0},
		{"half a head", "GET / HTTP/1.1\r\nHo", head, 0},
		{"half a head, later", getA + "GET / HTTP/1.1\r\nHo", head, 1},
		{"half a body", half, body, 1},
		{"half a body, later", getA + half, body, 2},
		{"nothing more", getA, idle, 1},
		{"nothing more, after a late body", getA + putB, idle, 2},
		{"nothing more, for net/http", long, idle, 1},
		// One limit for all of reading, as in net/http.
		{"nothing, one limit", "", read, 0},
		{"nothing more, one limit", getA, read, 1},
		{"half a head, one limit", getA + "GET / HTTP/1.1\r\nHo", read, 1},
		{"half a body, one limit", getA + half, read, 2},
	} {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, echo, limits(row.change))
			c := dial(t, f.addr)
			send(t, c, row.raw)
			got := transcript(c, row.raw)
			if n := strings.Count(got, "HTTP/1.1 200"); n != row.answers {
				t.Errorf("%d answers, want %d: %s", n, row.answers, got)
			}
		})
	}
}

// TestDeadlinesAreRenewed has a client that takes longer than a limit in all, never for
// one request, and a handler that leaves deadlines of its own behind.
func TestDeadlinesAreRenewed(t *testing.T) {
	const limit = 400 * time.Millisecond
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-A") != "" {
			rc := http.NewResponseController(w)
			_ = rc.SetReadDeadline(time.Unix(1, 0))
			_ = rc.SetWriteDeadline(time.Now().Add(far))
		}
		echo(w, r)
	}, func(s *http.Server) {
		s.ReadHeaderTimeout, s.ReadTimeout, s.WriteTimeout, s.IdleTimeout = limit, limit, limit, limit
	})
	c := dial(t, f.addr)
	br := bufio.NewReader(c)
	tick := time.NewTicker(limit / 10)
	defer tick.Stop()
	for i := range 30 {
		send(t, c, []string{getA, putB, headOf(putB)}[i%3])
		if i%3 == 2 {
			until(t, "the head is read", func() bool { state, _ := f.state(c); return state == active })
			send(t, c, "hello")
		}
		receive(t, br)
		<-tick.C
	}
	if f.served.Load() != 30 {
		t.Errorf("%d requests were taken", f.served.Load())
	}
}

// TestDeadlinesOfOneAnswer: those that a handler has set hold neither for the next answer
// nor for net/http, which without limits of its own would leave them.
func TestDeadlinesOfOneAnswer(t *testing.T) {
	for next, limit := range map[string]time.Duration{putB: far, long: 0} {
		f := serve(t, func(w http.ResponseWriter, r *http.Request) {
			echo(w, r)
			if r.Header.Get("X-A") != "" {
				rc := http.NewResponseController(w)
				_ = rc.SetReadDeadline(time.Unix(1, 0))
				_ = rc.SetWriteDeadline(time.Now().Add(soon))
			}
		}, func(s *http.Server) { s.WriteTimeout = limit })
		c := dial(t, f.addr)
		br := bufio.NewReader(c)
		send(t, c, putB+getA)
		receive(t, br)
		receive(t, br)
		timer := time.NewTimer(2 * soon)
		<-timer.C
		send(t, c, next)
		receive(t, br)
	}
}

// TestLastAnswerArrives although the server leaves unread what came behind the request.
func TestLastAnswerArrives(t *testing.T) {
	h := newHeld()
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Connection", "close")
		h.serve(w, r)
	})
	c := dial(t, f.addr)
	send(t, c, hold)
	<-h.began
	send(t, c, strings.Repeat("x", maxBody/2))
	close(h.free)
	br := bufio.NewReader(c)
	receive(t, br)
	_ = c.CloseWrite()
	if n, err := io.Copy(io.Discard, br); n != 0 || err != nil {
		t.Errorf("%d bytes more, %v", n, err)
	}
}

func headOf(raw string) string {
	head, _, _ := strings.Cut(raw, "\r\n\r\n")
	return head + "\r\n\r\n"
}

// TestWriteTimeoutIsForTheWholeAnswer: a client that reads a little now and then does not
// get the time anew with each piece.
func TestWriteTimeoutIsForTheWholeAnswer(t *testing.T) {
	ended := make(chan time.Duration, 1)
	const limit = 500 * time.Millisecond
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		began := time.Now()
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				ended <- time.Since(began)
				return
			}
		}
	}, limits(func(s *http.Server) { s.WriteTimeout = limit }))
	c := dial(t, f.addr)
	send(t, c, getA)
	// Without end to what is written, it ends in time, read or not.
	read := make(chan struct{})
	go func() { defer close(read); _, _ = io.Copy(io.Discard, c) }()
	if took := <-ended; took < limit/2 || took > 20*limit {
		t.Errorf("writing ended after %v", took)
	}
	<-read
}

// TestClientThatDoesNotRead is cut off.
func TestClientThatDoesNotRead(t *testing.T) {
	ended := make(chan error, 1)
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "1073741824")
		_, err := w.Write(make([]byte, 64<<20))
		ended <- err
	}, limits(func(s *http.Server) { s.WriteTimeout = soon }))
	c := dial(t, f.addr)
	send(t, c, getA)
	if err := <-ended; err == nil {
		t.Error("64 MiB were written to nobody")
	}
	until(t, "the connection is gone", func() bool { _, ok := f.state(c); return !ok })
}

// TestIdleConnectionsHoldLittle lets go of what large requests and answers have left.
func TestIdleConnectionsHoldLittle(t *testing.T) {
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(w, r.Body)
		_, _ = w.Write(make([]byte, maxTogether-maxBody/4))
	})
	for _, size := range []int{100, maxBody / 4, maxBody} {
		c := dial(t, f.addr)
		send(t, c, putOf(size))
		receive(t, bufio.NewReader(c))
		until(t, "it is idle", func() bool { state, ok := f.state(c); return ok && state == idle })
		f.Server.mu.Lock()
		for k := range f.conns {
			if held := len(k.buf) + cap(k.ans.out) + cap(k.ans.body); held > 3*keptBuffer || size == maxBody && len(k.buf) != smallBuffer {
				t.Errorf("after %d bytes, an idle connection holds %d", size, held)
			}
		}
		f.Server.mu.Unlock()
		_ = c.Close()
	}
}
