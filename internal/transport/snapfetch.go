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
)

// FetchSnapshot opens the body that a peer has for the snapshot at index, and
// may wait for it to be written there. The body ends with io.EOF only if its
// length and checksum were right. Reading fails when ctx or Run ends, or when no
// byte has come for SnapshotStall. The caller closes it, before Run returns or
// after.
func (t *Transport) FetchSnapshot(ctx context.Context, from, index uint64) (io.ReadCloser, error) {
	p := (*t.peers.Load())[from]
	if p == nil {
		return nil, fmt.Errorf("%w: %d", ErrUnknownPeer, from)
	}
	if p.urlErr != nil {
		return nil, p.urlErr
	}
	ctx, cancel := context.WithCancelCause(ctx)
	f := &fetch{
		cancel:   cancel,
		detach:   context.AfterFunc(p.ctx, func() { cancel(context.Cause(p.ctx)) }),
		stall:    t.cfg.SnapshotStall,
		counters: &p.counters,
	}
	// Until the body begins the peer may be busy writing it.
	f.watchdog = time.AfterFunc(t.cfg.SnapshotAnswer, func() { cancel(errSnapshotStalled) })
	if err := f.open(ctx, t, p, index); err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// fetch is a body that is being fetched.
type fetch struct {
	cancel   context.CancelCauseFunc
	detach   func() bool
	watchdog *time.Timer
	stall    time.Duration
	counters *counters

	resp *http.Response
	body *bodyReader
}

// open asks, and reads up to the body.
func (f *fetch) open(ctx context.Context, t *Transport, p *peer, index uint64) error {
	url := p.base.JoinPath(pathSnapshot, formatID(index)).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	t.introduce(req.Header)
	req.Header.Set(headerTo, formatID(p.id))
	if f.resp, err = t.client.Do(req); err != nil {
		return err
	}
	if f.resp.StatusCode != http.StatusOK {
		return t.refused(p, f.resp)
	}
	if !t.genuine(p, f.resp) {
		return fmt.Errorf("given by %q of cluster %q", f.resp.Header.Get(headerFrom), f.resp.Header.Get(headerCluster))
	}
	br := bufio.NewReaderSize(&watched{f, ctx}, largeReadBuffer)
	var b [snapshotSizeBytes]byte
	if _, err := io.ReadFull(br, b[:]); err != nil {
		return fmt.Errorf("read size of snapshot: %w", noEOF(err))
	}
	size := binary.BigEndian.Uint64(b[:])
	if size > uint64(t.cfg.MaxSnapshotBytes) {
		return fmt.Errorf("snapshot of %d bytes, limit %d", size, t.cfg.MaxSnapshotBytes)
	}
	f.body = newBodyReader(br, int64(size))
	return nil
}

func (f *fetch) Read(b []byte) (int, error) { return f.body.Read(b) }

// Close may be called twice.
func (f *fetch) Close() error {
	f.watchdog.Stop()
	f.detach()
	f.cancel(nil)
	if f.resp == nil {
		return nil
	}
	return f.resp.Body.Close()
}

// watched is the answer as it comes.
type watched struct {
	f   *fetch
	ctx context.Context
}

func (w *watched) Read(b []byte) (int, error) {
	// Only while somebody reads: a slow disk is no stall.
	w.f.watchdog.Reset(w.f.stall)
	n, err := w.f.resp.Body.Read(b)
	w.f.watchdog.Stop()
	w.f.counters.received(0, n)
	if err != nil && err != io.EOF {
		if cause := context.Cause(w.ctx); cause != nil {
			err = cause
		}
	}
	return n, err
}
