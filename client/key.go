package client

import (
	"strings"
	"unicode/utf8"
)

const (
	kvPath   = "/v1/kv/"
	keyRoute = kvPath + "{key}"
)

// keyCall prepares a call to the path of a key. The key is escaped here and not
// by net/url, which would leave segments that proxies clean away.
func keyCall(k kind, method, key string) *call {
	q := newCall(k, method, kvPath)
	q.route = keyRoute
	q.path = kvPath + key
	var room [256]byte
	q.raw = string(appendKey(append(room[:0], kvPath...), key))
	q.timed = true
	return q
}

// escapeKey returns a key as it stands in a path.
func escapeKey(key string) string { return string(appendKey(nil, key)) }

// appendKey appends a key as it stands in a path. Slashes stay slashes, so that
// paths can be read, unless that would make segments that mean something else to
// programs in between: empty ones, "." and "..".
func appendKey(b []byte, key string) []byte {
	const digits = "0123456789ABCDEF"
	slash, odd := true, false
	for segment := range strings.SplitSeq(key, "/") {
		switch segment {
		case "":
			slash = false
		case ".", "..":
			slash, odd = false, true
		}
	}
	for i := range len(key) {
		switch c := key[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9',
			c == '-', c == '_', c == '~', c == '.' && !odd, c == '/' && slash:
			b = append(b, c)
		default:
			b = append(b, '%', digits[c>>4], digits[c&15])
		}
	}
	return b
}

// text is bytes in JSON: exactly one of both forms is set.
type text struct {
	plain  *string
	base64 []byte
}

func newText[S string | []byte](s S) text {
	if utf8.ValidString(string(s)) {
		return text{plain: new(string(s))}
	}
	return text{base64: []byte(s)}
}

// keyJSON is a key in a request.
type keyJSON struct {
	Key       *string `json:"key,omitempty"`
	KeyBase64 []byte  `json:"key_base64,omitempty"`
}

func newKeyJSON(key string) keyJSON {
	t := newText(key)
	return keyJSON{t.plain, t.base64}
}

// escapeSegment returns s as one segment of a path.
func escapeSegment(s string) string { return strings.ReplaceAll(escapeKey(s), "/", "%2F") }
