package transport

import (
	"sync"
	"time"
)

// maxDirect is how many bytes are written by whoever has them: what fits a socket's
// buffer and is copied in no time.
const maxDirect = 16 << 10

// maxFrames is how many frames a caller writes before it gets on with its own work:
// others may come with more all the time, and count on whoever is at it.
const maxFrames = 8

// source is what a sender sends.
type source interface {
	// waiting is about how many bytes wait; 0: none. It may be called by anyone.
	waiting() int
	// next makes a frame of what waits, or of the first part of it, over buf; nil:
	// nothing waits. It is called by one goroutine at a time. An error ends the
	// connection.
	next(buf []byte) ([]byte, error)
}

// sender writes frames to a connection for callers that must not wait.
//
// Whoever has something to send writes it itself, if that is done at once. To wake
// a goroutine for each small frame costs about as much processor time as the frame,
// and stands on the way of every write and every read. What the socket does not
// take, what is large, and what comes while there is no connection is left to run;
// what comes while somebody writes, to whoever that is.
type sender struct {
	src  source
	wake chan struct{} // holds one token when run is wanted

	mu    sync.Mutex // held by whoever writes
	l     *link      // nil: not connected; guarded by mu
	rest  []byte     // of a frame, in buf; guarded by mu
	begun bool       // some of that frame has been written; guarded by mu
	buf   []byte     // guarded by mu
}

func newSender(src source) sender {
	return sender{src: src, wake: make(chan struct{}, 1)}
}

// flush gets what waits on its way. It never waits itself.
func (s *sender) flush() {
	for frames := 0; ; frames++ {
		switch n := s.src.waiting(); {
		case n == 0:
			return
		case n > maxDirect, frames == maxFrames:
			s.signal()
			return
		case !s.mu.TryLock():
			return // whoever holds it looks once more when it has let go
		}
		done := s.direct()
		s.mu.Unlock()
		if !done {
			s.signal()
			return
		}
	}
}

func (s *sender) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// direct writes one frame as far as nobody must wait for that. False: run has
// something to do. mu is held.
func (s *sender) direct() bool {
	if s.l == nil || len(s.rest) > 0 {
		return false
	}
	frame, err := s.src.next(s.buf)
	if err != nil {
		return false // run finds the same
	}
	if frame == nil {
		return true
	}
	n := s.l.WriteNow(frame)
	s.buf, s.rest, s.begun = frame, frame[n:], n > 0
	return len(s.rest) == 0
}

// run writes what is left to it, and a keepalive every so often. It returns nil when
// gone is closed, and the error of the connection otherwise.
func (s *sender) run(l *link, every time.Duration, gone <-chan struct{}) error {
	s.mu.Lock()
	s.l = l
	s.mu.Unlock()
	s.signal() // for what has come before
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		var err error
		select {
		case <-s.wake:
		case <-tick.C:
			s.mu.Lock()
			if len(s.rest) == 0 {
				_, err = l.Write(emptyFrame)
			}
			s.mu.Unlock()
		case <-gone:
			return nil
		}
		// Others leave what they have to whoever holds mu: look again each time.
		for first := true; err == nil && (first || s.src.waiting() > 0); first = false {
			s.mu.Lock()
			err = s.drain()
			s.mu.Unlock()
		}
		if err != nil {
			return err
		}
	}
}

// drain writes all that there is, and waits for it. mu is held.
func (s *sender) drain() error {
	for {
		if len(s.rest) > 0 {
			n, err := s.l.Write(s.rest)
			s.begun = s.begun || n > 0
			if err != nil {
				return err
			}
			s.rest = nil
		}
		frame, err := s.src.next(s.buf)
		if err != nil || frame == nil {
			return err
		}
		s.buf, s.rest, s.begun = frame, frame, false
	}
}

// disconnect forgets the connection, after run. untouched: a frame was made of which
// not one byte was written.
func (s *sender) disconnect() (untouched bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	untouched = len(s.rest) > 0 && !s.begun
	s.l, s.rest = nil, nil
	return untouched
}
