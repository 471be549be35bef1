package client

import (
	"context"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	maxIdle  = 64               // connections to one member
	idleTime = 45 * time.Second // members close theirs after 60 s
)

// pool has the idle connections to one member. The one that was used last is used
// next, so that those which are not needed grow old.
type pool struct {
	// Set by newPool.
	host string // as it was given
	keep time.Duration
	dial func(ctx context.Context, deadline time.Time) (net.Conn, error)

	mu      sync.Mutex
	idle    []*conn // the longer one has been idle, the further in front it is
	timer   *time.Timer
	armed   bool // timer runs
	closing bool // close was called, and get was not since
}

// newPool returns a pool for the member at base; nil: what it takes to talk to it,
// such as TLS or a proxy, is left to net/http.
func newPool(base *url.URL) *pool {
	if !ownConnections || base.Scheme != "http" || strings.ContainsFunc(base.Host, oddInHost) {
		return nil
	}
	if proxy, err := http.ProxyFromEnvironment(&http.Request{URL: base}); err != nil || proxy != nil {
		return nil
	}
	port := base.Port()
	if port == "" {
		port = "80"
	}
	addr := net.JoinHostPort(base.Hostname(), port)
	p := &pool{host: base.Host, keep: idleTime, dial: func(ctx context.Context, deadline time.Time) (net.Conn, error) {
		d := newDialer()
		d.Deadline = deadline
		return d.DialContext(ctx, "tcp", addr)
	}}
	p.timer = time.AfterFunc(time.Hour, p.expire)
	p.timer.Stop()
	return p
}

// oddInHost finds what net/http sends in another form than it is given, such as
// names that are not ASCII, and zones.
func oddInHost(r rune) bool {
	switch {
	case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9':
		return false
	}
	return !strings.ContainsRune("-._:[]", r)
}

// get returns a connection whose exchange must end by deadline: an idle one, if
// there is one and fresh is not asked for. It blocks while it connects.
func (p *pool) get(ctx context.Context, deadline time.Time, fresh bool) (*conn, error) {
	for !fresh {
		c := p.pop()
		if c == nil {
			break
		}
		if c.arm(deadline) && c.quiet() {
			return c, nil
		}
		c.close()
	}
	n, err := p.dial(ctx, deadline)
	if err != nil {
		return nil, err
	}
	c := newConn(n)
	c.arm(deadline)
	return c, nil
}

// pop takes the idle connection that was used last; nil: there is none.
func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closing = false
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put takes a connection back after a good exchange, if it can be used again.
func (p *pool) put(c *conn) {
	if c.reader.close || c.reader.r.Buffered() > 0 { // what came unasked answers no request
		c.close()
		return
	}
	c.used, c.since = true, time.Now()
	if cap(c.out) > maxKeptBuffer {
		c.out = nil
	}
	if !p.push(c) {
		c.close()
	}
}

func (p *pool) push(c *conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closing || len(p.idle) >= maxIdle {
		return false
	}
	p.idle = append(p.idle, c)
	if !p.armed {
		p.armed = true
		p.timer.Reset(p.keep)
	}
	return true
}

// expire closes the connections that have been idle for too long.
func (p *pool) expire() {
	for _, c := range p.expired() {
		c.close()
	}
}

func (p *pool) expired() []*conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].since) >= p.keep {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	if p.armed = len(p.idle) > 0; p.armed {
		p.timer.Reset(p.keep - time.Since(p.idle[0].since))
	}
	return old
}

// close closes all idle connections. Those in use follow when they are put back,
// unless there is another get until then.
func (p *pool) close() {
	p.mu.Lock()
	idle := p.idle
	p.idle, p.closing = nil, true
	p.armed = false
	p.timer.Stop()
	p.mu.Unlock()
	for _, c := range idle {
		c.close()
	}
}
