package transport

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"google.golang.org/protobuf/proto"
)

// snapshotSender sends snapshots to a peer, one at a time.
type snapshotSender struct {
	p    *peer
	busy atomic.Bool

	// owned by the goroutine that sends
	retry backoff
}

// begin sends the snapshot that m announces on a goroutine of its own. If one
// is on its way already, m has failed.
func (s *snapshotSender) begin(m *pb.Message) {
	p := s.p
	if m.GetFrom() != p.t.cfg.ID || !s.busy.CompareAndSwap(false, true) {
		p.recv.ReportSnapshot(p.id, false)
		return
	}
	if !p.t.spawn(func() { s.run(m) }) {
		s.busy.Store(false)
		p.recv.ReportSnapshot(p.id, false)
	}
}

func (s *snapshotSender) run(m *pb.Message) {
	p := s.p
	index := m.GetSnapshot().GetMetadata().GetIndex()
	lg := p.t.lg.With(zap.Uint64("peer", p.id), zap.Uint64("index", index))
	began := time.Now()
	size, err := s.send(m, index)
	if err == nil {
		lg.Info("snapshot sent", zap.Int64("bytes", size), zap.Duration("took", time.Since(began)))
		s.retry.reset()
	} else {
		lg.Warn("snapshot not sent", zap.Int64("bytes", size), zap.Duration("took", time.Since(began)), zap.Error(err))
		// raft tries again within a heartbeat of the report, and with it
		// all the bytes. It sends nothing to this peer meanwhile.
		if wait := s.retry.next(); s.retry.n > 1 {
			pause(p.ctx, wait)
		}
	}
	s.busy.Store(false) // before the report: it may bring the next one
	p.recv.ReportSnapshot(p.id, err == nil)
}

// send returns nil when the peer has answered that it has the snapshot.
func (s *snapshotSender) send(m *pb.Message, index uint64) (size int64, err error) {
	p := s.p
	if p.urlErr != nil {
		return 0, p.urlErr
	}
	head, err := proto.MarshalOptions{}.MarshalAppend(beginFrame(nil), m)
	if err != nil {
		return 0, fmt.Errorf("encode MsgSnap: %w", err)
	}
	if len(head)-frameHeaderBytes > maxSnapshotHead {
		return 0, fmt.Errorf("MsgSnap of %d bytes: it carries more than metadata", len(head))
	}
	sealFrame(head)
	body, size, err := p.recv.OpenSnapshot(index)
	if err != nil {
		return 0, fmt.Errorf("open snapshot: %w", err)
	}
	defer body.Close()

	ctx, cancel := context.WithCancelCause(p.ctx)
	defer cancel(nil)
	src := newBodySource(head, p.t.paced(ctx, body), size)
	length := src.length()
	up := &upload{
		r:      src,
		p:      p,
		answer: p.t.cfg.SnapshotAnswer,
		stall:  p.t.cfg.SnapshotStall,
		closed: make(chan struct{}),
	}
	up.watchdog = time.AfterFunc(up.stall, func() { cancel(errSnapshotStalled) })
	defer up.watchdog.Stop()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.base.JoinPath(pathSnapshot).String(), up)
	if err != nil {
		return 0, err
	}
	req.ContentLength = length
	p.t.introduce(req.Header)
	req.Header.Set(headerTo, formatID(p.id))
	req.Header.Set("Expect", "100-continue") // a refusal should not cost the body
	resp, err := p.t.client.Do(req)
	// The client may go on reading body after it returned; not past its Close.
	defer func() {
		cancel(nil)
		<-up.closed
	}()
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return size, err
	}
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		return size, p.t.refused(p, resp)
	}
	if !p.t.genuine(p, resp) {
		return size, fmt.Errorf("taken by %q of cluster %q", resp.Header.Get(headerFrom), resp.Header.Get(headerCluster))
	}
	return size, nil
}

// upload is a request body that keeps a watchdog quiet as long as it moves.
type upload struct {
	r             io.Reader
	p             *peer
	stall, answer time.Duration
	watchdog      *time.Timer
	once          sync.Once
	closed        chan struct{}
}

func (u *upload) Read(b []byte) (int, error) {
	n, err := u.r.Read(b)
	u.p.counters.sent(0, n)
	if err == io.EOF {
		u.watchdog.Reset(u.answer)
	} else {
		u.watchdog.Reset(u.stall)
	}
	return n, err
}

func (u *upload) Close() error {
	u.once.Do(func() { close(u.closed) })
	return nil
}

// newClient makes the client for everything that is not a stream. It keeps no
// connections: there are few requests, and nothing to clean up.
func newClient(cfg Config) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DialContext:           cfg.Dial,
			DisableKeepAlives:     true,
			DisableCompression:    true,
			ExpectContinueTimeout: cfg.DialTimeout,
			WriteBufferSize:       largeReadBuffer,
		},
		// A redirect would lead to where nobody of this cluster pointed.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
