package httpload

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// Request is a request whose key changes from one use to the next. One
// goroutine uses it.
type Request struct {
	raw   []byte
	parts []int // where the key stands
	size  int   // of the key
}

// Placeholder stands for the key in the path and the body of a template: as
// often as one likes, and always as long as the key.
func Placeholder(size int) string { return strings.Repeat("\x00", size) }

// NewRequest makes a request from a method, a path with its query, a body (nil:
// none) and further header lines such as "Accept: text/plain". Where
// Placeholder(size) stands in path or body, SetKey writes.
func NewRequest(method, host, path string, size int, body []byte, headers ...string) (*Request, error) {
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\n", method, path, host)
	for _, h := range headers {
		b.WriteString(h)
		b.WriteString("\r\n")
	}
	if body != nil {
		b.WriteString("Content-Length: " + strconv.Itoa(len(body)) + "\r\n")
	}
	b.WriteString("\r\n")
	b.Write(body)
	r := &Request{raw: b.Bytes(), size: size}
	if size == 0 {
		return r, nil
	}
	mark := []byte(Placeholder(size))
	for at := 0; ; at += size {
		i := bytes.Index(r.raw[at:], mark)
		if i < 0 {
			break
		}
		at += i
		r.parts = append(r.parts, at)
	}
	if len(r.parts) == 0 {
		return nil, fmt.Errorf("httpload: %s %s has no place for a key", method, path)
	}
	return r, nil
}

// SetKey writes a key, as it stands in a path or a body, to its places.
func (r *Request) SetKey(key []byte) {
	if len(key) != r.size {
		panic(fmt.Sprintf("httpload: a key of %d bytes where %d are", len(key), r.size))
	}
	for _, at := range r.parts {
		copy(r.raw[at:], key)
	}
}

// SetKeyAt writes one of several keys: to the i-th place only.
func (r *Request) SetKeyAt(i int, key []byte) {
	if len(key) != r.size {
		panic(fmt.Sprintf("httpload: a key of %d bytes where %d are", len(key), r.size))
	}
	copy(r.raw[r.parts[i]:], key)
}

// Places is how often the key stands in the request.
func (r *Request) Places() int { return len(r.parts) }
