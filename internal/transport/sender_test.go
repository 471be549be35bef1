package transport

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// numbers is a source of frames that carry 0, 1, 2 and so on, each filled up to size.
type numbers struct {
	size int

	mu     sync.Mutex
	pushed uint64 // how many there have been
	taken  uint64 // how many of them are in frames
}

func (n *numbers) push() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.pushed++
}

func (n *numbers) waiting() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return int(n.pushed-n.taken) * n.size
}

func (n *numbers) next(buf []byte) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.taken == n.pushed {
		return nil, nil
	}
	frame := binary.BigEndian.AppendUint64(beginFrame(buf), n.taken)
	frame = append(frame, bytes.Repeat([]byte{0xff}, n.size-8)...) // unlike a keepalive
	n.taken++
	sealFrame(frame)
	return frame, nil
}

// all tells how many numbers there have been.
func (n *numbers) all() uint64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.pushed
}

// readNumber reads frames until one is no keepalive.
func readNumber(fr *frameReader) (uint64, error) {
	for {
		body, err := fr.next()
		if err != nil || len(body) > 0 {
			if err != nil {
				return 0, err
			}
			return binary.BigEndian.Uint64(body), nil
		}
	}
}

// sockets returns both ends of a TCP connection whose buffers hold little.
func sockets(t testing.TB) (from, to net.Conn) {
	t.Helper()
	ln := listen(t, "127.0.0.1:0")
	defer ln.Close()
	from, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if to, err = ln.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { from.Close(); to.Close() })
	if err := errors.Join(from.(*net.TCPConn).SetWriteBuffer(32<<10), to.(*net.TCPConn).SetReadBuffer(32<<10)); err != nil {
		t.Fatal(err)
	}
	return from, to
}

// veiled is a connection of which nobody knows that it is a socket.
type veiled struct{ net.Conn }

// kinds are the connections that a sender may get.
var kinds = map[string]func(net.Conn) net.Conn{
	"socket": func(c net.Conn) net.Conn { return c },
	"other":  func(c net.Conn) net.Conn { return veiled{c} },
}

// inUse runs a sender on a connection, until it is lost; stop loses it and waits.
func inUse(t testing.TB, s *sender, conn net.Conn, every time.Duration) (stop func()) {
	l := newLink(t.Context(), conn, time.Minute)
	gone, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		_ = s.run(l, every, gone)
		l.Close()
		s.disconnect()
	}()
	stop = sync.OnceFunc(func() {
		close(gone)
		l.Close()
		<-done
	})
	t.Cleanup(stop)
	return stop
}

// TestSenderInOrder has many callers send at once to a receiver that stops reading
// again and again, while keepalives are due all the time: every frame arrives once,
// whole and in its place, and none is left lying.
func TestSenderInOrder(t *testing.T) {
	const callers, each = 16, 200
	for kind, wrap := range kinds {
		t.Run(kind, func(t *testing.T) {
			src := &numbers{size: 1000}
			s := newSender(src)
			from, to := sockets(t)
			inUse(t, &s, wrap(from), time.Millisecond)
			stalled := make(chan struct{})
			var wg sync.WaitGroup
			for range callers {
				wg.Go(func() {
					for i := range each {
						if i == each/2 {
							<-stalled // nobody reads yet: what was sent so far fills the socket
						}
						src.push()
						s.flush()
					}
				})
			}
			waitFor(t, "half of it to wait", func() bool { return src.all() == callers*each/2 })
			close(stalled)
			fr := frameReader{br: bufio.NewReader(to), max: 1 << 20}
			for want := range uint64(callers * each) {
				if got, err := readNumber(&fr); err != nil || got != want {
					t.Fatalf("frame %d: %d, %v", want, got, err)
				}
			}
			wg.Wait()
		})
	}
}

