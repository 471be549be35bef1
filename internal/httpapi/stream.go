package httpapi

import (
	"net/http"
	"strconv"
	"sync"
	"time"
)

// streamChunk is how much of a long answer is written at once.
const streamChunk = 32 << 10

// stream writes an answer of any length from one small buffer. The header must
// be complete before the first byte is appended. Nothing is flushed explicitly:
// there is never a wait between chunks, and one is larger than what net/http
// holds back.
type stream struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	buf     []byte
	started bool
	failed  bool // the client is gone or does not read: all that follows is lost
}

var chunks = sync.Pool{New: func() any { return new(make([]byte, 0, streamChunk+4<<10)) }}

func newStream(w http.ResponseWriter) *stream {
	return &stream{w: w, rc: http.NewResponseController(w), buf: (*chunks.Get().(*[]byte))[:0]}
}

// next writes what has gathered when that is a chunk. False: nobody reads, the
// rest need not be made.
func (s *stream) next() bool {
	if len(s.buf) >= streamChunk {
		s.write()
	}
	return !s.failed
}

// end writes the rest and gives the buffer back. An answer of less than a chunk gets a length.
func (s *stream) end() {
	if !s.started {
		s.w.Header()["Content-Length"] = []string{strconv.Itoa(len(s.buf))}
	}
	s.write()
	if buf := s.buf; cap(buf) <= kept {
		chunks.Put(&buf)
	}
	s.buf = nil
}

// write gives each chunk as much time as a whole answer usually has: the
// server's own deadlines are made for answers of a size that can be foreseen. A
// client that reads goes on, one that does not is cut off. Past the deadline
// for reading, net/http would take a client that only listens for one that has
// gone. A ResponseWriter without deadlines needs none.
func (s *stream) write() {
	if s.failed {
		return
	}
	until := time.Now().Add(answerTime)
	_ = s.rc.SetReadDeadline(until)
	_ = s.rc.SetWriteDeadline(until)
	if !s.started {
		s.started = true
		s.w.WriteHeader(http.StatusOK)
	}
	_, err := s.w.Write(s.buf)
	s.failed = err != nil
	s.buf = s.buf[:0]
}
