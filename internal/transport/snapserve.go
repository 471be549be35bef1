package transport

import (
	"context"
	"io"
	"net/http"
	"strconv"
	"time"

	"go.uber.org/zap"
)

// serveFetch sends the body of one of this member's snapshots to a member that
// asks for it.
func (t *Transport) serveFetch(v visit, w http.ResponseWriter, r *http.Request) error {
	p, err := t.admit(v, r)
	if err != nil {
		return err
	}
	index, err := strconv.ParseUint(r.PathValue("index"), 10, 64)
	if err != nil || index == 0 {
		return &httpError{http.StatusBadRequest, quote(r.PathValue("index")) + " is no index"}
	}
	if !t.claim(t.giving, p.id) {
		return &httpError{http.StatusTooManyRequests, "a snapshot is being sent to member " + formatID(p.id)}
	}
	defer t.release(t.giving, p.id)

	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(v.ctx, cancel)()
	rc := http.NewResponseController(w)
	// The member may have to wait for a snapshot that is just being written, and
	// the server may have a deadline for the whole.
	if err := rc.SetWriteDeadline(time.Time{}); err != nil {
		return err
	}
	body, size, err := v.recv.OpenSnapshot(index)
	if err != nil {
		_ = rc.SetWriteDeadline(time.Now().Add(t.cfg.IdleTimeout))
		return &httpError{http.StatusNotFound, err.Error()}
	}
	defer body.Close()
	lg := t.lg.With(zap.Uint64("peer", p.id), zap.Uint64("index", index), zap.Int64("bytes", size))
	began := time.Now()
	src := newBodySource(nil, t.paced(ctx, body), size)
	w.Header().Set("Content-Type", "application/octet-stream")
	w.Header().Set("Content-Length", strconv.FormatInt(src.length(), 10))
	out := &stallWriter{ctx: ctx, w: w, rc: rc, stall: t.cfg.SnapshotStall, counters: &p.counters}
	// A write that waits when ctx ends has its deadline moved to now.
	defer context.AfterFunc(ctx, func() { _ = rc.SetWriteDeadline(time.Now()) })()
	if _, err := io.Copy(out, src); err != nil {
		// The answer has begun. The server ends the connection, since it is not as
		// long as it should be.
		lg.Warn("snapshot not given", zap.Duration("took", time.Since(began)), zap.Error(err))
		return nil
	}
	lg.Info("snapshot given", zap.Duration("took", time.Since(began)))
	return nil
}

// stallWriter is an answer that is given up when the other side takes nothing of
// it for too long.
type stallWriter struct {
	ctx      context.Context
	w        io.Writer
	rc       *http.ResponseController
	stall    time.Duration
	counters *counters
	by       time.Time
}

func (s *stallWriter) Write(b []byte) (int, error) {
	if now := time.Now(); s.by.Sub(now) < s.stall*3/4 {
		s.by = now.Add(s.stall)
		if err := s.rc.SetWriteDeadline(s.by); err != nil {
			return 0, err
		}
		// After the deadline: if ctx ends later, that is moved after ours.
		if s.ctx.Err() != nil {
			return 0, context.Cause(s.ctx)
		}
	}
	n, err := s.w.Write(b)
	s.counters.sent(0, n)
	return n, err
}
