package http1

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net/http"
	"net/textproto"
	"net/url"
	"reflect"
	"strings"
	"testing"
)

// plainRequests are taken; the rest of what is read is theirs, too.
var plainRequests = []string{
	"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"HEAD /v1/kv/a HTTP/1.1\r\nHost: 127.0.0.1:12380\r\nUser-Agent: curl/8\r\nAccept: */*\r\n\r\n",
	"PUT /v1/kv/a?ttl=5s&lease=7 HTTP/1.1\r\nHost: [::1]:80\r\nContent-Length: 3\r\nContent-Type: text/plain\r\n\r\nabcGET /",
	"POST /v1/txn HTTP/1.1\r\nhost:a\r\ncontent-length:\t2 \r\nX-Empty:\r\n\r\n{}",
	"PUT /x HTTP/1.1\r\nHost: a\r\nContent-Length: 00003\r\n\r\nabc",
	"DELETE /a%2Fb/%20?x=%2F HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nConnection: Keep-Alive\r\n\r\n",
	"GET //x//y/../z HTTP/1.1\r\nHost: a\r\nIf-Match: \"1\"\r\n\r\n",
	"GET /a#b?c=%zz HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\xff\xc3\xa4!*'() HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a;b=c,d:e@f$g&h+i=~ HTTP/1.1\r\nHost: a\r\nX: ~!@#$%^&*()_+\t|\r\n\r\n",
	"GET /:a/http://b HTTP/1.1\r\nHost: a\r\nReferer: http://b/?q#f\r\nAccept-Encoding: gzip\r\n\r\n",
}

// otherRequests are not taken, whatever they are.
var otherRequests = []string{
	"",
	"\r\n\r\n",
	"\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n\r",
	"GET / HTTP/1.1\nHost: a\n\n",
	"GET / HTTP/1.1\r\nHost: a\n\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\n\nGET /b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1 \r\nHost: a\r\n\r\n",
	"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /% HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /? HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /?a?b HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET /?a+b;c HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET ? HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n",
	"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
	"CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n",
	"get / HTTP/1.1\r\nHost: a\r\n\r\n",
	"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
	"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
	"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost:\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\nx: b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n X: folded\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\r\n\tb\r\n\r\n",
	"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
	"GET / HTTP/1.1\r\n Host: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nNo-Colon\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n: no name\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: \x7f\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX: \xff\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nX(Y): z\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
	"DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1_0\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1 0\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 65537\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551617\r\n\r\nx",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\ntransfer-encoding: identity\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\vchunked\r\n\r\n0\r\n\r\n",
	"PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nExpect: 100-continue\r\n\r\nx",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, close\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nTrailer: X\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\nPragma: no-cache\r\n\r\n",
	"GET /" + strings.Repeat("a", maxHead) + " HTTP/1.1\r\nHost: a\r\n\r\n",
	"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", maxHeaders) + "\r\n",
}

func TestPlainRequestsAreTaken(t *testing.T) {
	for _, raw := range plainRequests {
		if checkRequest(t, []byte(raw)) == 0 {
			t.Errorf("not taken: %q", raw)
		}
	}
}

func TestOtherRequestsAreNotTaken(t *testing.T) {
	for _, raw := range otherRequests {
		if n := checkRequest(t, []byte(raw)); n != 0 {
			t.Errorf("%d bytes taken of %q", n, raw)
		}
	}
}

// TestHeaderCount has as many headers as fit, and one more.
func TestHeaderCount(t *testing.T) {
	for n, taken := range map[int]bool{maxHeaders: true, maxHeaders + 1: false} {
		raw := "GET / HTTP/1.1\r\nHost: a\r\n"
		for i := range n - 1 {
			raw += "X" + strings.Repeat("y", i) + ": z\r\n"
		}
		if got := checkRequest(t, []byte(raw+"\r\n")) > 0; got != taken {
			t.Errorf("%d headers taken: %v", n, got)
		}
	}
}

// FuzzRequest holds whatever is taken against net/http's reading of the same bytes.
func FuzzRequest(f *testing.F) {
	for _, raw := range append(plainRequests, otherRequests...) {
		f.Add([]byte(raw))
	}
	f.Fuzz(func(t *testing.T, raw []byte) { checkRequest(t, raw) })
}

// checkRequest parses what has arrived into a request that was used before, and
// compares what comes of it with net/http's request, field by field. It returns the
// length of the head.
func checkRequest(t *testing.T, raw []byte) int {
	t.Helper()
	r := newRequest(context.Background(), "")
	if r.parse([]byte("PUT /before%21?a=b HTTP/1.1\r\nHost: before\r\nContent-Length: 9\r\nX-Before: y\r\n\r\n")) == 0 {
		t.Fatal("the request before was not taken")
	}
	r.Form, r.Pattern, r.Close, r.Header = url.Values{}, "/", true, nil
	given := bytes.Clone(raw)
	n := r.parse(given)
	if n == 0 {
		return 0
	}
	if r.parse(given[:n-1]) != 0 {
		t.Fatalf("taken before it ended: %q", raw)
	}
	if again := r.parse(given); again != n {
		t.Fatalf("first %d bytes were taken, then %d of %q", n, again, raw)
	}
	clear(given) // nothing may refer to it

	br := bufio.NewReaderSize(bytes.NewReader(raw), len(raw)+16)
	want, err := http.ReadRequest(br)
	if err != nil {
		t.Fatalf("taken, and net/http says %v: %q", err, raw)
	}
	if head := len(raw) - br.Buffered(); head != n {
		t.Fatalf("%d bytes of head, net/http says %d: %q", n, head, raw)
	}
	checkServerChecks(t, raw, r.Host)

	body, bodyErr := io.ReadAll(want.Body)
	if have := raw[n:]; int64(len(have)) >= r.ContentLength {
		if mine := have[:r.ContentLength]; bodyErr != nil || !bytes.Equal(body, mine) {
			t.Errorf("body %q, net/http says %q, %v: %q", mine, body, bodyErr, raw)
		}
		if rest, _ := io.ReadAll(br); !bytes.Equal(rest, have[r.ContentLength:]) {
			t.Errorf("%q follows, net/http says %q: %q", have[r.ContentLength:], rest, raw)
		}
	} else if bodyErr != io.ErrUnexpectedEOF {
		t.Errorf("a body that is cut short: net/http says %v: %q", bodyErr, raw)
	}
	// The body of a request that is not there yet is the connection's to set.
	want.Body = http.NoBody
	want = want.WithContext(r.Context())
	if got := &r.Request; !reflect.DeepEqual(got, want) {
		t.Errorf("got\n%+v %+v\nnet/http has\n%+v %+v\nof %q", got, got.URL, want, want.URL, raw)
	}
	return n
}

// checkServerChecks does what net/http's server does behind http.ReadRequest, which has
// dropped Host by then.
func checkServerChecks(t *testing.T, raw []byte, host string) {
	t.Helper()
	tr := textproto.NewReader(bufio.NewReader(bytes.NewReader(raw)))
	if _, err := tr.ReadLine(); err != nil {
		t.Fatal(err)
	}
	header, err := tr.ReadMIMEHeader()
	if err != nil {
		t.Fatalf("%v: %q", err, raw)
	}
	if hosts := header["Host"]; len(hosts) != 1 || hosts[0] != host || strings.Trim(host, ".-_:[]0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ") != "" {
		t.Errorf("Host %q of %q", hosts, raw)
	}
	for name, values := range header {
		for _, value := range values {
			if strings.ContainsFunc(value, func(r rune) bool { return r < ' ' && r != '\t' || r >= 0x7f }) {
				t.Errorf("%s: %q of %q", name, value, raw)
			}
		}
	}
}
