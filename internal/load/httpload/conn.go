package httpload

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strconv"
	"time"
)

// readBuffer takes the answers of point reads and writes at once.
const readBuffer = 8 << 10

// errBroken is for an answer that is not HTTP/1.1 as this package reads it.
var errBroken = errors.New("httpload: malformed answer")

// Conn is one connection. One goroutine uses it. After an error of Do that is
// not a [*StatusError], the next Do makes a new connection.
type Conn struct {
	addr string
	conn net.Conn // nil: there is none
	r    *bufio.Reader
	stop func() bool // no longer wait for the end of Open's context
	ctx  context.Context

	closing bool // the server has said that it closes
}

// Open connects to a host and port. The end of ctx ends whatever Do waits for,
// then and later.
func Open(ctx context.Context, addr string) (*Conn, error) {
	c := &Conn{addr: addr, ctx: ctx}
	if err := c.connect(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Conn) connect() error {
	d := net.Dialer{Timeout: 5 * time.Second}
	conn, err := d.DialContext(c.ctx, "tcp", c.addr)
	if err != nil {
		return fmt.Errorf("httpload: %w", err)
	}
	c.conn, c.closing = conn, false
	if c.r == nil {
		c.r = bufio.NewReaderSize(conn, readBuffer)
	} else {
		c.r.Reset(conn)
	}
	c.stop = context.AfterFunc(c.ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	return nil
}

// Close ends the connection.
func (c *Conn) Close() error {
	if c.conn == nil {
		return nil
	}
	c.stop()
	err := c.conn.Close()
	c.conn = nil
	return err
}

// StatusError is an answer with another status than was expected. The
// connection stays good.
type StatusError struct{ Status int }

func (e *StatusError) Error() string { return "status " + strconv.Itoa(e.Status) }

// Do sends a request and reads the answer through. want are the statuses that
// are good. It returns the bytes of the body.
func (c *Conn) Do(r *Request, want ...int) (int64, error) {
	if c.conn == nil {
		if err := c.connect(); err != nil {
			return 0, err
		}
	}
	status, n, err := c.exchange(r)
	if err != nil || c.closing {
		_ = c.Close()
	}
	if err != nil {
		return n, fmt.Errorf("httpload: %w", err)
	}
	for _, w := range want {
		if status == w {
			return n, nil
		}
	}
	return n, &StatusError{status}
}

func (c *Conn) exchange(r *Request) (status int, body int64, err error) {
	if _, err := c.conn.Write(r.raw); err != nil {
		return 0, 0, err
	}
	status, err = c.statusLine()
	if err != nil {
		return 0, 0, err
	}
	length, chunked, err := c.headers()
	switch {
	case err != nil:
	case status == 204 || status == 304:
	case chunked:
		body, err = c.chunks()
	case length >= 0:
		body, err = length, c.discard(length)
	default:
		err = fmt.Errorf("%w: a body without an end", errBroken)
	}
	return status, body, err
}

// statusLine reads "HTTP/1.1 200 OK".
func (c *Conn) statusLine() (int, error) {
	line, err := c.line()
	if err != nil {
		return 0, err
	}
	const prefix = "HTTP/1.1 "
	if len(line) < len(prefix)+3 || string(line[:len(prefix)]) != prefix {
		return 0, fmt.Errorf("%w: status line %.40q", errBroken, line)
	}
	status := 0
	for _, d := range line[len(prefix) : len(prefix)+3] {
		if d < '0' || d > '9' {
			return 0, fmt.Errorf("%w: status line %.40q", errBroken, line)
		}
		status = 10*status + int(d-'0')
	}
	return status, nil
}

// headers reads up to the empty line; length is -1 when none was told.
func (c *Conn) headers() (length int64, chunked bool, err error) {
	length = -1
	for {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return length, chunked, err
		}
		// All but three headers are told apart by their first letter.
		switch line[0] | 0x20 {
		case 'c':
			if v, ok := header(line, "content-length"); ok {
				if length, err = strconv.ParseInt(string(v), 10, 64); err != nil || length < 0 {
					return 0, false, fmt.Errorf("%w: %.40q", errBroken, line)
				}
			} else if v, ok := header(line, "connection"); ok && bytes.EqualFold(v, []byte("close")) {
				c.closing = true
			}
		case 't':
			if v, ok := header(line, "transfer-encoding"); ok && bytes.EqualFold(v, []byte("chunked")) {
				chunked = true
			}
		}
	}
}

// header returns the value of line if it has this name, in lower case.
func header(line []byte, name string) ([]byte, bool) {
	if len(line) <= len(name) || line[len(name)] != ':' || !bytes.EqualFold(line[:len(name)], []byte(name)) {
		return nil, false
	}
	return bytes.TrimSpace(line[len(name)+1:]), true
}

// chunks reads a chunked body through, and its trailers.
func (c *Conn) chunks() (int64, error) {
	var total int64
	for {
		line, err := c.line()
		if err != nil {
			return total, err
		}
		n, err := parseChunkSize(line)
		if err != nil {
			return total, err
		}
		if n == 0 {
			break
		}
		total += n
		if err := c.discard(n + 2); err != nil {
			return total, err
		}
	}
	for {
		line, err := c.line()
		if err != nil || len(line) == 0 {
			return total, err
		}
	}
}

// parseChunkSize reads the line before a chunk, and ignores its extensions.
func parseChunkSize(line []byte) (int64, error) {
	hex, _, _ := bytes.Cut(line, []byte(";"))
	n, err := strconv.ParseInt(string(bytes.TrimSpace(hex)), 16, 32)
	if err != nil || n < 0 {
		return 0, fmt.Errorf("%w: chunk size %.40q", errBroken, line)
	}
	return n, nil
}

// line reads a line, and returns it without its end. It is good until the next read.
func (c *Conn) line() ([]byte, error) {
	line, err := c.r.ReadSlice('\n')
	if err != nil {
		if errors.Is(err, bufio.ErrBufferFull) {
			err = fmt.Errorf("%w: a line of more than %d bytes", errBroken, readBuffer)
		} else if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return bytes.TrimRight(line, "\r\n"), nil
}

func (c *Conn) discard(n int64) error {
	for n > 0 {
		d, err := c.r.Discard(int(min(n, 1<<30)))
		if err != nil {
			return err
		}
		n -= int64(d)
	}
	return nil
}
