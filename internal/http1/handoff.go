package http1

import (
	"io"
	"net"
	"sync"
)

// handed is a connection on its way to net/http, with what was read of it.
type handed struct {
	*net.TCPConn
	rest []byte
}

// Read implements net.Conn.
func (h *handed) Read(p []byte) (int, error) {
	if len(h.rest) > 0 {
		n := copy(p, h.rest)
		h.rest = h.rest[n:]
		return n, nil
	}
	h.rest = nil
	return h.TCPConn.Read(p)
}

// WriteTo hides the TCPConn's, which would pass over what was read.
func (h *handed) WriteTo(w io.Writer) (int64, error) {
	n := 0
	if len(h.rest) > 0 {
		var err error
		n, err = w.Write(h.rest)
		if h.rest = h.rest[n:]; err != nil {
			return int64(n), err
		}
	}
	m, err := h.TCPConn.WriteTo(w)
	return int64(n) + m, err
}

// handoff is the listener of the net/http server: what it accepts is handed over.
type handoff struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func newHandoff() *handoff {
	return &handoff{conns: make(chan net.Conn), done: make(chan struct{})}
}

// give waits until the connection is accepted; false: it is closed instead.
func (h *handoff) give(c net.Conn) bool {
	select {
	case h.conns <- c:
		return true
	case <-h.done:
		_ = c.Close()
		return false
	}
}

// Accept implements net.Listener.
func (h *handoff) Accept() (net.Conn, error) {
	select {
	case c := <-h.conns:
		return c, nil
	case <-h.done:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (h *handoff) Close() error {
	h.once.Do(func() { close(h.done) })
	return nil
}

// Addr implements net.Listener.
func (h *handoff) Addr() net.Addr { return h.addr }
