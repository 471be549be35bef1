package httpload

import (
	"bufio"
	"errors"
	"fmt"
	"io"
)

// Stream is the body of an answer that comes line by line, for as long as the
// server likes. Its connection carries nothing else.
type Stream struct {
	conn *Conn
	left int64 // of the chunk that is being read
	line []byte
}

// Stream sends a request and returns once the headers of its answer, which must
// be 200 and chunked, are there. Closing the Conn ends it.
func (c *Conn) Stream(r *Request) (*Stream, error) {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return nil, err
		}
	}
	if _, err := c.conn.Write(r.raw); err != nil {
		return nil, fmt.Errorf("httpload: %w", err)
	}
	status, err := c.statusLine()
	if err != nil {
		return nil, fmt.Errorf("httpload: %w", err)
	}
	if status != 200 {
		return nil, &StatusError{status}
	}
	_, chunked, err := c.headers()
	if err == nil && !chunked {
		err = fmt.Errorf("%w: a stream that is not chunked", errBroken)
	}
	if err != nil {
		return nil, fmt.Errorf("httpload: %w", err)
	}
	return &Stream{conn: c}, nil
}

// Next blocks until there is a line and returns it without its end; it is good
// until the next call. The end of the body is io.EOF.
func (s *Stream) Next() ([]byte, error) {
	s.line = s.line[:0]
	for {
		if s.left == 0 {
			if err := s.chunk(); err != nil {
				return nil, err
			}
		}
		part, err := s.conn.r.ReadSlice('\n')
		if int64(len(part)) > s.left {
			// It was the end of the chunk, not of a line.
			return nil, fmt.Errorf("httpload: %w: a line that goes on in another chunk", errBroken)
		}
		s.left -= int64(len(part))
		if s.left == 0 {
			if _, err := s.conn.r.Discard(2); err != nil {
				return nil, fmt.Errorf("httpload: %w", err)
			}
		}
		s.line = append(s.line, part...)
		if err == nil {
			return s.line[:len(s.line)-1], nil
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return nil, fmt.Errorf("httpload: %w", err)
		}
	}
}

// chunk begins the next chunk.
func (s *Stream) chunk() error {
	line, err := s.conn.line()
	if err != nil {
		return fmt.Errorf("httpload: %w", err)
	}
	n, err := parseChunkSize(line)
	if err != nil {
		return fmt.Errorf("httpload: %w", err)
	}
	if n == 0 {
		return io.EOF
	}
	s.left = n
	return nil
}
