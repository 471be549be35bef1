package client

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"
)

// goodAnswers are answers that are read, and what they say.
var goodAnswers = []struct {
	name   string
	method string
	raw    string
	status int
	body   string
	close  bool
}{
	{"value", "GET", gotHead + "\r\nvalue", 200, "value", false},
	{"empty", "GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, "", false},
	{"no reason", "GET", "HTTP/1.1 200\r\ncontent-length:3\r\n\r\nabc", 200, "abc", false},
	{"no content", "PUT", "HTTP/1.1 204 No Content\r\nETag: \"7\"\r\n\r\n", 204, "", false},
	{"no content, with a length", "PUT", "HTTP/1.1 204 No Content\r\nContent-Length: 0\r\n\r\n", 204, "", false},
	{"not modified", "GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, "", false},
	{"head", "HEAD", gotHead + "\r\n", 200, "", false},
	{"chunks", "GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0A\r\n0123456789\r\n0\r\n\r\n", 200, "abc0123456789", false},
	{"no chunk", "GET", "HTTP/1.1 200 OK\r\ntransfer-encoding: Chunked\r\n\r\n0\r\n\r\n", 200, "", false},
	{"last", "GET", "HTTP/1.1 503 X\r\nConnection: foo, CLOSE\r\nContent-Length: 1\r\n\r\nx", 503, "x", true},
	{"early hints", "GET", "HTTP/1.1 103 Early Hints\r\nETag: \"9\"\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n" + gotHead + "\r\nvalue", 200, "value", false},
	{"odd spaces", "GET", "HTTP/1.1 200 OK  so\r\nX-Empty:\r\nContent-Length:\t 3 \t\r\n\r\nabc", 200, "abc", false},
	{"to the end", "GET", "HTTP/1.1 502 X\r\nContent-Type: text/html\r\n\r\n<html>", 502, "<html>", true},
	{"an old proxy's", "GET", "HTTP/1.0 503 X\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx", 503, "x", true},
}

const gotHead = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nEtag: \"7\"\r\nKvd-Revision: 8\r\nContent-Length: 5\r\n"

// TestReadAnswer reads what is good, however it comes, with what is behind it left.
func TestReadAnswer(t *testing.T) {
	for _, tt := range goodAnswers {
		for name, from := range map[string]io.Reader{
			"at once":      strings.NewReader(tt.raw),
			"byte by byte": iotest.OneByteReader(strings.NewReader(tt.raw)),
		} {
			r := newReader(from)
			a, err := r.answer(tt.method, 1<<20)
			if err != nil || a.status != tt.status || string(a.body) != tt.body || a.body == nil || r.close != tt.close {
				t.Errorf("%s, %s: got %+v, close %v, %v", tt.name, name, a, r.close, err)
			}
			if strings.Contains(tt.raw, gotHead) && (a.etag != 7 || a.revision != 8 || a.contentType != "text/plain") {
				t.Errorf("%s, %s: got %+v", tt.name, name, a)
			}
			if rest, err := io.ReadAll(r.r); len(rest) > 0 || err != nil {
				t.Errorf("%s, %s: left %q, %v", tt.name, name, rest, err)
			}
		}
	}
}

// TestReadAnswers reads one answer after the other on a connection.
func TestReadAnswers(t *testing.T) {
	var all strings.Builder
	for _, tt := range goodAnswers {
		if !tt.close {
			all.WriteString(tt.raw)
		}
	}
	r := newReader(strings.NewReader(all.String()))
	for _, tt := range goodAnswers {
		if tt.close {
			continue
		}
		if a, err := r.answer(tt.method, 1<<20); err != nil || a.status != tt.status || string(a.body) != tt.body {
			t.Fatalf("%s: got %+v, %v", tt.name, a, err)
		}
	}
}

// TestCutAnswer: no answer that is cut is taken for a whole one, wherever that is.
func TestCutAnswer(t *testing.T) {
	for _, tt := range goodAnswers {
		end := len(tt.raw)
		if tt.name == "to the end" {
			end = strings.Index(tt.raw, "\r\n\r\n") + 4 // behind it nobody can tell
		}
		for cut := range end {
			r := newReader(strings.NewReader(tt.raw[:cut]))
			if a, err := r.answer(tt.method, 1<<20); err != io.ErrUnexpectedEOF || !r.close {
				t.Errorf("%s, cut at %d: got %+v, %v", tt.name, cut, a, err)
			}
		}
	}
}

// TestBadWire: what is no answer in plain form is none.
func TestBadWire(t *testing.T) {
	const ok = "HTTP/1.1 200 OK\r\n"
	long := strings.Repeat("x", readBuffer)
	for _, raw := range []string{
		"SSH-2.0-x\r\n\r\n",
		"HTTP/2.0 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 2x0 OK\r\n\r\n",
		"HTTP/1.1 2000 OK\r\n\r\n",
		"HTTP/1.1 099 OK\r\n\r\n",
		"HTTP/1.1  200 OK\r\n\r\n",
		" HTTP/1.1 200 OK\r\n\r\n",
		"\r\nHTTP/1.1 200 OK\r\n\r\n",
		"HTTP/1.1 101 Switching Protocols\r\n\r\n",
		"HTTP/1.1 200 OK\n\n",
		"HTTP/1.1 200 O\rK\r\n\r\n",
		ok + "X: y\n\r\n",
		ok + "X: y\rz\r\n\r\n",
		ok + " X: y\r\n\r\n",
		ok + "X: y\r\n more\r\n\r\n",
		ok + "X : y\r\n\r\n",
		ok + ": y\r\n\r\n",
		ok + "X\r\n\r\n",
		ok + "X\x00: y\r\n\r\n",
		ok + "X: \x00\r\n\r\n",
		ok + "X: \x7f\r\n\r\n",
		ok + "Content-Length: -1\r\n\r\n",
		ok + "Content-Length: +1\r\n\r\nx",
		ok + "Content-Length: 1, 1\r\n\r\nx",
		ok + "Content-Length:\r\n\r\n",
		ok + "Content-Length: 9223372036854775808\r\n\r\nx",
		ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\nx",
		ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: identity\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		ok + "Trailer: X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
		"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 204 X\r\nContent-Length: 1\r\n\r\nx",
		"HTTP/1.1 204 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 304 X\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"HTTP/1.1 103 X\r\nContent-Length: 1\r\n\r\nxHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n-1\r\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n0x1\r\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n1 \r\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n000000001\r\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n1\r\nxy\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n1\nx\r\n0\r\n\r\n",
		ok + "Transfer-Encoding: chunked\r\n\r\n0\r\nX: y\r\n\r\n",
		ok + "X: " + long + "\r\n\r\n",
		ok + strings.Repeat("X: "+long[:1000]+"\r\n", maxHeads/1000+1) + "\r\n",
		strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 1+maxHeads/25),
	} {
		r := newReader(strings.NewReader(raw))
		if a, err := r.answer("GET", 1<<20); !errors.Is(err, ErrBadAnswer) || !r.close {
			t.Errorf("%.100q: got %+v, %v", raw, a, err)
		}
	}
}

// TestReadLimit: an answer may be as long as the limit, and no byte more.
func TestReadLimit(t *testing.T) {
	for _, raw := range []string{
		"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nvalue",
		"HTTP/1.1 200 OK\r\n\r\nvalue",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nval\r\n2\r\nue\r\n0\r\n\r\n",
	} {
		r := newReader(strings.NewReader(raw))
		if a, err := r.answer("GET", 5); err != nil || string(a.body) != "value" {
			t.Errorf("%q: got %+v, %v", raw, a, err)
		}
		r = newReader(strings.NewReader(raw))
		if a, err := r.answer("GET", 4); !errors.Is(err, ErrTooLarge) || a.status != 200 || !r.close {
			t.Errorf("%q: got %+v, %v", raw, a, err)
		}
	}
	// Memory follows what comes.
	r := newReader(strings.NewReader("HTTP/1.1 200 OK\r\nContent-Length: 1000000000000\r\n\r\nvalue"))
	if a, err := r.answer("GET", 1<<50); err != io.ErrUnexpectedEOF {
		t.Errorf("got %+v, %v", a, err)
	}
}

// FuzzAnswer holds what is taken against net/http's reading of the same bytes.
func FuzzAnswer(f *testing.F) {
	for _, tt := range goodAnswers {
		f.Add(tt.method == "HEAD", []byte(tt.raw))
	}
	f.Add(false, []byte(gotHead+"ETag: \"9\"\r\nKvd-Staleness: 1ms\r\nRetry-After: 3\r\nKvd-Deleted: 1\r\nIdempotent-Replay: true\r\n\r\nvalue"))
	f.Fuzz(func(t *testing.T, head bool, raw []byte) {
		const limit = 1 << 16
		method := "GET"
		if head {
			method = "HEAD"
		}
		r := newReader(bytes.NewReader(raw))
		a, err := r.answer(method, limit)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r.r)
		want, wantRest, err := readByNetHTTP(method, raw)
		if err != nil {
			t.Fatalf("%q: net/http says %v, we read %+v", raw, err, a)
		}
		if fmt.Sprintf("%+v", want) != fmt.Sprintf("%+v", a) {
			t.Fatalf("%q: read %+v, net/http reads %+v", raw, a, want)
		}
		// One that is used again stands at the same place.
		if !r.close && !bytes.Equal(rest, wantRest) {
			t.Fatalf("%q: left %q, net/http leaves %q", raw, rest, wantRest)
		}
	})
}

// readByNetHTTP reads an answer, and what is behind it; where net/http would use the
// connection no more, that is empty.
func readByNetHTTP(method string, raw []byte) (*answer, []byte, error) {
	br := bufio.NewReader(bytes.NewReader(raw))
	for {
		res, err := http.ReadResponse(br, &http.Request{Method: method})
		if err != nil {
			return nil, nil, err
		}
		if res.StatusCode/100 == 1 {
			continue
		}
		body, err := io.ReadAll(res.Body)
		if err != nil {
			return nil, nil, err
		}
		rest, err := io.ReadAll(br)
		if res.Close {
			rest = nil
		}
		return &answer{res.StatusCode, fieldsOf(res.Header), body}, rest, err
	}
}
