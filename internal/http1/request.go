package http1

import (
	"bytes"
	"context"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
)

// Bounds of what is taken. Whatever is larger is net/http's.
const (
	maxHead    = 4 << 10 // request line and headers
	maxHeaders = 24
	maxBody    = 64 << 10
)

// request is one request as it is read. It is used again for the next.
type request struct {
	http.Request
	blank   *http.Request // what Request is before each: handlers leave things in theirs
	header  http.Header
	url     url.URL
	headers [maxHeaders]string // values: each is the array of one slice in header
}

// newRequest returns a request to parse into. All that it will be have ctx, and come
// from remote.
func newRequest(ctx context.Context, remote string) request {
	blank := &http.Request{RemoteAddr: remote, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Body: http.NoBody}
	return request{blank: blank.WithContext(ctx), header: make(http.Header, 12)}
}

// parse reads the head of a request from what has arrived, and returns its length; 0:
// this is not for us, or not all here. Nothing of the request refers to b afterwards.
func (r *request) parse(b []byte) int {
	end := bytes.Index(b[:min(len(b), maxHead)], []byte("\r\n\r\n"))
	if end < 0 {
		return 0
	}
	head := string(b[:end+2])
	line, rest, _ := strings.Cut(head, "\r\n")
	r.Request = *r.blank
	r.URL, r.Header = &r.url, r.header
	clear(r.header)
	if !r.parseLine(line) || !r.parseHeaders(rest) {
		return 0
	}
	return end + 4
}

// parseLine reads the request line.
func (r *request) parseLine(line string) bool {
	method, line, ok := strings.Cut(line, " ")
	target, proto, ok2 := strings.Cut(line, " ")
	if !ok || !ok2 || proto != "HTTP/1.1" || !strings.HasPrefix(target, "/") {
		return false
	}
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPut, http.MethodPost, http.MethodDelete:
	default:
		return false
	}
	r.Method, r.RequestURI = method, target
	return r.parseTarget(target)
}

// plainPath are the bytes of a path that url.Parse leaves as they are, and for
// which it keeps no RawPath.
var plainPath = byteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~$&+,/:;=@")

// plainQuery are the bytes that every reader of a query takes for themselves.
var plainQuery = byteSet("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:=&%")

// parseTarget fills in the URL.
func (r *request) parseTarget(target string) bool {
	path, query, asked := strings.Cut(target, "?")
	switch {
	case asked && query == "", !plainQuery.all(query):
		return false
	case plainPath.all(path):
		r.url = url.URL{Path: path, RawQuery: query}
	default:
		u, err := url.ParseRequestURI(target)
		if err != nil || u.Host != "" || u.Scheme != "" {
			return false
		}
		r.url = *u
	}
	return true
}

// parseHeaders reads lines that end with CR LF.
func (r *request) parseHeaders(rest string) bool {
	host := false
	for n := 0; rest != ""; n++ {
		line, after, ok := strings.Cut(rest, "\r\n")
		name, value, colon := strings.Cut(line, ":")
		if rest = after; !ok || !colon || n == maxHeaders || name == "" || !tokens.all(name) {
			return false
		}
		if value = strings.Trim(value, " \t"); !visible.all(value) {
			return false
		}
		name = textproto.CanonicalMIMEHeaderKey(name)
		switch name {
		case "Host":
			if host || value == "" || !hosts.all(value) {
				return false
			}
			r.Host, host = value, true
			continue
		case "Content-Length":
			if !r.parseLength(value) {
				return false
			}
		case "Connection":
			if !strings.EqualFold(value, "keep-alive") {
				return false
			}
		case "Transfer-Encoding", "Expect", "Upgrade", "Te", "Trailer", "Keep-Alive", "Proxy-Connection", "Pragma":
			return false
		}
		if _, twice := r.header[name]; twice {
			return false
		}
		r.headers[n] = value
		r.header[name] = r.headers[n : n+1 : n+1]
	}
	takesBody := r.Method == http.MethodPut || r.Method == http.MethodPost
	return host && (takesBody || r.ContentLength == 0)
}

// parseLength reads a Content-Length.
func (r *request) parseLength(value string) bool {
	if value == "" || len(value) > 5 {
		return false
	}
	for i := range len(value) {
		if value[i] < '0' || value[i] > '9' {
			return false
		}
		r.ContentLength = r.ContentLength*10 + int64(value[i]-'0')
	}
	return r.ContentLength <= maxBody
}

// bytesAllowed is a set of bytes.
type bytesAllowed [256]bool

func byteSet(of string) (s bytesAllowed) {
	for i := range len(of) {
		s[of[i]] = true
	}
	return s
}

// all tells whether a string has no bytes but these.
func (s *bytesAllowed) all(text string) bool {
	for i := range len(text) {
		if !s[text[i]] {
			return false
		}
	}
	return true
}

var (
	// tokens are the bytes of a header's name (RFC 9110, section 5.6.2).
	tokens = byteSet("!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
	// hosts are the bytes of names, addresses and ports.
	hosts = byteSet("0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz.-_:[]")
	// visible are those of a header's value: ASCII without controls.
	visible = func() (s bytesAllowed) {
		for b := byte(' '); b < 0x7f; b++ {
			s[b] = true
		}
		s['\t'] = true
		return s
	}()
)
