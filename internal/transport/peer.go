package transport

import (
	"bufio"
	"context"
	"errors"
	"net/url"
	"time"

	"go.uber.org/zap"

	pb "go.etcd.io/raft/v3/raftpb"
)

// peer is another member: what waits for it, and the goroutines that serve it.
// It lives until it is removed or moves to another URL, and is replaced then.
type peer struct {
	// set at birth
	t      *Transport
	id     uint64
	url    string
	base   *url.URL
	urlErr error
	recv   Receiver
	run    context.Context // ends with Run
	ctx    context.Context // ends with the peer
	cancel context.CancelFunc

	appends  *stream
	control  *stream
	forward  *forwarder
	snapshot snapshotSender
	counters counters
}

func newPeer(run context.Context, t *Transport, recv Receiver, id uint64, addr string) *peer {
	p := &peer{t: t, id: id, url: addr, recv: recv, run: run}
	p.base, p.urlErr = parsePeerURL(addr)
	p.ctx, p.cancel = context.WithCancel(run)
	p.appends = newStream(p, kindAppend, t.cfg.AppendQueueBytes)
	p.control = newStream(p, kindControl, t.cfg.ControlQueueBytes)
	p.forward = newForwarder(p)
	p.snapshot = snapshotSender{p: p, retry: backoff{min: t.cfg.RetryMin, max: t.cfg.RetryRefused}}
	return p
}

// stream returns where m belongs, or nil if it must not leave this member.
func (p *peer) stream(m *pb.Message) *stream {
	switch typ := m.GetType(); {
	case m.GetFrom() != p.t.cfg.ID:
		// A follower passes a MsgReadIndex on in the name of its sender. The
		// receiver could not tell that from a forgery; its sender asks again.
		return nil
	case typ == pb.MsgApp:
		return p.appends
	case onStream(typ):
		return p.control
	}
	return nil
}

// line is one of the connections to a peer, seen by the loop that keeps it up.
type line interface {
	kind() string
	// use owns the connection until it is lost, and says why it was. It ends
	// when the connection is closed.
	use(l *link, br *bufio.Reader) error
	// lost is called after each failed dial and each lost connection.
	lost(connected bool)
}

// Sizes of read buffers: a stream's sender only reads keepalives.
const (
	smallReadBuffer = 4 << 10
	largeReadBuffer = 64 << 10
)

// keep dials, uses and dials again, until the peer is stopped.
func (p *peer) keep(ln line) {
	cfg := &p.t.cfg
	lg := p.t.lg.With(zap.Uint64("peer", p.id), zap.String("url", p.url), zap.String("kind", ln.kind()))
	retry := backoff{min: cfg.RetryMin, max: cfg.RetryMax}
	buffer := smallReadBuffer
	if ln.kind() == kindForward {
		buffer = largeReadBuffer
	}
	// Whoever still waits for this line learns that it is gone.
	defer ln.lost(false)
	// Only the control connection speaks of the peer as such, once per change.
	down := false
	for p.ctx.Err() == nil {
		l, br, err := p.t.dial(p.ctx, p, ln.kind(), buffer)
		connected := err == nil
		if connected {
			began := time.Now()
			lg.Debug("connected")
			if ln.kind() == kindControl {
				p.counters.connected.Store(true)
				lg.Info("peer connected")
				down = false
			}
			err = ln.use(l, br)
			l.Close()
			if time.Since(began) > cfg.RetryMax {
				retry.reset()
			}
		}
		if ln.kind() == kindControl {
			p.counters.connected.Store(false)
		}
		ln.lost(connected)
		if p.ctx.Err() != nil {
			return
		}
		lg.Debug("connection lost or refused", zap.Bool("was_connected", connected), zap.Error(err))
		if ln.kind() == kindControl && !down {
			down = true
			lg.Warn("peer unreachable", zap.Error(err))
		}
		wait := retry.next()
		r, refused := errors.AsType[*refusal](err)
		if ln.kind() == kindControl && !connected && !(refused && r.genuine) {
			p.t.learn(p.id) // it may have moved
		}
		if refused {
			p.t.heed(p, r)
			if r.lasting() {
				wait = jitter(cfg.RetryRefused)
			}
		}
		pause(p.ctx, wait)
	}
}
