package client

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

const (
	maxHeads = 64 << 10 // of the heads of an answer, those in between (1xx) included; a line fits readBuffer
	bodyStep = 1 << 20  // memory follows what comes, and not what was announced
)

// reader reads the answers on a connection. It takes HTTP/1.1 in its plain form,
// and repairs nothing: an answer that it does not understand to its last byte is
// ErrBadAnswer. FuzzAnswer holds what it takes against net/http's reading.
type reader struct {
	r     *bufio.Reader
	close bool // nothing may follow on this connection
	left  int  // of maxHeads

	// Of the head that was read last.
	length  int64 // Content-Length; -1: none
	chunked bool
	old     bool // HTTP/1.0
}

func newReader(r io.Reader) reader { return reader{r: bufio.NewReaderSize(r, readBuffer)} }

// answer reads the answer to a request with this method, and of its body limit
// bytes at most. With an error, it returns what came of the answer: its status.
func (r *reader) answer(method string, limit int64) (*answer, error) {
	a := &answer{}
	r.close, r.left = false, maxHeads
	for a.status/100 <= 1 { // 1xx: another answer follows
		*a = answer{}
		if err := r.head(a); err != nil {
			r.close = true
			return a, whole(err)
		}
	}
	var err error
	if a.body, err = r.body(method, a.status, limit); err != nil {
		r.close = true
	}
	return a, whole(err)
}

// whole is an error within an answer, where no end is a good one.
func whole(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// head reads a status line and a header.
func (r *reader) head(a *answer) error {
	line, err := r.line()
	if err != nil {
		return err
	}
	if a.status, err = r.status(line); err != nil {
		return err
	}
	r.length, r.chunked = -1, false
	for {
		line, err := r.line()
		if err != nil || len(line) == 0 {
			return r.sound(a.status, err)
		}
		if err := r.field(a, line); err != nil {
			return err
		}
	}
}

// status reads "HTTP/1.1 200 OK".
func (r *reader) status(line []byte) (int, error) {
	const version = len("HTTP/1.1 ")
	if len(line) < version+3 || len(line) > version+3 && line[version+3] != ' ' {
		return 0, malformed("status line", line)
	}
	switch string(line[:version]) {
	case "HTTP/1.1 ":
		r.old = false
	case "HTTP/1.0 ":
		r.old, r.close = true, true
	default:
		return 0, malformed("status line", line)
	}
	status := 0
	for _, d := range line[version : version+3] {
		if d < '0' || d > '9' {
			return 0, malformed("status line", line)
		}
		status = 10*status + int(d-'0')
	}
	if status < 100 || status == http.StatusSwitchingProtocols {
		return 0, malformed("status line", line)
	}
	return status, nil
}

// field reads a line of the header, and changes the case of its name.
func (r *reader) field(a *answer, line []byte) error {
	colon := bytes.IndexByte(line, ':')
	if colon <= 0 {
		return malformed("header", line)
	}
	name, value := line[:colon], bytes.Trim(line[colon+1:], " \t")
	for i, c := range name {
		if !tokenByte(c) {
			return malformed("header", line)
		}
		if 'A' <= c && c <= 'Z' {
			name[i] = c | 0x20
		}
	}
	for _, c := range value {
		if c < ' ' && c != '\t' || c == 0x7f {
			return malformed("header", line)
		}
	}
	switch string(name) {
	case "content-length":
		n, err := strconv.ParseUint(string(value), 10, 63)
		if err != nil || r.length >= 0 {
			return malformed("header", line)
		}
		r.length = int64(n)
	case "transfer-encoding":
		if r.chunked || !bytes.EqualFold(value, []byte("chunked")) {
			return malformed("header", line)
		}
		r.chunked = true
	case "connection":
		for token := range bytes.SplitSeq(value, []byte{','}) {
			r.close = r.close || bytes.EqualFold(bytes.Trim(token, " \t"), []byte("close"))
		}
	case "trailer":
		return malformed("header", line)
	default:
		a.take(name, value)
	}
	return nil
}

// sound completes a head: what says where the answer ends must say one thing.
func (r *reader) sound(status int, err error) error {
	none := status/100 == 1 || status == http.StatusNoContent
	switch {
	case err != nil:
		return err
	case r.chunked && (r.length >= 0 || r.old || none || status == http.StatusNotModified), none && r.length > 0:
		return fmt.Errorf("%w: an end that is none", ErrBadAnswer)
	}
	return nil
}

// tokenByte tells whether a name may have c in it (RFC 9110, section 5.6.2).
func tokenByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", c) >= 0
}

// line reads a line of a head or between chunks, and returns it without its end,
// which is \r\n. It is good until the next read.
func (r *reader) line() ([]byte, error) {
	line, err := r.r.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrBadAnswer, len(line))
	}
	if err != nil {
		return nil, whole(err)
	}
	if r.left -= len(line); r.left < 0 {
		return nil, fmt.Errorf("%w: a header of more than %d bytes", ErrBadAnswer, maxHeads)
	}
	end := len(line) - 2
	if end < 0 || bytes.IndexByte(line, '\r') != end {
		return nil, malformed("line", line)
	}
	return line[:end], nil
}

// body reads what follows the head.
func (r *reader) body(method string, status int, limit int64) ([]byte, error) {
	body := []byte{}
	switch {
	case method == http.MethodHead || status == http.StatusNoContent || status == http.StatusNotModified:
		return body, nil
	case r.chunked:
		return r.chunks(body, limit)
	case r.length > limit:
		return nil, tooLarge(limit)
	case r.length >= 0:
		return r.read(body, r.length)
	}
	r.close = true
	return readAll(r.r, limit)
}

// read appends n bytes to body.
func (r *reader) read(body []byte, n int64) ([]byte, error) {
	for n > 0 {
		step := int(min(n, bodyStep))
		body = slices.Grow(body, step)
		got, err := io.ReadFull(r.r, body[len(body):len(body)+step])
		body = body[:len(body)+got]
		if err != nil {
			return nil, whole(err)
		}
		n -= int64(step)
	}
	return body, nil
}

// chunks appends a chunked body, which has no extensions and no trailer.
func (r *reader) chunks(body []byte, limit int64) ([]byte, error) {
	for {
		r.left = maxHeads
		line, err := r.line()
		if err != nil {
			return nil, err
		}
		if len(line) > 8 {
			return nil, malformed("chunk", line)
		}
		n, err := strconv.ParseUint(string(line), 16, 32)
		if err != nil {
			return nil, malformed("chunk", line)
		}
		if int64(n) > limit-int64(len(body)) {
			return nil, tooLarge(limit)
		}
		if body, err = r.read(body, int64(n)); err != nil {
			return nil, err
		}
		if line, err = r.line(); err != nil {
			return nil, err
		}
		if len(line) > 0 {
			return nil, malformed("end of a chunk", line)
		}
		if n == 0 {
			return body, nil
		}
	}
}

func malformed(what string, line []byte) error {
	return fmt.Errorf("%w: %s %.40q", ErrBadAnswer, what, line)
}
