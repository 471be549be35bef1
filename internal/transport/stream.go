package transport

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// stream sends messages of one class to a peer, in order, over a connection
// of its own.
type stream struct {
	p    *peer
	name string
	q    *queue

	// owned by the sender
	buf   []byte
	spare []outgoing
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
	dropped := s.q.drop()
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
	err := s.send(l, gone)
	l.Close()
	wg.Wait()
	if err == nil {
		err = remote
	}
	return err
}

// send is the write side. It returns nil when the read side has ended.
func (s *stream) send(l *link, gone <-chan struct{}) error {
	tick := time.NewTicker(s.p.t.cfg.keepalive())
	defer tick.Stop()
	for {
		select {
		case <-s.q.wake:
			batch := s.q.take(s.spare)
			s.spare = batch
			if err := s.write(l, batch); err != nil {
				return err
			}
		case <-tick.C:
			if _, err := l.Write(emptyFrame); err != nil {
				return err
			}
		case <-gone:
			return nil
		}
	}
}

// write sends a batch in as few frames as it fits.
func (s *stream) write(l *link, batch []outgoing) error {
	for len(batch) > 0 {
		frame, n, err := encodeBatch(s.buf, batch, s.p.t.cfg.frameTarget())
		if err != nil {
			return err
		}
		s.buf = frame
		if _, err := l.Write(frame); err != nil {
			s.p.counters.dropped.Add(uint64(len(batch)))
			return err
		}
		s.p.counters.sent(n, len(frame))
		batch = batch[n:]
	}
	return nil
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
