package http1

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestAnswers compares what comes of a handler with what net/http makes of it, each
// followed by another request: it must be answered, or not, in both.
func TestAnswers(t *testing.T) {
	length := func(w http.ResponseWriter, n int) { w.Header().Set("Content-Length", strconv.Itoa(n)) }
	write := func(w http.ResponseWriter, n int) { _, _ = w.Write(bytes.Repeat([]byte("x"), n)) }
	var results []string // of writing: the handler's until it has ended
	ended := make(chan struct{}, 1)
	tell := func(w http.ResponseWriter, n int) {
		got, err := w.Write(bytes.Repeat([]byte("x"), n))
		results = append(results, fmt.Sprint(got, err))
	}
	for name, h := range map[string]http.HandlerFunc{
		"nothing":             func(w http.ResponseWriter, r *http.Request) {},
		"status alone":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404) },
		"two statuses":        func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); w.WriteHeader(200) },
		"unknown status":      func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(299) },
		"high status":         func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(999); tell(w, 1) },
		"undeclared":          func(w http.ResponseWriter, r *http.Request) { tell(w, 100); tell(w, 0); tell(w, 200) },
		"undeclared, 404":     func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(404); tell(w, 100) },
		"empty write":         func(w http.ResponseWriter, r *http.Request) { tell(w, 0) },
		"declared":            func(w http.ResponseWriter, r *http.Request) { length(w, 100); tell(w, 40); tell(w, 60) },
		"declared none":       func(w http.ResponseWriter, r *http.Request) { length(w, 0) },
		"too little":          func(w http.ResponseWriter, r *http.Request) { length(w, 100); tell(w, 99) },
		"none of it":          func(w http.ResponseWriter, r *http.Request) { length(w, 100) },
		"too much":            func(w http.ResponseWriter, r *http.Request) { length(w, 100); tell(w, 100); tell(w, 1) },
		"too much at once":    func(w http.ResponseWriter, r *http.Request) { length(w, 100); tell(w, 101) },
		"too much, then less": func(w http.ResponseWriter, r *http.Request) { length(w, 100); tell(w, 101); tell(w, 100) },
		"length too late":     func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(200); length(w, 3); tell(w, 5) },
		"header too late":     func(w http.ResponseWriter, r *http.Request) { tell(w, 5); w.Header().Set("X-Late", "1") },
		"just together":       func(w http.ResponseWriter, r *http.Request) { length(w, maxTogether); tell(w, maxTogether) },
		"large":               func(w http.ResponseWriter, r *http.Request) { length(w, 300<<10); tell(w, 300<<10) },
		"large, in pieces": func(w http.ResponseWriter, r *http.Request) {
			length(w, 300_000)
			for range 300 {
				write(w, 1000)
			}
		},
		"large, too little": func(w http.ResponseWriter, r *http.Request) { length(w, 300<<10); tell(w, 200<<10) },
		"chunked": func(w http.ResponseWriter, r *http.Request) {
			for range 300 {
				write(w, 1000)
			}
		},
		"chunked, large": func(w http.ResponseWriter, r *http.Request) {
			tell(w, 1)
			tell(w, 300<<10)
			tell(w, 0)
			tell(w, 40<<10)
			tell(w, 1)
		},
		"chunked, one byte": func(w http.ResponseWriter, r *http.Request) { tell(w, maxTogether); tell(w, 1) },
		"204":               func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(204); tell(w, 1) },
		"204 with a length": func(w http.ResponseWriter, r *http.Request) { length(w, 3); w.WriteHeader(204) },
		"304": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("ETag", `"1"`)
			w.WriteHeader(304)
			tell(w, 1)
		},
		"304 with a length": func(w http.ResponseWriter, r *http.Request) { length(w, 3); w.WriteHeader(304) },
		"close":             func(w http.ResponseWriter, r *http.Request) { w.Header().Set("Connection", "close"); tell(w, 5) },
		"close, declared": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Connection", "close")
			length(w, 5)
			tell(w, 5)
		},
		"line ends in a value": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Evil", " a\r\nSet-Cookie: b\n\r\n ")
			tell(w, 5)
		},
		"line ends in a name": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X\r\nSet-Cookie: b"] = []string{"c"}
			tell(w, 5)
		},
		"names that are none": func(w http.ResponseWriter, r *http.Request) {
			w.Header()[""] = []string{"c"}
			w.Header()["a b"] = []string{"c"}
		},
		"many values": func(w http.ResponseWriter, r *http.Request) {
			w.Header()["X-M"] = []string{"a", "", "b"}
			w.Header()["X-N"] = nil
		},
		"panic":              func(w http.ResponseWriter, r *http.Request) { panic("x") },
		"panic when written": func(w http.ResponseWriter, r *http.Request) { length(w, 10); tell(w, 5); panic("x") },
		"abort":              func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) },
		"abort, chunked":     func(w http.ResponseWriter, r *http.Request) { write(w, 300<<10); panic(http.ErrAbortHandler) },
		"deadlines": func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			results = append(results, fmt.Sprint(rc.SetReadDeadline(time.Now().Add(time.Minute)), rc.SetWriteDeadline(time.Time{})))
			tell(w, 5)
		},
		"write deadline that has passed": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetWriteDeadline(time.Unix(1, 0))
			length(w, 300<<10)
			_, err := w.Write(make([]byte, 300<<10))
			results = append(results, fmt.Sprint(err != nil))
		},
		"read deadline that has passed": func(w http.ResponseWriter, r *http.Request) {
			_ = http.NewResponseController(w).SetReadDeadline(time.Unix(1, 0))
			w.Header().Set("Connection", "close")
			tell(w, 5)
		},
	} {
		handler := func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/z" {
				return
			}
			defer func() { ended <- struct{}{} }()
			w.Header().Set("Content-Type", "text/plain")
			h(w, r)
		}
		f, plain := serve(t, handler), servePlain(t, handler)
		for _, method := range []string{"GET", "HEAD", "DELETE"} {
			if method == "HEAD" && name == "abort, chunked" {
				continue // what net/http has sent by then is its buffer's affair
			}
			raw := method + " / HTTP/1.1\r\nHost: a\r\n\r\n" + last
			results = nil
			want := talk(t, plain, raw)
			<-ended
			wantResults := results
			results = nil
			got := talk(t, f.addr, raw)
			<-ended
			if method == "HEAD" && strings.Contains(name, "chunked") {
				// net/http does not know the length, and a Server does.
				want = strings.Replace(want, "length=-1", "length=*", 1)
				got = lengthOnce(got)
			}
			if got != want {
				t.Errorf("%s %s\ngot  %s\nwant %s", method, name, got, want)
			}
			if fmt.Sprint(results) != fmt.Sprint(wantResults) {
				t.Errorf("%s %s: writing came to %v, in net/http to %v", method, name, results, wantResults)
			}
		}
		if f.served.Load() == 0 {
			t.Errorf("%s: net/http served it", name)
		}
		if said := f.log.String(); strings.HasPrefix(name, "panic") != strings.Contains(said, "panic serving 127.0.0.1:") {
			t.Errorf("%s: logged %q", name, said)
		}
	}
}

