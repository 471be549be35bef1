package transport

import (
	"context"
	"io"
	"sync"
	"time"
)

// minSnapshotRate fills the buffers on the way, of 64 KiB each, well before a
// receiver loses its patience, also when a few snapshots share the rate.
const minSnapshotRate = 64 << 10

// pacer shares a number of bytes a second among all who ask. Unused time is
// lost: nobody may catch up in a burst.
type pacer struct {
	rate int64 // 0: no limit

	mu   sync.Mutex
	next time.Time // when the next bytes may go
}

// step is how much is sent at once: a twentieth of a second's worth.
func (p *pacer) step() int { return int(max(1, min(p.rate/20, largeReadBuffer))) }

// wait returns when n bytes may go, or with ctx's error.
func (p *pacer) wait(ctx context.Context, n int) error {
	now := time.Now()
	p.mu.Lock()
	if p.next.Before(now) {
		p.next = now
	}
	pause := p.next.Sub(now)
	p.next = p.next.Add(time.Duration(float64(n) / float64(p.rate) * float64(time.Second)))
	p.mu.Unlock()
	if pause > 0 {
		t := time.NewTimer(pause)
		defer t.Stop()
		select {
		case <-t.C:
		case <-ctx.Done():
		}
	}
	return context.Cause(ctx)
}

// paced is r, no faster than snapshots may be sent, until ctx ends.
func (t *Transport) paced(ctx context.Context, r io.Reader) io.Reader {
	if t.pacer.rate == 0 {
		return r
	}
	return &pacedReader{ctx, r, &t.pacer}
}

type pacedReader struct {
	ctx context.Context
	r   io.Reader
	p   *pacer
}

func (r *pacedReader) Read(b []byte) (int, error) {
	n, err := r.r.Read(b[:min(len(b), r.p.step())])
	if n > 0 {
		if werr := r.p.wait(r.ctx, n); werr != nil {
			return 0, werr
		}
	}
	return n, err
}
