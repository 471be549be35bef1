package test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// proxy stands before an address and forwards connections to it. All that goes
// there shares one link of a limited rate, and all that comes back another.
type proxy struct {
	addr        string
	there, back link
	conns       atomic.Int64 // connections so far
}

// link carries so many bytes a second.
type link struct {
	rate atomic.Int64 // 0: no limit

	mu   sync.Mutex
	free time.Time // when it has carried what it was given
}

// startProxy listens on a port of its own until the test ends.
func startProxy(t *testing.T, to string) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{addr: l.Addr().String()}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			p.conns.Add(1)
			wg.Go(func() { p.forward(ctx, conn, to) })
		}
	})
	t.Cleanup(func() {
		cancel()
		l.Close()
		wg.Wait()
	})
	return p
}

func (p *proxy) forward(ctx context.Context, conn net.Conn, to string) {
	defer conn.Close()
	back, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer back.Close()
	stop := context.AfterFunc(ctx, func() { conn.Close(); back.Close() })
	defer stop()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() { p.back.carry(ctx, conn, back) })
	p.there.carry(ctx, back, conn)
}

// carry moves what comes from one connection to another until either ends, and
// then ends both.
func (l *link) carry(ctx context.Context, to, from net.Conn) {
	defer to.Close()
	defer from.Close()
	// The system shall not hide the link's slowness in its buffers.
	_ = from.(*net.TCPConn).SetReadBuffer(32 << 10)
	buf := make([]byte, 4<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if !pause(ctx.Done(), l.turn(n)) {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// turn takes the link for n bytes and returns how long that is from now.
func (l *link) turn(n int) time.Duration {
	rate := l.rate.Load()
	if rate == 0 {
		return 0
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(int64(n) * int64(time.Second) / rate))
	return l.free.Sub(now)
}

// newBehindProxies prepares n founding members whose peers reach them through a
// proxy each. Nothing is started.
func newBehindProxies(t *testing.T, n int, args ...string) (*cluster, map[*member]*proxy) {
	t.Helper()
	c, ps := newCluster(t, n, args...), map[*member]*proxy{}
	var list []string
	for _, m := range c.members {
		direct := m.peerAddr()
		ps[m] = startProxy(t, direct)
		m.peerURL = "http://" + ps[m].addr
		m.setFlag("--listen-peer", direct)
		m.setFlag("--advertise-peer", m.peerURL)
		list = append(list, fmt.Sprintf("%d=%s", m.id, m.peerURL))
	}
	for _, m := range c.members {
		m.setFlag("--cluster", strings.Join(list, ","))
	}
	return c, ps
}