// TestSenderReconnects loses the connection at any moment, with callers at work:
// the next one begins with a whole frame, nothing is sent twice or out of turn,
// and what comes after the last loss all arrives.
func TestSenderReconnects(t *testing.T) {
	for kind, wrap := range kinds {
		t.Run(kind, func(t *testing.T) {
			src := &numbers{size: 3000}
			s := newSender(src)
			var over atomic.Bool
			var wg sync.WaitGroup
			for range 4 {
				wg.Go(func() {
					for !over.Load() {
						if src.waiting() < 100*src.size {
							src.push()
						}
						s.flush()
					}
				})
			}
			defer wg.Wait()
			defer over.Store(true)
			rng := rand.New(rand.NewPCG(1, 2))
			next := uint64(0)
			for range 30 {
				from, to := sockets(t)
				stop := inUse(t, &s, wrap(from), time.Millisecond)
				part := io.LimitReader(to, rng.Int64N(200<<10))
				fr := frameReader{br: bufio.NewReader(part), max: 1 << 20}
				for {
					got, err := readNumber(&fr)
					if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
						break
					}
					if err != nil || got < next {
						t.Fatalf("%d after %d: %v", got, next, err)
					}
					next = got + 1
				}
				to.Close()
				stop()
			}
			over.Store(true)
			wg.Wait()

			from, to := sockets(t)
			inUse(t, &s, wrap(from), time.Hour) // no keepalive helps
			src.push()
			s.flush()
			last := src.all() - 1
			fr := frameReader{br: bufio.NewReader(to), max: 1 << 20}
			_ = to.SetReadDeadline(time.Now().Add(20 * time.Second))
			for next <= last {
				got, err := readNumber(&fr)
				if err != nil || got < next {
					t.Fatalf("%d after %d: %v", got, next, err)
				}
				next = got + 1
			}
		})
	}
}

// TestSenderNeverWaits: what a stalled receiver does not take is no affair of whoever
// has more for it.
func TestSenderNeverWaits(t *testing.T) {
	for kind, wrap := range kinds {
		t.Run(kind, func(t *testing.T) {
			src := &numbers{size: 16 << 20}
			s := newSender(src)
			from, to := sockets(t)
			inUse(t, &s, wrap(from), time.Hour)
			src.push()
			s.flush()
			waitFor(t, "run to be stuck", func() bool { return src.waiting() == 0 })
			src.mu.Lock()
			src.size = 100
			src.mu.Unlock()
			done := make(chan struct{})
			go func() {
				defer close(done)
				for range 1000 {
					src.push()
					s.flush()
				}
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Error("a caller waits for the receiver")
				to.Close() // lets it go
				<-done
			}
		})
	}
}

// latecomer has one more frame in the moment in which it has said that there is none.
type latecomer struct {
	numbers
	s    *sender
	came sync.Once
}

func (l *latecomer) next(buf []byte) ([]byte, error) {
	frame, err := l.numbers.next(buf)
	if frame == nil {
		l.came.Do(func() {
			l.push()
			l.s.flush() // somebody writes: it is left to them
		})
	}
	return frame, err
}

// TestSenderForgetsNothing: what comes when nobody looks is sent, though nothing
// follows it.
func TestSenderForgetsNothing(t *testing.T) {
	receive := func(t *testing.T, to net.Conn, count uint64) {
		t.Helper()
		fr := frameReader{br: bufio.NewReader(to), max: 1 << 20}
		_ = to.SetReadDeadline(time.Now().Add(10 * time.Second))
		for want := range count {
			if got, err := readNumber(&fr); err != nil || got != want {
				t.Fatalf("frame %d: %d, %v", want, got, err)
			}
		}
	}
	t.Run("as run ends its work", func(t *testing.T) {
		src := &latecomer{numbers: numbers{size: 100}}
		s := newSender(src)
		src.s = &s
		from, to := sockets(t)
		src.push()
		inUse(t, &s, from, time.Hour)
		receive(t, to, 2)
	})
	t.Run("as a caller ends its work", func(t *testing.T) {
		src := &latecomer{numbers: numbers{size: 100}}
		s := newSender(src)
		src.s = &s
		from, to := sockets(t)
		s.l = newLink(t.Context(), from, time.Minute)
		defer s.l.Close()
		src.push()
		s.mu.Lock()
		for range 2 {
			s.direct() // the second finds nothing, and in this moment there is something
		}
		s.mu.Unlock()
		s.flush()
		receive(t, to, 2)
	})
	t.Run("between two connections", func(t *testing.T) {
		src := &numbers{size: 100}
		s := newSender(src)
		from, to := sockets(t)
		src.push() // and whoever had it found that the last one was just being given up
		inUse(t, &s, from, time.Hour)
		receive(t, to, 1)
	})
}

// endless always has another frame, as while others keep on sending.
type endless struct{ numbers }

func (e *endless) waiting() int { return 1 }

func (e *endless) next(buf []byte) ([]byte, error) {
	e.push()
	return e.numbers.next(buf)
}

