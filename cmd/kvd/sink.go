package main

import (
	"io"
	"sync"
	"time"
)

// sink hands log lines to a writer from a goroutine of its own. A writer that
// blocks (a full pipe whose reader has stopped) costs lines, never time: what
// does not fit into limit bytes is dropped and counted, and the count is
// reported when the writer takes lines again.
type sink struct {
	w      io.Writer
	limit  int
	onLoss func(n uint64) []byte // formats the report of n dropped lines
	wakec  chan struct{}
	donec  chan struct{}

	mu      sync.Mutex
	queue   []byte // whole lines that wait
	dropped uint64 // since the last report
	closed  bool
}

// newSink returns a running sink; close ends it.
func newSink(w io.Writer, limit int, onLoss func(n uint64) []byte) *sink {
	s := &sink{w: w, limit: limit, onLoss: onLoss, wakec: make(chan struct{}, 1), donec: make(chan struct{})}
	go s.run()
	return s
}

// Write takes a line. It never blocks and never fails.
func (s *sink) Write(p []byte) (int, error) {
	s.mu.Lock()
	switch {
	case s.closed:
	case len(s.queue)+len(p) > s.limit:
		s.dropped++
	default:
		s.queue = append(s.queue, p...)
	}
	s.mu.Unlock()
	s.wake()
	return len(p), nil
}

// Sync is part of zapcore.WriteSyncer. It waits for nothing: see close.
func (s *sink) Sync() error { return nil }

// close takes no further lines and waits until those taken are written, but no
// longer than patience. It tells whether they were.
func (s *sink) close(patience time.Duration) bool {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	s.wake()
	select {
	case <-s.donec:
		return true
	case <-time.After(patience):
		return false
	}
}

func (s *sink) wake() {
	select {
	case s.wakec <- struct{}{}:
	default:
	}
}

// run owns the writer. The queue and the buffer being written change places,
// so that a steady flow of lines allocates nothing.
func (s *sink) run() {
	defer close(s.donec)
	var spare []byte
	for range s.wakec {
		for {
			s.mu.Lock()
			lines, dropped, closed := s.queue, s.dropped, s.closed
			s.queue, s.dropped = spare[:0], 0
			s.mu.Unlock()
			if dropped > 0 {
				lines = append(lines, s.onLoss(dropped)...)
			}
			if len(lines) > 0 {
				_, _ = s.w.Write(lines)
			} else if closed {
				return
			}
			spare = lines
			if len(lines) == 0 {
				break
			}
		}
	}
}
