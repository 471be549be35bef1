package raftnode

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// mireTransport lets requests stick for a while before it says that they never
// left, as a line does that swallows what is to open it, until it is dry.
type mireTransport struct {
	deafTransport
	dry  atomic.Bool
	mu   sync.Mutex
	sent [][]byte // when it was dry
}

func (m *mireTransport) Forward(ctx context.Context, _ uint64, req []byte) ([]byte, bool, error) {
	if !m.dry.Load() {
		select {
		case <-time.After(2 * time.Second):
		case <-ctx.Done():
		}
		return nil, false, errDisk
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.sent = append(m.sent, req)
	return nil, true, errDisk
}

// TestWritesOfWhoHasGone is about commands that come to life long after their
// callers have left: they wait for a leader that hears nothing, pile up, and are
// all applied when it does again. A command that never left this member goes
// with its caller.
func TestWritesOfWhoHasGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &mireTransport{}
		n, stop := startLed(t, tr)
		var wg sync.WaitGroup
		for i := range 50 {
			wg.Go(func() {
				_, err := n.Propose(within(t, 500*time.Millisecond), fmt.Appendf(nil, "gone %d", i))
				if !errors.Is(err, ErrOutcomeUnknown) && !errors.Is(err, ErrOverloaded) {
					t.Errorf("propose: %v", err)
				}
			})
			time.Sleep(100 * time.Millisecond)
		}
		time.Sleep(10 * time.Second)
		tr.dry.Store(true)
		time.Sleep(5 * time.Second)
		_, _ = n.Propose(within(t, time.Second), []byte("own"))
		tr.mu.Lock()
		if !slices.ContainsFunc(tr.sent, func(req []byte) bool { return bytes.Contains(req, []byte("own")) }) {
			t.Error("a command of somebody who waits was not sent")
		}
		for _, req := range tr.sent {
			if bytes.Contains(req, []byte("gone")) {
				t.Errorf("sent on behalf of nobody: %q", req)
			}
		}
		tr.mu.Unlock()
		wg.Wait()
		stop()
	})
}
