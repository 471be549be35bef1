package transport

import (
	"bufio"
	"context"
	"fmt"
	"sync"
)

// Forward sends req to the peer's HandleForward and waits for the reply. The
// caller may use req again when it returns. sent is false only if surely no
// handler saw the request; an error with sent=true says nothing about whether
// one did. While the first connection is being made, or a lost one is made
// again, Forward waits for it; otherwise a peer that cannot be reached is an
// error at once.
func (t *Transport) Forward(ctx context.Context, to uint64, req []byte) (reply []byte, sent bool, err error) {
	p := (*t.peers.Load())[to]
	if p == nil {
		return nil, false, fmt.Errorf("forward to %d: %w", to, ErrUnknownPeer)
	}
	if len(req) > t.cfg.MaxFrameBytes-maxCallOverhead {
		return nil, false, fmt.Errorf("forward %d bytes to %d: %w", len(req), to, ErrTooLarge)
	}
	reply, sent, err = p.forward.call(ctx, req)
	if err != nil {
		err = fmt.Errorf("forward to %d: %w", to, err)
	}
	return reply, sent, err
}

// forwarder keeps the connection over which requests go to a peer.
type forwarder struct {
	p *peer

	mu   sync.Mutex
	conn *callConn // nil while there is none
	// attempt is closed when the dialing that is worth waiting for has ended.
	// It is nil when connected, and after a dial that failed.
	attempt chan struct{}
}

func newForwarder(p *peer) *forwarder {
	return &forwarder{p: p, attempt: make(chan struct{})}
}

func (f *forwarder) kind() string { return kindForward }

// use runs the calls of one connection.
func (f *forwarder) use(l *link, br *bufio.Reader) error {
	c := newCallConn(f.p, l)
	f.set(c, nil)
	err := c.run(br)
	return err
}

func (f *forwarder) lost(connected bool) {
	var attempt chan struct{}
	if connected && f.p.ctx.Err() == nil {
		attempt = make(chan struct{})
	}
	f.set(nil, attempt)
}

func (f *forwarder) set(c *callConn, attempt chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.attempt != nil {
		close(f.attempt)
	}
	f.conn, f.attempt = c, attempt
}

func (f *forwarder) get() (*callConn, chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.conn, f.attempt
}

func (f *forwarder) call(ctx context.Context, req []byte) ([]byte, bool, error) {
	conn, attempt := f.get()
	if attempt != nil {
		select {
		case <-attempt:
			conn, _ = f.get()
		case <-ctx.Done():
			return nil, false, context.Cause(ctx)
		}
	}
	if conn == nil {
		return nil, false, ErrUnreachable
	}
	return conn.call(ctx, req)
}
