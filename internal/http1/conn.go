package http1

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"runtime/debug"
	"sync/atomic"
	"time"
)

// What a connection is doing. Whoever ends it takes it out of idle or fresh first.
const (
	fresh  int32 = iota // has sent nothing yet
	idle                // between two requests
	active              // a request is being read or answered
	ended
)

const (
	smallBuffer = 4 << 10
	keptBuffer  = 16 << 10 // what an idle connection may hold on to
)

// conn is one connection and its goroutine.
type conn struct {
	s     *Server
	tcp   *net.TCPConn
	state atomic.Int32

	buf     []byte // buf[from:to] has been read and not yet looked at
	from    int
	to      int
	req     request
	ans     answer
	body    bodyReader
	readBy  time.Time // deadlines, as they were last set; zero: to be set
	writeBy time.Time
}

func newConn(s *Server, tcp *net.TCPConn) *conn {
	c := &conn{s: s, tcp: tcp, buf: make([]byte, smallBuffer)}
	c.ans.conn, c.ans.header, c.ans.out = c, make(http.Header, 12), make([]byte, 0, 1<<10)
	ctx := context.WithValue(s.ctx, http.LocalAddrContextKey, tcp.LocalAddr())
	ctx = context.WithValue(ctx, http.ServerContextKey, s.fallback)
	c.req = newRequest(ctx, tcp.RemoteAddr().String())
	return c
}

// serve answers requests until the connection ends, or is net/http's to serve on.
func (c *conn) serve() {
	away := false
	defer func() {
		if p := recover(); p != nil && p != http.ErrAbortHandler {
			c.s.logf("http1: panic serving %v: %v\n%s", c.tcp.RemoteAddr(), p, debug.Stack())
		}
		if !away {
			_ = c.tcp.Close()
		}
		c.s.forget(c)
	}()
	for {
		if c.from == c.to && !c.await() {
			return
		}
		if !c.take() {
			away = c.s.handOver(c.tcp, c.buf[c.from:c.to])
			return
		}
		c.ans.reset(c.req.Method)
		c.s.handler.ServeHTTP(&c.ans, &c.req.Request)
		if !c.ans.end() {
			c.linger()
			return
		}
		c.tidy()
	}
}

// await reads the first bytes of a request.
func (c *conn) await() bool {
	c.from, c.to = 0, 0
	limit := c.s.idleTime
	if c.state.Load() == fresh {
		limit = c.s.headTime
	}
	if now := time.Now(); !serves(c.readBy, now, limit) {
		c.readBy = after(now, limit)
		if c.tcp.SetReadDeadline(c.readBy) != nil {
			return false
		}
	}
	n, err := c.tcp.Read(c.buf)
	c.to = n
	if n == 0 || err != nil {
		return false
	}
	for {
		was := c.state.Load()
		if was == ended {
			return false
		}
		if c.state.CompareAndSwap(was, active) {
			return true
		}
	}
}

// take makes a request of what has arrived, with all of its body. False: it is not
// one for us, and nothing was taken.
func (c *conn) take() bool {
	r := &c.req
	n := r.parse(c.buf[c.from:c.to])
	if n == 0 || !c.s.short(&r.Request) {
		return false
	}
	size := int(r.ContentLength)
	if size > 0 {
		if !c.fill(n + size) {
			return false
		}
		c.body.Reset(c.buf[c.from+n : c.from+n+size])
		r.Body = &c.body
	}
	c.from += n + size
	return true
}

// fill reads until there are n bytes of a request.
func (c *conn) fill(n int) bool {
	if c.to-c.from >= n {
		return true
	}
	if c.from+n > len(c.buf) {
		buf := c.buf
		if n > len(buf) {
			buf = make([]byte, n)
		}
		c.to = copy(buf, c.buf[c.from:c.to])
		c.buf, c.from = buf, 0
	}
	c.readBy = after(time.Now(), c.s.headTime)
	if c.tcp.SetReadDeadline(c.readBy) != nil {
		return false
	}
	for c.to-c.from < n {
		k, err := c.tcp.Read(c.buf[c.to:])
		if c.to += k; err != nil && c.to-c.from < n {
			return false // late, or cut off: net/http knows what to answer
		}
	}
	return true
}

// tidy lets go of what a large request has left, and lets the connection be ended.
func (c *conn) tidy() {
	c.body.Reset(nil)
	c.ans.tidy()
	if c.from == c.to {
		if len(c.buf) > keptBuffer {
			c.buf = make([]byte, smallBuffer)
		}
		c.state.Store(idle)
	}
}

// writable gives an answer its time.
func (c *conn) writable() {
	if now := time.Now(); !serves(c.writeBy, now, c.s.writeTime) {
		c.writeBy = after(now, c.s.writeTime)
		_ = c.tcp.SetWriteDeadline(c.writeBy) // an error will be the write's, too
	}
}

// serves tells whether a deadline that is set will do for a limit that begins now:
// one with most of its time left is as good as a new one, and a timer's work is spared.
func serves(by, now time.Time, limit time.Duration) bool {
	left := by.Sub(now)
	return left > limit*3/4 && left <= limit
}

// after is the end of a time limit; zero: there is none.
func after(now time.Time, limit time.Duration) time.Time {
	if limit <= 0 {
		return time.Time{}
	}
	return now.Add(limit)
}

// lingerTime is how long a client may take to read the answer with which its
// connection ends, as in net/http.
const lingerTime = 500 * time.Millisecond

// linger ends a connection so that its last answer arrives: to close over unread
// bytes would reset it.
func (c *conn) linger() {
	if c.ans.err != nil || c.tcp.CloseWrite() != nil {
		return
	}
	_ = c.tcp.SetReadDeadline(time.Now().Add(lingerTime))
	_, _ = io.Copy(io.Discard, io.LimitReader(c.tcp, maxBody))
}

// bodyReader is a body that is here in whole.
type bodyReader struct{ bytes.Reader }

// Close implements io.Closer.
func (b *bodyReader) Close() error { return nil }
