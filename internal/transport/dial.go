package transport

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/url"
	"strings"

	"go.uber.org/zap"
)

// Bounds on what a peer may answer to a request for an upgrade.
const (
	maxAnswerBytes = 16 << 10
	maxTextBytes   = 256
)

// dial connects to a peer and upgrades the connection. The reader may already
// hold the first frames.
func (t *Transport) dial(ctx context.Context, p *peer, kind string, readBuffer int) (*link, *bufio.Reader, error) {
	if p.urlErr != nil {
		return nil, nil, p.urlErr
	}
	dctx, cancel := context.WithTimeout(ctx, t.cfg.DialTimeout)
	conn, err := t.cfg.Dial(dctx, "tcp", hostPort(p.base))
	cancel()
	if err != nil {
		return nil, nil, err
	}
	l := newLink(ctx, conn, t.cfg.DialTimeout)
	br, err := t.upgrade(l, p, kind, readBuffer)
	if err != nil {
		l.Close()
		return nil, nil, err
	}
	l.timeout = t.cfg.IdleTimeout
	return l, br, nil
}

func hostPort(u *url.URL) string {
	port := u.Port()
	if port == "" {
		port = "80"
	}
	return net.JoinHostPort(u.Hostname(), port)
}

// upgrade asks for the connection to be handed over.
func (t *Transport) upgrade(l *link, p *peer, kind string, readBuffer int) (*bufio.Reader, error) {
	req, err := http.NewRequest(http.MethodPost, p.base.JoinPath(pathStream).String(), nil)
	if err != nil {
		return nil, err
	}
	t.introduce(req.Header)
	req.Header.Set(headerTo, formatID(p.id))
	req.Header.Set(headerKind, kind)
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", upgradeToken)
	if err := req.Write(l); err != nil {
		return nil, err
	}
	limited := &io.LimitedReader{R: l, N: maxAnswerBytes}
	br := bufio.NewReaderSize(limited, readBuffer)
	resp, err := http.ReadResponse(br, req)
	if err != nil {
		return nil, fmt.Errorf("answer to upgrade: %w", err)
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return nil, t.refused(p, resp)
	}
	if !t.genuine(p, resp) || resp.Header.Get("Upgrade") != upgradeToken {
		return nil, fmt.Errorf("upgraded by %q of cluster %q", resp.Header.Get(headerFrom), resp.Header.Get(headerCluster))
	}
	limited.N = math.MaxInt64
	return br, nil
}

// refused reads an answer that is no success.
func (t *Transport) refused(p *peer, resp *http.Response) *refusal {
	text, _ := io.ReadAll(io.LimitReader(resp.Body, maxTextBytes)) // a part is good enough
	line, _, _ := strings.Cut(string(text), "\n")
	return &refusal{status: resp.StatusCode, text: line, genuine: t.genuine(p, resp)}
}

func (t *Transport) genuine(p *peer, resp *http.Response) bool {
	return resp.Header.Get(headerCluster) == formatCluster(t.cfg.ClusterID) &&
		resp.Header.Get(headerFrom) == formatID(p.id)
}

// heed draws the conclusions from a refusal.
func (t *Transport) heed(p *peer, r *refusal) {
	switch {
	case r.status == http.StatusGone && r.genuine:
		t.removed.Do(func() {
			t.lg.Warn("a peer says that this member was removed", zap.Uint64("peer", p.id), zap.String("url", p.url))
			p.recv.MarkRemoved()
		})
	case r.status == http.StatusPreconditionFailed:
		if t.warned.allow("cluster to "+formatID(p.id), clusterWarnInterval) {
			t.lg.Warn("peer belongs to another cluster",
				zap.Uint64("peer", p.id), zap.String("url", p.url), zap.String("answer", r.text))
		}
	case r.lasting():
		if t.warned.allow("refused by "+formatID(p.id), clusterWarnInterval) {
			t.lg.Warn("peer refuses connections", zap.Uint64("peer", p.id), zap.String("url", p.url), zap.Error(r))
		}
	}
}
