package transport

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	pb "go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

// TestPacer: readers that share a rate get it together, evenly, and nobody makes
// up for time in which nothing was sent.
func TestPacer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, each = 1 << 20, 3 << 20
		tr := &Transport{pacer: pacer{rate: rate}}
		time.Sleep(time.Hour)
		begin := time.Now()
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				last := begin
				r := tr.paced(t.Context(), newNoise(each))
				b := make([]byte, 1<<20)
				for total := 0; total < each; {
					n, err := r.Read(b)
					if err != nil {
						t.Error(err)
						return
					}
					total += n
					if now := time.Now(); now.Sub(last) > 300*time.Millisecond || n > rate/20 {
						t.Errorf("%d bytes after %v", n, now.Sub(last))
					}
					last = time.Now()
				}
			})
		}
		wg.Wait()
		if took := time.Since(begin); took < 5900*time.Millisecond || took > 6*time.Second {
			t.Errorf("6 MiB took %v at 1 MiB/s", took)
		}
	})
}

func TestPacerEndsWithContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &Transport{pacer: pacer{rate: minSnapshotRate}}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		begin := time.Now()
		n, err := io.Copy(io.Discard, tr.paced(ctx, newNoise(1<<30)))
		if took := time.Since(begin); !errors.Is(err, context.DeadlineExceeded) || took != 10*time.Second || n < 9*minSnapshotRate || n > 11*minSnapshotRate {
			t.Errorf("%d bytes in %v, %v", n, took, err)
		}
	})
}

func TestUnlimitedIsNotPaced(t *testing.T) {
	body := newNoise(1)
	if r := new(Transport).paced(t.Context(), body); r != io.Reader(body) {
		t.Errorf("%T between", r)
	}
}

func TestPaceTooLow(t *testing.T) {
	cfg := Config{ID: 1, ClusterID: 1, PeerURL: "http://a:1", Logger: zap.NewNop()}
	for rate, good := range map[int64]bool{0: true, minSnapshotRate: true, minSnapshotRate - 1: false, -1: false} {
		cfg.SnapshotSendBytesPerSecond = rate
		if _, err := New(cfg); (err == nil) != good || err != nil && !strings.Contains(err.Error(), "SnapshotSendBytesPerSecond") {
			t.Errorf("%d: %v", rate, err)
		}
	}
}

// TestPacedSnapshotDoesNotStall: at the lowest rate a snapshot takes several times
// as long as one may stand still, in both ways of sending it, and arrives.
func TestPacedSnapshotDoesNotStall(t *testing.T) {
	const size = 3 * minSnapshotRate
	slow := func(c *Config) {
		c.SnapshotSendBytesPerSecond = minSnapshotRate
		c.SnapshotStall = 1500 * time.Millisecond
	}
	open := func(uint64) (io.ReadCloser, int64, error) { return newNoise(size), size, nil }
	dst := newStores()
	n1, n2 := pair(t, &recorder{open: open}, &dst.recorder, slow)
	begin := time.Now()
	n1.Send([]*pb.Message{snapMsg(1, 2, 77)})
	waitReports(t, n1, true)
	if took := time.Since(begin); took < 2500*time.Millisecond || dst.size != size {
		t.Errorf("sent: %d bytes in %v", dst.size, took)
	}
	begin = time.Now()
	b, err := fetchAll(t.Context(), n2, 1, 77)
	if took := time.Since(begin); took < 2500*time.Millisecond || len(b) != size || err != nil {
		t.Errorf("fetched: %d bytes in %v, %v", len(b), took, err)
	}
}
