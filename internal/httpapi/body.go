package httpapi

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync"
)

const (
	// trusted is how much memory a Content-Length gets on its word. More is
	// taken when that much has arrived.
	trusted = 64 << 10
	// kept is the largest body buffer that goes back to the pool.
	kept = 64 << 10
)

// scratch is the memory that one request for a key needs and the Store does not
// keep.
type scratch struct {
	key  []byte
	body []byte
}

var scratches = sync.Pool{New: func() any { return &scratch{key: make([]byte, 0, 256), body: make([]byte, 0, 1024)} }}

func (s *scratch) free() {
	if cap(s.body) > kept {
		s.body = nil
	}
	scratches.Put(s)
}

// readBody reads the whole body of r, of at most limit bytes, into buf or a
// larger buffer. Nothing of a body that is cut short, malformed, late or too
// large is ever returned.
func readBody(r *http.Request, limit int64, buf []byte) ([]byte, error) {
	n := r.ContentLength
	switch {
	case n == 0:
		return buf[:0], nil
	case n > limit:
		return nil, tooLarge(limit)
	case n < 0:
		return readChunked(r.Body, limit, buf)
	}
	if int64(cap(buf)) < min(n, trusted) {
		buf = make([]byte, min(n, trusted))
	}
	have := min(n, int64(cap(buf)))
	buf = buf[:have]
	if _, err := io.ReadFull(r.Body, buf); err != nil {
		return nil, bodyFault(err)
	}
	if have < n {
		whole := make([]byte, n)
		copy(whole, buf)
		if _, err := io.ReadFull(r.Body, whole[have:]); err != nil {
			return nil, bodyFault(err)
		}
		buf = whole
	}
	return buf, nil
}

// readChunked reads a body that does not say its length.
func readChunked(body io.Reader, limit int64, buf []byte) ([]byte, error) {
	buf = buf[:0]
	for {
		if len(buf) == cap(buf) {
			buf = append(buf, 0)[:len(buf)]
		}
		// One byte too many tells all: to wait for more of them is the client's
		// wish, not ours.
		n, err := body.Read(buf[len(buf):min(int64(cap(buf)), limit+1)])
		buf = buf[:len(buf)+n]
		if int64(len(buf)) > limit {
			return nil, tooLarge(limit)
		}
		if err == io.EOF {
			return buf, nil
		}
		if err != nil {
			return nil, bodyFault(err)
		}
	}
}

func tooLarge(limit int64) error {
	return &fault{cause: errTooLarge, detail: "at most " + strconv.FormatInt(limit, 10) + " bytes are taken"}
}

// bodyFault tells a slow client from a broken one. Both are answered, in case
// somebody still reads, and neither gets anything written.
func bodyFault(err error) error {
	if ne, ok := errors.AsType[net.Error](err); ok && ne.Timeout() {
		return &fault{cause: errBodyTimeout, detail: "the body did not arrive in time"}
	}
	return &fault{cause: errBadBody, detail: "the body ended before its length, or is malformed"}
}
