package http1

import (
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

// maxTogether is how much of an answer is gathered before it is written. What is
// longer follows piece by piece as the handler writes it: in chunks, unless the
// handler has said how long it is.
const maxTogether = 32 << 10

// answer is an http.ResponseWriter. It is used again for the next request.
type answer struct {
	conn   *conn
	header http.Header
	keys   []string // of header, in order

	status   int   // 0: not yet given
	declared int64 // Content-Length; -1: none was given
	written  int64 // bytes of body
	head     bool  // the head is in out, or gone
	mute     bool  // there is no body: HEAD, 204, 304
	chunked  bool
	close    bool // the connection ends with this answer
	timed    bool // the handler has set a deadline of its own for it
	err      error

	out  []byte // head and body that wait to be written; while head is false, body alone
	wire net.Buffers
	bufs [2][]byte
}

// reset prepares for the answer to a request.
func (a *answer) reset(method string) {
	clear(a.header)
	a.status, a.declared, a.written, a.err = 0, -1, 0, nil
	a.head, a.chunked, a.close = false, false, false
	if a.timed {
		a.timed, a.conn.writeBy = false, time.Time{}
	}
	a.mute = method == http.MethodHead
	a.out = a.out[:0]
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. There are no answers in between.
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	if status < 200 || status > 999 {
		panic("http1: status " + strconv.Itoa(status))
	}
	a.status = status
	a.mute = a.mute || status == http.StatusNoContent || status == http.StatusNotModified
	if given := a.header["Content-Length"]; len(given) == 1 {
		if n, err := strconv.ParseInt(given[0], 10, 64); err == nil && n >= 0 {
			a.declared = n
		}
	}
	if c := a.header["Connection"]; len(c) > 0 && strings.EqualFold(c[0], "close") {
		a.close = true
	}
	if a.declared >= 0 || a.mute {
		a.begin()
	}
}

// begin puts the head in front of what follows.
func (a *answer) begin() {
	a.head = true
	body := a.out
	if len(body) > 0 {
		a.out = nil // rare: a handler that has not said how much comes
	}
	a.out = a.appendHead(a.out[:0])
	a.out = append(a.out, body...)
}

// appendHead appends the head of the answer.
func (a *answer) appendHead(b []byte) []byte {
	b = append(b, statusLine(a.status)...)
	a.keys = a.keys[:0]
	for key := range a.header {
		a.keys = append(a.keys, key)
	}
	slices.Sort(a.keys)
	for _, key := range a.keys {
		if key == "Content-Length" && (a.status == http.StatusNoContent || a.declared < 0) || key == "Connection" || key == "Transfer-Encoding" {
			continue
		}
		for _, value := range a.header[key] {
			b = append(append(b, key...), ": "...)
			b = append(appendValue(b, value), "\r\n"...)
		}
	}
	if _, given := a.header["Date"]; !given {
		b = append(b, date()...)
	}
	if a.chunked {
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	}
	if a.close {
		b = append(b, "Connection: close\r\n"...)
	}
	return append(b, "\r\n"...)
}

// appendValue appends a header's value, which cannot end its line.
func appendValue(b []byte, value string) []byte {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\r", " ", "\n", " ").Replace(value)
	}
	return append(b, strings.Trim(value, " \t")...)
}

// Write implements http.ResponseWriter. It keeps nothing of p.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	switch {
	case a.err != nil:
		return 0, a.err
	case a.mute:
		if a.status != http.StatusOK && len(p) > 0 {
			return 0, http.ErrBodyNotAllowed
		}
		a.written += int64(len(p))
		return len(p), nil
	case a.declared >= 0 && a.written+int64(len(p)) > a.declared:
		a.close = true
		return 0, http.ErrContentLength
	}
	a.written += int64(len(p))
	if len(a.out)+len(p) <= maxTogether {
		if a.chunked {
			a.appendChunk(p)
		} else {
			a.out = append(a.out, p...)
		}
		return len(p), nil
	}
	if !a.head {
		// Too long to wait for its end, and nobody knows where that is.
		body := slices.Clone(a.out)
		a.out, a.chunked = a.out[:0], true
		a.begin()
		a.appendChunk(body)
	}
	if a.chunked {
		a.appendChunk(p)
		a.flush(nil)
	} else {
		a.flush(p)
	}
	if a.err != nil {
		return 0, a.err
	}
	return len(p), nil
}

func (a *answer) appendChunk(p []byte) {
	if len(p) == 0 {
		return // would be the last
	}
	a.out = append(strconv.AppendInt(a.out, int64(len(p)), 16), "\r\n"...)
	a.out = append(append(a.out, p...), "\r\n"...)
}

// end completes the answer and writes what is left of it. False: the connection
// cannot be used on.
func (a *answer) end() bool {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.head {
		a.declared = a.written
		a.header["Content-Length"] = []string{strconv.FormatInt(a.written, 10)}
		a.begin()
	}
	if a.chunked {
		a.out = append(a.out, "0\r\n\r\n"...)
	}
	a.flush(nil)
	short := !a.mute && a.declared >= 0 && a.written < a.declared
	return a.err == nil && !a.close && !short
}

// flush writes what has gathered, and p behind it.
func (a *answer) flush(p []byte) {
	if a.err != nil {
		return
	}
	a.conn.writable()
	if len(p) == 0 {
		_, a.err = a.conn.tcp.Write(a.out)
	} else {
		a.bufs = [2][]byte{a.out, p}
		a.wire = a.bufs[:]
		_, a.err = a.wire.WriteTo(a.conn.tcp)
		a.bufs = [2][]byte{}
	}
	a.out = a.out[:0]
}

// SetReadDeadline is for http.ResponseController. The next request sets it anew.
func (a *answer) SetReadDeadline(by time.Time) error {
	a.conn.readBy = time.Time{}
	return a.conn.tcp.SetReadDeadline(by)
}

// SetWriteDeadline is for http.ResponseController. It holds for this answer.
func (a *answer) SetWriteDeadline(by time.Time) error {
	a.timed = true
	return a.conn.tcp.SetWriteDeadline(by)
}

// statusLines are those of every day.
var statusLines = func() (lines [600]string) {
	for code := range lines {
		if text := http.StatusText(code); text != "" {
			lines[code] = "HTTP/1.1 " + strconv.Itoa(code) + " " + text + "\r\n"
		}
	}
	return lines
}()

func statusLine(code int) string {
	if code < len(statusLines) && statusLines[code] != "" {
		return statusLines[code]
	}
	return "HTTP/1.1 " + strconv.Itoa(code) + " status code " + strconv.Itoa(code) + "\r\n"
}

// dated is the Date header of one second.
type dated struct {
	second int64
	line   []byte
}

var dateNow atomic.Pointer[dated]

// date is the line of the Date header.
func date() []byte {
	now := time.Now()
	d := dateNow.Load()
	if d == nil || d.second != now.Unix() {
		line := append([]byte("Date: "), now.UTC().Format(http.TimeFormat)...)
		d = &dated{now.Unix(), append(line, "\r\n"...)}
		dateNow.Store(d)
	}
	return d.line
}
