package transport

import (
	"bufio"
	"context"
	"fmt"
	"slices"
	"sync"
	"time"
)

// callConn is the caller's end of one forward connection. Callers queue and write,
// one goroutine writes what they leave to it, one reads replies.
type callConn struct {
	p   *peer
	l   *link
	out sender

	last []*call // of the newest frame; owned by whoever asks for the next

	mu     sync.Mutex
	nextID uint64
	queue  []*call          // not encoded yet
	queued int              // bytes
	calls  map[uint64]*call // without an end
	dead   bool             // no call is accepted any more
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

// size is what a call takes of a frame, as long as it is not encoded.
func (cl *call) size() int { return len(cl.req) + maxCallOverhead }

func newCallConn(p *peer, l *link) *callConn {
	c := &callConn{p: p, l: l, calls: make(map[uint64]*call)}
	c.out = newSender(c)
	return c
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
	c.out.flush()
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
	if len(c.queue) > 0 && c.queued+cl.size() > c.p.t.cfg.ForwardQueueBytes {
		return ErrOverloaded
	}
	c.nextID++
	cl.id = c.nextID
	c.queue = append(c.queue, cl)
	c.queued += cl.size()
	c.calls[cl.id] = cl
	return nil
}

// abandon ends a call whose caller waits no longer, unless it has ended. If
// it still waits to be written it never is.
func (c *callConn) abandon(cl *call, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.calls[cl.id] != cl {
		return
	}
	if !cl.sent {
		if i := slices.Index(c.queue, cl); i >= 0 {
			c.queue = slices.Delete(c.queue, i, i+1)
			c.queued -= cl.size()
		}
	}
	c.endLocked(cl, nil, err)
}

func (c *callConn) endLocked(cl *call, reply []byte, err error) {
	delete(c.calls, cl.id)
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
	err := c.out.run(c.l, c.p.t.cfg.keepalive(), gone)
	c.l.Close()
	if c.out.disconnect() {
		c.unsend(c.last)
	}
	wg.Wait()
	if err == nil {
		err = readErr
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.dead = true
	for _, cl := range c.calls {
		c.endLocked(cl, nil, fmt.Errorf("%w: %v", ErrLost, err))
	}
	return err
}

// waiting implements source.
func (c *callConn) waiting() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.queued
}

// next implements source: as many calls as belong into one frame. From here on they
// count as sent.
func (c *callConn) next(buf []byte) ([]byte, error) {
	frame := beginFrame(buf)
	c.mu.Lock()
	n := 0
	for n < len(c.queue) && (n == 0 || len(frame)+c.queue[n].size() <= c.p.t.cfg.frameTarget()) {
		cl := c.queue[n]
		frame = appendRequest(frame, request{cl.id, cl.timeout, cl.req})
		c.queued -= cl.size()
		cl.req, cl.sent = nil, true
		n++
	}
	c.last = append(c.last[:0], c.queue[:n]...)
	c.queue = slices.Delete(c.queue, 0, n)
	c.mu.Unlock()
	if n == 0 {
		return nil, nil
	}
	sealFrame(frame)
	c.p.counters.sent(0, len(frame))
	return frame, nil
}

// unsend takes back calls of a frame of which not one byte was written.
func (c *callConn) unsend(calls []*call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, cl := range calls {
		if c.calls[cl.id] == cl {
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
	cl := c.calls[r.id]
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
