package client

import (
	"context"
	"fmt"
	"net"
	"time"
)

const (
	readBuffer    = 4 << 10  // of a connection: an answer of everyday comes at once
	maxKeptBuffer = 16 << 10 // for requests, while a connection is idle
)

// conn is a connection of HTTP/1.1 to a member, on which one goroutine at a time
// sends a request and reads its answer itself: nobody else waits for either.
type conn struct {
	net    net.Conn
	probe  probe
	reader reader
	abort  func() // ends what is under way

	out   []byte    // the request
	used  bool      // it has served an exchange
	since time.Time // it is idle

	// Of the last exchange.
	sent  bool // a byte of the request was written
	begun bool // a byte of an answer came back
}

func newConn(n net.Conn) *conn {
	c := &conn{net: n, reader: newReader(n)}
	c.probe.init(n)
	c.abort = func() { _ = n.SetDeadline(time.Unix(1, 0)) }
	return c
}

// arm makes the next exchange end by deadline.
func (c *conn) arm(deadline time.Time) bool { return c.net.SetDeadline(deadline) == nil }

// quiet tells whether an idle connection is as it should be: open, with nothing to
// read on it. Who does not look takes for an answer what was sent before the
// request, such as a 408 to a connection that was idle.
func (c *conn) quiet() bool { return c.probe.quiet() }

// exchange sends out, and reads the answer to a request with this method. After an
// error the connection is good for nothing; where begun, the answer has the status
// that came. ctx ends it, and so does the deadline: os.ErrDeadlineExceeded.
func (c *conn) exchange(ctx context.Context, method string, limit int64) (*answer, error) {
	c.sent, c.begun = false, false
	if ctx.Done() == nil {
		return c.roundTrip(method, limit)
	}
	stop := context.AfterFunc(ctx, c.abort)
	a, err := c.roundTrip(method, limit)
	if !stop() {
		c.reader.close = true // abort has come in between, or will
	}
	return a, err
}

func (c *conn) roundTrip(method string, limit int64) (*answer, error) {
	n, err := c.net.Write(c.out)
	c.sent = n > 0
	if err != nil {
		return nil, fmt.Errorf("send the request: %w", err)
	}
	if _, err := c.reader.r.Peek(1); err != nil {
		return nil, fmt.Errorf("wait for the answer: %w", err)
	}
	c.begun = true
	return c.reader.answer(method, limit)
}

func (c *conn) close() { _ = c.net.Close() }

// newDialer is what connects to members.
func newDialer() *net.Dialer {
	return &net.Dialer{Timeout: 3 * time.Second, KeepAlive: 15 * time.Second}
}
