package http1

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
)

func sum(b []byte) []byte { s := sha256.Sum256(b); return s[:8] }

const (
	getA  = "GET /a HTTP/1.1\r\nHost: a\r\nX-A: 1\r\n\r\n"
	headA = "HEAD /a HTTP/1.1\r\nHost: a\r\n\r\n"
	putB  = "PUT /b?c=d HTTP/1.1\r\nHost: b\r\nContent-Length: 5\r\nX-B: 2\r\n\r\nhello"
	long  = "GET " + longPath + " HTTP/1.1\r\nHost: l\r\n\r\n"
	chunk = "POST /c HTTP/1.1\r\nHost: c\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"
	last  = "GET /z HTTP/1.1\r\nHost: z\r\nConnection: close\r\n\r\n"
)

func putOf(n int) string {
	return fmt.Sprintf("PUT /n HTTP/1.1\r\nHost: n\r\nContent-Length: %d\r\n\r\n%s", n, strings.Repeat("0123456789abcdef", n/16+1)[:n])
}

// TestSameAsNetHTTP sends bytes to a Server and to net/http alone, in one piece. Each
// must get the same answers, with the connection ended behind the same one.
func TestSameAsNetHTTP(t *testing.T) {
	type row struct {
		raw   string
		taken int32 // requests that net/http has no part in
	}
	rows := []row{
		{getA, 1}, {headA, 1}, {putB, 1}, {long, 0}, {chunk, 0}, {last, 0},
		// pipelined
		{getA + putB + getA, 3},
		{strings.Repeat(getA, 30), 30},
		{strings.Repeat(putB+getA, 20), 40},
		{headA + getA + long + getA + putB, 2},
		{putB + chunk + putB + getA, 1},
		{getA + last + getA, 1},
		{long + getA, 0},
		{getA + "GET /half HTTP/1.1\r\nHost: a\r\n", 1},
		{getA + "PUT /half HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf", 1},
		{getA + "\x00\x01\x02\r\n\r\n" + getA, 1},
		{getA + "\r\n" + getA, 1},
		{putB + "extra" + getA, 1},
		// bodies
		{putOf(0) + getA, 2}, {putOf(1) + getA, 2}, {putOf(5000) + getA, 2},
		{putOf(maxBody) + getA, 2}, {putOf(maxBody+1) + getA, 0},
		{putOf(maxBody) + putOf(maxBody) + long + getA, 2},
		{getA + putOf(maxBody) + putOf(maxBody+1) + getA, 2},
		{"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc" + getA, 0},
		{"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nab", 0},
	}
	for _, raw := range plainRequests {
		// Whatever comes behind a request in its row is no request.
		rows = append(rows, row{raw, 1})
	}
	for _, raw := range otherRequests {
		rows = append(rows, row{raw, 0}, row{raw + getA, 0}, row{getA + raw + putB, 1})
	}
	f, plain := serve(t, echo), servePlain(t, echo)
	for _, row := range rows {
		want := talk(t, plain, row.raw)
		before := f.served.Load()
		if got := talk(t, f.addr, row.raw); got != want {
			t.Errorf("%.300q\ngot  %s\nwant %s", row.raw, got, want)
		}
		// What stands alone may become a request with what follows it.
		if got := f.served.Load() - before; got < row.taken || got > row.taken && !strings.HasSuffix(row.raw, getA) && !strings.HasSuffix(row.raw, putB) {
			t.Errorf("%.300q: %d requests were taken, want %d", row.raw, got, row.taken)
		}
	}
}

// TestSplitAnywhere sends the same in two pieces, split at each byte, the second when
// the server has read the first: connections are handed over with any part of a
// request, and bodies come late.
func TestSplitAnywhere(t *testing.T) {
	f, plain := serve(t, echo), servePlain(t, echo)
	for _, raw := range []string{getA + putB, putB + long + getA, chunk + getA, putB + last} {
		want := talk(t, plain, raw)
		for i := 1; i < len(raw); i++ {
			c := dial(t, f.addr)
			send(t, c, raw[:i])
			until(t, "the first piece is read", func() bool { return f.noticed(c) })
			if got := finish(t, c, raw[i:]); got != want {
				t.Fatalf("%q, then %q\ngot  %s\nwant %s", raw[:i], raw[i:], got, want)
			}
		}
	}
}

// TestByteByByte has each byte in a segment of its own.
func TestByteByByte(t *testing.T) {
	f, plain := serve(t, echo), servePlain(t, echo)
	const raw = putB + getA
	c := dial(t, f.addr)
	for i := range len(raw) {
		send(t, c, raw[i:i+1])
	}
	if got, want := finish(t, c, ""), talk(t, plain, raw); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestNothingStaysInARequest has a handler leave in its request whatever it can.
func TestNothingStaysInARequest(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		seen := fmt.Sprint(r.Form, r.PostForm, r.Pattern, r.PathValue("x"), r.Header, r.Close, r.Trailer, r.URL)
		_ = r.ParseForm()
		seen += fmt.Sprint(r.Form)
		r.SetPathValue("x", "left")
		r.Pattern, r.Close, r.Trailer = "left", true, http.Header{"Left": nil}
		r.Header.Set("Left", "1")
		r.Header["X-A"] = append(r.Header["X-A"], "left")
		r.Header = http.Header{"Left": {"2"}}
		r.URL.Path, r.URL.Fragment = "left", "left"
		r.URL = &url.URL{Host: "left"}
		w.Header().Set("Content-Type", "text/plain")
		w.Header().Add("X-Left", "once")
		_, _ = w.Write([]byte(seen))
	}
	f, plain := serve(t, handler), servePlain(t, handler)
	raw := strings.Repeat(putB+getA, 2)
	if got, want := talk(t, f.addr, raw), talk(t, plain, raw); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if f.served.Load() != 4 {
		t.Errorf("%d requests were taken", f.served.Load())
	}
}