// TestSenderLetsGo: one caller does not write for all others without end, though the
// socket takes all of it.
func TestSenderLetsGo(t *testing.T) {
	src := &endless{numbers{size: 100}}
	s := newSender(src)
	from, _ := sockets(t)
	l := newLink(t.Context(), from, time.Minute)
	defer l.Close()
	written, enough := 0, 10000
	l.now.attempt = func(uintptr) bool {
		if written++; written < enough {
			l.now.n = len(l.now.p)
		}
		return true
	}
	s.l = l
	s.flush()
	if written == enough {
		t.Error("a caller goes on for as long as there is something to write")
	}
	if len(s.wake) == 0 {
		t.Error("nobody takes over")
	}
}

// TestSenderAfterItsDeadline: the deadline of an earlier write, which is over, holds
// up nothing.
func TestSenderAfterItsDeadline(t *testing.T) {
	src := &numbers{size: 100}
	s := newSender(src)
	from, to := sockets(t)
	l := newLink(t.Context(), from, 10*time.Millisecond)
	if _, err := l.Write(emptyFrame); err != nil {
		t.Fatal(err)
	}
	waitFor(t, "the deadline", func() bool { return l.WriteNow(emptyFrame) == 0 })
	gone := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.run(l, time.Hour, gone) })
	defer wg.Wait()
	defer close(gone)
	src.push()
	s.flush()
	fr := frameReader{br: bufio.NewReader(to), max: 1 << 20}
	_ = to.SetReadDeadline(time.Now().Add(20 * time.Second))
	if got, err := readNumber(&fr); err != nil || got != 0 {
		t.Errorf("%d, %v", got, err)
	}
}

// TestKeepaliveBetweenFrames: one that is due while a frame has been written in part
// does not get into it.
func TestKeepaliveBetweenFrames(t *testing.T) {
	const every = time.Millisecond
	src := &numbers{size: 100}
	s := newSender(src)
	from, to := sockets(t)
	l := newLink(t.Context(), from, time.Minute)
	l.now.attempt = func(fd uintptr) bool {
		l.now.n, _ = writeNow(fd, l.now.p[:50])
		<-time.After(50 * every) // run has come to wait for its turn
		return true
	}
	gone := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { _ = s.run(l, every, gone) })
	defer wg.Wait()
	defer close(gone)
	fr := frameReader{br: bufio.NewReader(to), max: 1 << 20}
	if _, err := fr.next(); err != nil { // run is at work
		t.Fatal(err)
	}
	src.push()
	s.mu.Lock() // as flush does, if nobody else writes
	s.direct()
	s.mu.Unlock()
	s.signal()
	if got, err := readNumber(&fr); err != nil || got != 0 {
		t.Errorf("%d, %v", got, err)
	}
}

// TestSenderUntouched: a frame counts as unsent only if the connection has taken
// nothing of it.
func TestSenderUntouched(t *testing.T) {
	for _, tt := range []struct {
		name string
		take int // bytes that the receiver reads of the frame
		want bool
	}{
		{"nothing of it was read", 0, true},
		{"a byte was", 1, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			src := &numbers{size: 100}
			s := newSender(src)
			from, to := net.Pipe()
			l := newLink(t.Context(), from, time.Minute)
			done := make(chan error)
			go func() { done <- s.run(l, time.Hour, nil) }()
			src.push()
			s.flush()
			waitFor(t, "a frame", func() bool { return src.waiting() == 0 })
			if _, err := io.ReadFull(to, make([]byte, tt.take)); err != nil {
				t.Fatal(err)
			}
			to.Close()
			if err := <-done; err == nil {
				t.Error("the connection ends without an error")
			}
			if got := s.disconnect(); got != tt.want {
				t.Errorf("untouched is %v", got)
			}
			if s.disconnect() {
				t.Error("once more, it is still untouched")
			}
			l.Close()
		})
	}
	for _, taken := range []int{-1, 0, 1} { // -1: an error
		src := &numbers{size: 100}
		s := newSender(src)
		from, _ := sockets(t)
		l := newLink(t.Context(), from, time.Minute)
		l.now.attempt = func(uintptr) bool {
			l.now.n = taken
			return true
		}
		s.l = l
		src.push()
		s.flush()
		l.Close()
		if got := s.disconnect(); got != (taken < 1) {
			t.Errorf("the socket took %d bytes at once, and untouched is %v", taken, got)
		}
	}
}
