package transport

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// callConn is the caller's end of one forward connection. Callers queue, one
// goroutine writes what waits, one reads replies.
type callConn struct {
	p    *peer
	l    *link
	wake chan struct{} // holds one token when there may be something to write

	mu      sync.Mutex
	nextID  uint64
	queue   []*call // not encoded yet
	queued  int     // bytes
	waiting map[uint64]*call
	dead    bool // no call is accepted any more
}

// call is one request. Everything but done is guarded by the mu of its
// callConn, until done is closed.
type call struct {
	id      uint64
	req     []byte // nil once encoded
	timeout time.Duration
	sent    bool
	reply   []byte
	err     error
	done    chan struct{}
}

func newCallConn(p *peer, l *link) *callConn {
	return &callConn{p: p, l: l, wake: make(chan struct{}, 1), waiting: make(map[uint64]*call)}
}

// call queues a request and waits for its end.
func (c *callConn) call(ctx context.Context, req []byte) ([]byte, bool, error) {
	cl := &call{req: req, done: make(chan struct{})}
	if by, ok := ctx.Deadline(); ok {
		// At least the least there is: 0 would mean no limit.
		cl.timeout = max(time.Until(by), time.Microsecond)
	}
	if err := c.enqueue(cl); err != nil {
		return nil, false, err
	}
	select {
	case <-cl.done:
	case <-ctx.Done():
		c.abandon(cl, context.Cause(ctx))
	}
	return cl.reply, cl.sent, cl.err
}

func (c *callConn) enqueue(cl *call) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.dead {
		return ErrUnreachable
	}
	if len(c.queue) > 0 && c.queued+len(cl.req) > c.p.t.cfg.ForwardQueueBytes {
		return ErrOverloaded
	}
	c.nextID++
	cl.id = c.nextID
	c.queue = append(c.queue, cl)
	c.queued += len(cl.req)
	c.waiting[cl.id] = cl
	select {
	case c.wake <- struct{}{}:
	default:
	}
	return nil
}

// abandon ends a call whose caller waits no longer, unless it has ended. If
// it still waits to be written it never is.
func (c *callConn) abandon(cl *call, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting[cl.id] != cl {
		return
	}
	if !cl.sent {
		if i := slices.Index(c.queue, cl); i >= 0 {
			c.queue = slices.Delete(c.queue, i, i+1)
			c.queued -= len(cl.req)
		}
	}
	c.endLocked(cl, nil, err)
}

func (c *callConn) endLocked(cl *call, reply []byte, err error) {
	delete(c.waiting, cl.id)
	cl.reply, cl.err = reply, err
	close(cl.done)
}

// run serves the connection until it is lost, and then ends all calls.
func (c *callConn) run(br *bufio.Reader) error {
	var wg sync.WaitGroup
	gone := make(chan struct{})
	var readErr error
	wg.Go(func() {
		defer close(gone)
		readErr = c.read(br)
	})
	err := c.write(gone)
	c.l.Close()
	wg.Wait()
	if err == nil {
		err = readErr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, cl := range c.waiting {
		c.endLocked(cl, nil, fmt.Errorf("%w: %v", ErrLost, err))
	}
	return err
}

// write is the write side. It returns nil when the read side has ended.
func (c *callConn) write(gone <-chan struct{}) error {
	tick := time.NewTicker(c.p.t.cfg.keepalive())
	defer tick.Stop()
	var buf []byte
	for {
		select {
		case <-c.wake:
		case <-tick.C:
			if _, err := c.l.Write(emptyFrame); err != nil {
				return err
			}
		case <-gone:
			return nil
		}
		for {
			frame, calls := c.encode(buf)
			if len(calls) == 0 {
				break
			}
			buf = frame
			if n, err := c.l.Write(frame); err != nil {
				if n == 0 {
					c.unsend(calls)
				}
				return err
			}
			c.p.counters.sent(0, len(frame))
		}
	}
}

// encode moves as many calls as belong into one frame from the queue to buf.
// From here on they count as sent.
func (c *callConn) encode(buf []byte) (frame []byte, calls []*call) {
	frame = beginFrame(buf)
	c.mu.Lock()
	n := 0
	for n < len(c.queue) && (n == 0 || len(frame)+len(c.queue[n].req)+maxCallOverhead <= c.p.t.cfg.frameTarget()) {
		cl := c.queue[n]
		frame = appendRequest(frame, request{cl.id, cl.timeout, cl.req})
		c.queued -= len(cl.req)
		cl.req, cl.sent = nil, true
		n++
	}
	calls = slices.Clone(c.queue[:n])
	c.queue = slices.Delete(c.queue, 0, n)
	c.mu.Unlock()
	sealFrame(frame)
	return frame, calls
}

// unsend takes back calls of a frame of which not one byte was written.
func (c *callConn) unsend(calls []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cl := range calls {
		if c.waiting[cl.id] == cl {
			cl.sent = false
		}
	}
}

// read is the read side.
func (c *callConn) read(br *bufio.Reader) error {
	fr := frameReader{br: br, max: c.p.t.cfg.MaxFrameBytes}
	for {
		body, err := fr.next()
		if err != nil {
			return err
		}
		if len(body) == 0 {
			c.p.counters.contact()
			continue
		}
		c.p.counters.received(0, len(body))
		for len(body) > 0 {
			var r reply
			if r, body, err = takeReply(body); err != nil {
				c.p.t.violation(c.p.id, kindForward, err)
				return err
			}
			c.settle(r)
		}
	}
}

// settle ends the call that a reply belongs to, if anyone still waits for it.
func (c *callConn) settle(r reply) {
	c.mu.Lock()
	defer c.mu.Unlock()
	cl := c.waiting[r.id]
	switch {
	case cl == nil:
	case !cl.sent:
		// The peer answered what it was not asked. The call goes its own way.
	case r.status == statusOK:
		c.endLocked(cl, slices.Clone(r.payload), nil)
	case r.status == statusRefused:
		cl.sent = false
		c.endLocked(cl, nil, fmt.Errorf("%w: %s", ErrRefused, r.payload))
	default:
		c.endLocked(cl, nil, fmt.Errorf("%w: %s", ErrRemote, r.payload))
	}
}
