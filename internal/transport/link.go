package transport

import (
	"context"
	"net"
	"sync"
	"syscall"
	"time"
)

// link is one upgraded connection. One goroutine reads, one writes. Both are
// bounded by progress, not by the size of what they move: a slow link may take
// minutes for a large frame, a dead one is noticed after timeout.
type link struct {
	conn    net.Conn
	timeout time.Duration
	stop    func() bool // detaches the link from its context

	readBy  time.Time // owned by the reader
	writeBy time.Time // owned by the writer
	now     nowWriter // owned by the writer
}

// writeStep is what must get into the socket's buffer within one timeout.
const writeStep = 64 << 10

// newLink closes conn when ctx ends.
func newLink(ctx context.Context, conn net.Conn, timeout time.Duration) *link {
	l := &link{
		conn:    conn,
		timeout: timeout,
		stop:    context.AfterFunc(ctx, func() { conn.Close() }),
	}
	l.now.init(conn)
	return l
}

// Close may be called twice, and by anyone.
func (l *link) Close() error {
	l.stop()
	return l.conn.Close()
}

// Read renews the deadline only when a quarter of it has gone by, which saves
// a timer operation on nearly every call.
func (l *link) Read(p []byte) (int, error) {
	if now := time.Now(); l.readBy.Sub(now) < l.timeout*3/4 {
		l.readBy = now.Add(l.timeout)
		if err := l.conn.SetReadDeadline(l.readBy); err != nil {
			return 0, err
		}
	}
	return l.conn.Read(p)
}

// Write returns how much of p may have left this process.
func (l *link) Write(p []byte) (int, error) {
	written := 0
	for written < len(p) {
		if now := time.Now(); l.writeBy.Sub(now) < l.timeout*3/4 {
			l.writeBy = now.Add(l.timeout)
			if err := l.conn.SetWriteDeadline(l.writeBy); err != nil {
				return written, err
			}
		}
		n, err := l.conn.Write(p[written:min(len(p), written+writeStep)])
		written += n
		if err != nil {
			return written, err
		}
	}
	return written, nil
}

// WriteNow writes what the connection takes at once, and returns how much that was:
// nothing, if it is not known how to write to it without waiting, or its deadline is
// over. What is wrong with the connection, the next Write tells.
func (l *link) WriteNow(p []byte) int { return l.now.write(p) }

// nowWriter writes to a socket without waiting for it.
type nowWriter struct {
	raw     syscall.RawConn // nil: there is no socket, or somebody stands in front of it
	attempt func(fd uintptr) bool
	p       []byte
	n       int
}

func (w *nowWriter) init(conn net.Conn) {
	sc, ok := conn.(*net.TCPConn)
	if !ok {
		return
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return
	}
	w.raw = raw
	w.attempt = func(fd uintptr) bool {
		w.n, _ = writeNow(fd, w.p)
		return true // whatever came of it: not to wait
	}
}

func (w *nowWriter) write(p []byte) int {
	if w.raw == nil {
		return 0
	}
	w.p, w.n = p, 0
	err := w.raw.Write(w.attempt)
	if w.p = nil; err != nil {
		return 0
	}
	return max(w.n, 0)
}

// keepalives writes an empty frame every so often, until stop is called. It
// owns the write side meanwhile.
func (l *link) keepalives(every time.Duration) (stop func()) {
	done := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			if _, err := l.Write(emptyFrame); err != nil {
				l.Close() // the reader notices
				return
			}
		}
	})
	return func() {
		close(done)
		wg.Wait()
	}
}