// lengthOnce replaces the first length in a transcript, wherever it stands.
func lengthOnce(s string) string {
	_, after, _ := strings.Cut(s, "length=")
	n, _, _ := strings.Cut(after, " ")
	s = strings.Replace(s, "length="+n, "length=*", 1)
	return strings.Replace(s, fmt.Sprintf("  Content-Length: [%q]\n", n), "", 1)
}

// TestNoTypeIsGuessed is a difference to net/http on purpose: a handler says what it
// answers.
func TestNoTypeIsGuessed(t *testing.T) {
	f := serve(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, "<html>") })
	if got := talk(t, f.addr, getA); strings.Contains(got, "Content-Type") {
		t.Error(got)
	}
}

// TestLengthThatIsNone is another: net/http sends what is no length on to a HEAD.
func TestLengthThatIsNone(t *testing.T) {
	for _, length := range []string{"1x", "-1", "", "99999999999999999999"} {
		f := serve(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", length)
			_, _ = io.WriteString(w, "hello")
		})
		got := talk(t, f.addr, headA+getA)
		if strings.Count(got, "close=false length=5 []") != 2 || !strings.Contains(got, `"hello", <nil>`) {
			t.Errorf("%q: %s", length, got)
		}
	}
}

// TestNoAnswersInBetween is another: a handler that tries ends its connection.
func TestNoAnswersInBetween(t *testing.T) {
	f := serve(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusEarlyHints) })
	if got := talk(t, f.addr, getA+getA); got != "" {
		t.Error(got)
	}
}

// TestWriteFails tells a handler when its client has gone.
func TestWriteFails(t *testing.T) {
	failed := make(chan error, 1)
	f := serve(t, func(w http.ResponseWriter, r *http.Request) {
		for piece := make([]byte, 64<<10); ; {
			if _, err := w.Write(piece); err != nil {
				_, again := w.Write([]byte("x"))
				failed <- errors.Join(err, again)
				return
			}
		}
	})
	c := dial(t, f.addr)
	send(t, c, getA)
	_ = c.Close()
	if err := <-failed; err == nil || strings.Count(err.Error(), "\n") != 1 {
		t.Errorf("got %v", err)
	}
}
