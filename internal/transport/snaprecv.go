package transport

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// serveSnapshot streams a snapshot into the member. 204 says that all of it is
// durable.
func (t *Transport) serveSnapshot(v visit, w http.ResponseWriter, r *http.Request) error {
	p, err := t.admit(v, r)
	if err != nil {
		return err
	}
	if !t.claim(t.receiving, p.id) {
		return &httpError{http.StatusTooManyRequests, "a snapshot of member " + formatID(p.id) + " is being received"}
	}
	defer t.release(t.receiving, p.id)

	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(v.ctx, cancel)()
	in := &download{ctx: ctx, r: r.Body, rc: http.NewResponseController(w), stall: t.cfg.SnapshotStall, counters: &p.counters}
	// A read that waits when ctx ends has its deadline moved to now.
	defer context.AfterFunc(ctx, func() { _ = in.rc.SetReadDeadline(time.Now()) })()

	br := bufio.NewReaderSize(in, largeReadBuffer)
	msg, size, err := t.readSnapshotHead(br, p.id, r.ContentLength)
	if err != nil {
		return t.snapshotFault(p.id, err)
	}
	lg := t.lg.With(zap.Uint64("peer", p.id), zap.Uint64("index", msg.GetSnapshot().GetMetadata().GetIndex()), zap.Int64("bytes", size))
	lg.Info("receiving snapshot")
	began := time.Now()
	body := newBodyReader(br, size)
	err = v.recv.ReceiveSnapshot(ctx, msg, body)
	if err == nil && !body.whole() {
		err = errors.New("snapshot was not read to its end")
	}
	_ = in.rc.SetWriteDeadline(time.Now().Add(t.cfg.IdleTimeout))
	if err != nil {
		lg.Warn("snapshot not received", zap.Error(err))
		if body.err != nil && !body.whole() {
			return t.snapshotFault(p.id, body.err)
		}
		return fmt.Errorf("store snapshot: %w", err)
	}
	lg.Info("snapshot received", zap.Duration("took", time.Since(began)))
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// snapshotFault turns what was wrong with a snapshot into an answer. A cut
// connection is a fault of nobody.
func (t *Transport) snapshotFault(from uint64, err error) error {
	if e, ok := errors.AsType[*httpError](err); ok {
		t.violation(from, "snapshot", err)
		return e
	}
	if _, ok := errors.AsType[*violation](err); ok {
		t.violation(from, "snapshot", err)
	}
	return &httpError{http.StatusBadRequest, err.Error()}
}

// readSnapshotHead reads up to the body, and checks the message and the sizes.
func (t *Transport) readSnapshotHead(br *bufio.Reader, from uint64, contentLength int64) (*pb.Message, int64, error) {
	fr := frameReader{br: br, max: maxSnapshotHead}
	head, err := fr.next()
	if err != nil {
		if v, ok := errors.AsType[*violation](err); ok {
			return nil, 0, &httpError{http.StatusRequestEntityTooLarge, v.reason}
		}
		return nil, 0, fmt.Errorf("read head of snapshot: %w", err)
	}
	headBytes := int64(frameHeaderBytes + len(head))
	msg := new(pb.Message)
	if err := unmarshal.Unmarshal(head, msg); err != nil {
		return nil, 0, violationf("message: %v", err)
	}
	if err := checkSnapshotMessage(msg, t.cfg.ID, from); err != nil {
		return nil, 0, err
	}
	if err := fr.release(); err != nil {
		return nil, 0, err
	}
	var b [snapshotSizeBytes]byte
	if _, err := io.ReadFull(br, b[:]); err != nil {
		return nil, 0, fmt.Errorf("read size of snapshot: %w", noEOF(err))
	}
	size := binary.BigEndian.Uint64(b[:])
	if size > uint64(t.cfg.MaxSnapshotBytes) {
		return nil, 0, &httpError{http.StatusRequestEntityTooLarge,
			fmt.Sprintf("snapshot of %d bytes, limit %d", size, t.cfg.MaxSnapshotBytes)}
	}
	whole := headBytes + snapshotSizeBytes + int64(size) + snapshotTrailerBytes
	if contentLength >= 0 && contentLength != whole {
		return nil, 0, violationf("snapshot of %d bytes in a request of %d", size, contentLength)
	}
	return msg, int64(size), nil
}

// claim puts a member into a set, unless it is there. t.mu guards the set.
func (t *Transport) claim(set map[uint64]struct{}, id uint64) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, busy := set[id]; busy {
		return false
	}
	set[id] = struct{}{}
	return true
}

func (t *Transport) release(set map[uint64]struct{}, id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(set, id)
}

// download is a request body of which every read has a deadline of its own, in
// place of any the server has for the whole.
type download struct {
	ctx      context.Context
	r        io.Reader
	rc       *http.ResponseController
	stall    time.Duration
	counters *counters
	by       time.Time
}

func (d *download) Read(p []byte) (int, error) {
	if now := time.Now(); d.by.Sub(now) < d.stall*3/4 {
		d.by = now.Add(d.stall)
		if err := d.rc.SetReadDeadline(d.by); err != nil {
			return 0, err
		}
		// First the deadline, then this question: if ctx ends after it, the
		// deadline is moved after ours.
		if d.ctx.Err() != nil {
			return 0, context.Cause(d.ctx)
		}
		// And the answer may be long in coming.
		if err := d.rc.SetWriteDeadline(time.Time{}); err != nil {
			return 0, err
		}
	}
	n, err := d.r.Read(p)
	d.counters.received(0, n)
	if err != nil {
		// The server goes on reading, to notice when the sender leaves; that
		// must not end with our deadline.
		_ = d.rc.SetReadDeadline(time.Time{})
	}
	return n, err
}
