package transport

import (
	"bufio"
	"context"
	"slices"
	"sync"
	"time"
)

// callServer is the answering end of one forward connection. The HTTP
// handler's goroutine reads, one goroutine per request handles and writes the
// reply, one writes what these leave to it.
type callServer struct {
	in   *inbound
	wg   sync.WaitGroup // the handlers
	room chan struct{}  // holds one token per request until its reply is in a frame
	out  sender

	mu     sync.Mutex
	queue  []reply
	queued int // bytes
}

// serveCalls runs until the connection is lost, and returns why it was.
func (in *inbound) serveCalls(ctx context.Context, br *bufio.Reader) error {
	s := &callServer{
		in:   in,
		room: make(chan struct{}, in.t.cfg.MaxForwards),
	}
	s.out = newSender(s)
	// What is in progress ends with the connection: nobody waits for it.
	ctx, cancel := context.WithCancel(ctx)
	var writer sync.WaitGroup
	writer.Go(func() {
		_ = s.out.run(in.l, in.t.cfg.keepalive(), ctx.Done()) // the read side tells why it is lost
		in.l.Close()
		cancel()
	})
	err := s.read(ctx, br)
	cancel()
	writer.Wait()
	s.wg.Wait()
	return err
}

func (s *callServer) read(ctx context.Context, br *bufio.Reader) error {
	fr := frameReader{br: br, max: s.in.t.cfg.MaxFrameBytes}
	for {
		body, err := fr.next()
		if err != nil {
			return err
		}
		if len(body) == 0 {
			s.in.counters.contact()
			continue
		}
		s.in.counters.received(0, len(body))
		now := time.Now()
		for len(body) > 0 {
			var r request
			if r, body, err = takeRequest(body); err != nil {
				return err
			}
			select {
			case s.room <- struct{}{}:
			case <-ctx.Done():
				return context.Cause(ctx)
			}
			r.payload = slices.Clone(r.payload)
			s.wg.Go(func() { s.handle(ctx, now, r) })
		}
	}
}

// handle answers one request. Its time runs from when its frame was read: one
// that waited for room until its caller gave up is not begun.
func (s *callServer) handle(ctx context.Context, arrived time.Time, r request) {
	limit := s.in.t.cfg.ForwardTimeout
	if r.timeout > 0 {
		limit = min(limit, r.timeout)
	}
	ctx, cancel := context.WithDeadline(ctx, arrived.Add(limit))
	defer cancel()
	out := reply{id: r.id}
	if err := ctx.Err(); err != nil {
		out.status, out.payload = statusRefused, []byte(err.Error())
	} else if payload, err := s.in.recv.HandleForward(ctx, s.in.from, r.payload); err != nil {
		text := err.Error()
		out.status, out.payload = statusFailed, []byte(text[:min(len(text), maxTextBytes)])
	} else if len(payload) > s.in.t.cfg.MaxFrameBytes-maxCallOverhead {
		out.status, out.payload = statusFailed, []byte("reply too large")
	} else {
		out.payload = payload
	}
	s.mu.Lock()
	s.queue = append(s.queue, out)
	s.queued += len(out.payload) + maxCallOverhead
	s.mu.Unlock()
	s.out.flush()
}

// waiting implements source.
func (s *callServer) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.queued
}

// next implements source: as many replies as belong into one frame.
func (s *callServer) next(buf []byte) ([]byte, error) {
	frame, n := beginFrame(buf), 0
	s.mu.Lock()
	for n < len(s.queue) && (n == 0 || len(frame)+len(s.queue[n].payload)+maxCallOverhead <= s.in.t.cfg.frameTarget()) {
		frame = appendReply(frame, s.queue[n])
		s.queued -= len(s.queue[n].payload) + maxCallOverhead
		n++
	}
	s.queue = slices.Delete(s.queue, 0, n)
	s.mu.Unlock()
	for range n {
		<-s.room
	}
	if n == 0 {
		return nil, nil
	}
	sealFrame(frame)
	s.in.counters.sent(0, len(frame))
	return frame, nil
}
