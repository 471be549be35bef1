package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// stream sends messages of one class to a peer, in order, over a connection
// of its own.
type stream struct {
	p    *peer
	name string
	q    *queue
	out  sender

	// owned by whoever asks for the next frame
	pending []outgoing // taken out of the queue
	spare   []outgoing // what pending is part of

	left atomic.Int64 // bytes of pending
}

func newStream(p *peer, name string, limit int) *stream {
	s := &stream{p: p, name: name, q: newQueue(limit)}
	s.out = newSender(s)
	return s
}

func (s *stream) kind() string { return s.name }

// put queues a message, or drops it with all that waits if there is no room.
func (s *stream) put(m *pb.Message, size int) {
	dropped := 0
	if size > s.p.t.cfg.MaxFrameBytes-maxMessageOverhead {
		dropped = 1
		if s.p.t.warned.allow("too large", clusterWarnInterval) {
			s.p.t.lg.Warn("message dropped, larger than a frame may be",
				zap.Uint64("peer", s.p.id), zap.Stringer("type", m.GetType()), zap.Int("bytes", size))
		}
	} else {
		dropped = s.q.push(m, size)
	}
	if dropped > 0 {
		s.p.counters.dropped.Add(uint64(dropped))
		s.p.recv.ReportUnreachable(s.p.id)
	}
}

// lost drops what waited for the connection: by the time there is another one,
// raft has newer things to say.
func (s *stream) lost(connected bool) {
	dropped := s.q.drop() + len(s.pending)
	s.pending = nil
	s.left.Store(0)
	s.p.counters.dropped.Add(uint64(dropped))
	// While there is no connection each failed dial reports what piled up
	// meanwhile; with nothing lost there is nothing to report.
	if (connected || dropped > 0) && s.p.run.Err() == nil {
		s.p.recv.ReportUnreachable(s.p.id)
	}
}

// use sends until the connection is lost.
func (s *stream) use(l *link, br *bufio.Reader) error {
	var (
		wg     sync.WaitGroup
		remote error // why the read side ended; read after wg.Wait
		gone   = make(chan struct{})
	)
	wg.Go(func() {
		defer close(gone)
		remote = s.watch(br)
	})
	err := s.out.run(l, s.p.t.cfg.keepalive(), gone)
	l.Close()
	s.out.disconnect()
	wg.Wait()
	if err == nil {
		err = remote
	}
	return err
}

// waiting implements source.
func (s *stream) waiting() int { return s.q.waiting() + int(s.left.Load()) }

// next implements source: as many messages as one frame holds.
func (s *stream) next(buf []byte) ([]byte, error) {
	if len(s.pending) == 0 {
		s.pending = s.q.take(s.spare)
		s.spare = s.pending
		if len(s.pending) == 0 {
			return nil, nil
		}
		s.left.Store(bytesOf(s.pending))
	}
	frame, n, err := encodeBatch(buf, s.pending, s.p.t.cfg.frameTarget())
	if err != nil {
		return nil, err
	}
	s.left.Add(-bytesOf(s.pending[:n]))
	s.pending = s.pending[n:]
	s.p.counters.sent(n, len(frame))
	return frame, nil
}

func bytesOf(msgs []outgoing) (n int64) {
	for _, o := range msgs {
		n += int64(o.size)
	}
	return n
}

// watch reads what the receiver sends back: keepalives, so that a dead link is
// noticed here even though sending into it still works, and at the end the
// reason why it closes.
func (s *stream) watch(br *bufio.Reader) error {
	fr := frameReader{br: br, max: maxTextBytes}
	for {
		body, err := fr.next()
		switch {
		case errors.Is(err, io.EOF):
			return errors.New("closed by the peer")
		case err != nil:
			return err
		case len(body) > 0:
			return fmt.Errorf("closed by the peer: %q", body)
		}
		s.p.counters.contact()
	}
}
