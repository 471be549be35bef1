package http1

import (
	"net"
	"net/http"
	"strconv"
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
	written  int64 // bytes of body that the handler has written, or has tried to
	head     bool  // the request is a HEAD
	framed   bool  // the head is complete: in out, or gone
	chunked  bool
	close    bool // the connection ends with this answer
	timed    bool // its deadline is set
	err      error

	out  []byte // waits to be written: the head; once framed, the body behind it
	body []byte // the body, while nobody knows how long it will be
	wire net.Buffers
	bufs [2][]byte
}

// reset prepares for the answer to a request.
func (a *answer) reset(method string) {
	clear(a.header)
	a.status, a.declared, a.written, a.err = 0, -1, 0, nil
	a.head = method == http.MethodHead
	a.framed, a.chunked, a.close, a.timed = false, false, false, false
	a.out, a.body = a.out[:0], a.body[:0]
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// WriteHeader implements http.ResponseWriter. There are no answers in between (1xx).
func (a *answer) WriteHeader(status int) {
	if a.status != 0 {
		return
	}
	if status < 200 || status > 999 {
		panic("http1: status " + strconv.Itoa(status))
	}
	a.status = status
	a.takeFields()
	if a.declared >= 0 || bodiless(status) {
		a.frame()
	}
}

// bodiless tells whether an answer with a status never has a body.
func bodiless(status int) bool {
	return status == http.StatusNoContent || status == http.StatusNotModified
}

// frame completes the head with what says where the answer ends, and puts the body
// behind it as far as there is one.
func (a *answer) frame() {
	a.framed = true
	if a.declared >= 0 {
		a.out = strconv.AppendInt(append(a.out, "Content-Length: "...), a.declared, 10)
		a.out = append(a.out, "\r\n"...)
	}
	if a.chunked {
		a.out = append(a.out, "Transfer-Encoding: chunked\r\n"...)
	}
	if a.close = a.close || a.conn.s.stopping.Load(); a.close {
		a.out = append(a.out, "Connection: close\r\n"...)
	}
	a.out = append(a.out, "\r\n"...)
	a.put(a.body)
	a.body = a.body[:0]
}

// Write implements http.ResponseWriter. It keeps nothing of p.
func (a *answer) Write(p []byte) (int, error) {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if len(p) == 0 {
		return 0, a.err
	}
	a.written += int64(len(p))
	switch {
	case a.err != nil:
		return 0, a.err
	case bodiless(a.status):
		return 0, http.ErrBodyNotAllowed
	case a.declared >= 0 && a.written > a.declared:
		return 0, http.ErrContentLength
	case a.head:
		return len(p), nil
	case !a.framed && len(a.body)+len(p) <= maxTogether:
		a.body = append(a.body, p...)
		return len(p), nil
	case !a.framed:
		// Too long to wait for its end, and nobody knows where that is.
		a.chunked = true
		a.frame()
	}
	a.put(p)
	if a.err != nil {
		return 0, a.err
	}
	return len(p), nil
}

// put adds to the body on its way, as a chunk if it goes in chunks.
func (a *answer) put(p []byte) {
	if len(p) == 0 {
		return // an empty chunk would be the last
	}
	if a.chunked {
		a.out = append(strconv.AppendInt(a.out, int64(len(p)), 16), "\r\n"...)
	}
	if len(a.out)+len(p) <= maxTogether {
		a.out = append(a.out, p...)
	} else {
		a.flush(p)
	}
	if a.chunked {
		a.out = append(a.out, "\r\n"...)
	}
}

// end completes the answer and writes what is left of it. False: the connection
// cannot be used on.
func (a *answer) end() bool {
	if a.status == 0 {
		a.WriteHeader(http.StatusOK)
	}
	if !a.framed {
		// A handler that wrote nothing to a HEAD may have seen that it is one.
		if !a.head || a.written > 0 {
			a.declared = a.written
		}
		a.frame()
	}
	if a.chunked {
		a.out = append(a.out, "0\r\n\r\n"...)
	}
	a.flush(nil)
	whole := a.head || a.declared < 0 || a.declared == a.written
	return a.err == nil && !a.close && whole
}

// flush writes what has gathered, and p behind it.
func (a *answer) flush(p []byte) {
	if a.err != nil || len(a.out)+len(p) == 0 {
		return
	}
	if !a.timed {
		a.timed = true
		a.conn.writable()
	}
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

// tidy lets go of what a long answer has left.
func (a *answer) tidy() {
	if cap(a.out) > keptBuffer {
		a.out = make([]byte, 0, 1<<10)
	}
	if cap(a.body) > keptBuffer {
		a.body = nil
	}
}

// SetReadDeadline is for http.ResponseController. It holds until the connection is
// read from for the next request.
func (a *answer) SetReadDeadline(by time.Time) error {
	a.conn.readBy = time.Time{}
	return a.conn.tcp.SetReadDeadline(by)
}

// SetWriteDeadline is for http.ResponseController. It holds for this answer.
func (a *answer) SetWriteDeadline(by time.Time) error {
	a.timed, a.conn.writeBy = true, time.Time{}
	return a.conn.tcp.SetWriteDeadline(by)
}
