package transport

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"go.uber.org/zap"

	pb "go.etcd.io/raft/v3/raftpb"
)

// inboundKey names a connection that a peer made to this member. There is at
// most one each: when a peer dials again it has given up the one before.
type inboundKey struct {
	from uint64
	kind string
}

// inbound is such a connection.
type inbound struct {
	t        *Transport
	from     uint64
	kind     string
	l        *link
	recv     Receiver
	counters *counters
}

// serveStream takes over the connection of a request and serves it until it
// is lost.
func (t *Transport) serveStream(v visit, w http.ResponseWriter, r *http.Request) error {
	if !upgradeWanted(r) {
		return t.refuse(http.StatusUpgradeRequired, "this path is for upgrades to "+upgradeToken)
	}
	p, err := t.admit(v, r)
	if err != nil {
		return err
	}
	kind := r.Header.Get(headerKind)
	switch kind {
	case kindAppend, kindControl, kindForward:
	default:
		return t.refuse(http.StatusBadRequest, "no such kind of connection: "+quote(kind))
	}
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return fmt.Errorf("take over connection: %w", err)
	}
	// From here on there is no way to answer but to close.
	in := &inbound{
		t: t, from: p.id, kind: kind, recv: v.recv, counters: &p.counters,
		l: newLink(v.ctx, conn, t.cfg.IdleTimeout),
	}
	defer in.l.Close()
	if buffered.Reader.Buffered() > 0 {
		t.violation(p.id, kind, violationf("data before the upgrade"))
		return nil
	}
	if !t.enter(in) {
		return nil
	}
	defer t.leave(in)
	if err := in.accept(w.Header()); err != nil {
		return nil
	}
	t.lg.Debug("accepted", zap.Uint64("peer", p.id), zap.String("kind", kind))
	p.counters.contact()
	err = in.serve(v.ctx)
	t.lg.Debug("closed", zap.Uint64("peer", p.id), zap.String("kind", kind), zap.Error(err))
	return nil
}

// enter makes in the one connection of its kind. It is false if the peer has
// been removed since it was admitted.
func (t *Transport) enter(in *inbound) bool {
	key := inboundKey{in.from, in.kind}
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := (*t.peers.Load())[in.from]; !ok {
		return false
	}
	if old := t.inbound[key]; old != nil {
		old.l.Close()
	}
	t.inbound[key] = in
	return true
}

func (t *Transport) leave(in *inbound) {
	key := inboundKey{in.from, in.kind}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.inbound[key] == in {
		delete(t.inbound, key)
	}
}

// accept answers the upgrade. header are those of every answer.
func (in *inbound) accept(header http.Header) error {
	header = header.Clone()
	header.Set("Connection", "Upgrade")
	header.Set("Upgrade", upgradeToken)
	bw := bufio.NewWriter(in.l)
	fmt.Fprintf(bw, "HTTP/1.1 %d %s\r\n", http.StatusSwitchingProtocols, http.StatusText(http.StatusSwitchingProtocols))
	if err := header.Write(bw); err != nil {
		return err
	}
	bw.WriteString("\r\n") // the error stays until Flush
	return bw.Flush()
}

// serve reads until the connection is lost or the peer breaks the protocol.
func (in *inbound) serve(ctx context.Context) error {
	br := bufio.NewReaderSize(in.l, largeReadBuffer)
	if in.kind == kindForward {
		err := in.serveCalls(ctx, br)
		if _, ok := errors.AsType[*violation](err); ok {
			in.t.violation(in.from, in.kind, err)
		}
		return err
	}
	stop := in.l.keepalives(in.t.cfg.keepalive())
	err := in.receive(br)
	stop()
	if v, ok := errors.AsType[*violation](err); ok {
		in.t.violation(in.from, in.kind, err)
		in.goodbye(v.reason)
	}
	return err
}

// receive hands on the messages of each frame, in one call.
func (in *inbound) receive(br *bufio.Reader) error {
	fr := frameReader{br: br, max: in.t.cfg.MaxFrameBytes}
	entries := maxEntries(fr.max)
	check := func(m *pb.Message) error { return checkMessage(m, in.t.cfg.ID, in.from) }
	for {
		body, err := fr.next()
		if err != nil {
			return err
		}
		if len(body) == 0 {
			in.counters.contact()
			continue
		}
		msgs, err := decodeBatch(body, entries, check)
		if err != nil {
			return err
		}
		in.counters.received(len(msgs), len(body)+frameHeaderBytes)
		in.recv.Step(msgs)
	}
}

// goodbyeTime bounds the wait for a peer to take note.
const goodbyeTime = time.Second

// goodbye tells the peer why its connection is closed, as far as it still
// listens. Without reading what is on its way the text would be overtaken by
// a reset.
func (in *inbound) goodbye(reason string) {
	frame := append(beginFrame(nil), reason[:min(len(reason), maxTextBytes)]...)
	sealFrame(frame)
	if _, err := in.l.Write(frame); err != nil {
		return
	}
	if c, ok := in.l.conn.(interface{ CloseWrite() error }); ok && c.CloseWrite() == nil {
		_ = in.l.conn.SetReadDeadline(time.Now().Add(goodbyeTime))
		_, _ = io.CopyN(io.Discard, in.l.conn, growBytes)
	}
}
