package raftnode

import (
	"bytes"
	"context"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// hopTransport notes the requests that a member sends on.
type hopTransport struct {
	deafTransport
	mu   sync.Mutex
	sent [][]byte
}

func (h *hopTransport) Forward(_ context.Context, _ uint64, req []byte) ([]byte, bool, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sent = append(h.sent, req)
	return nil, false, errDisk
}

// TestOneHopAtMost is about requests that go round in circles: two members, each
// of which takes the other for the leader, pass one to and fro. What came from
// a member is served here or refused, whatever this one believes.
func TestOneHopAtMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &hopTransport{}
		n, stop := startLed(t, tr)
		defer stop()
		// An own request goes to the leader: so the test would see one.
		_, _ = n.Propose(within(t, time.Second), []byte("own"))
		if len(tr.of(forwardCommands)) == 0 {
			t.Fatal("an own request was not sent on")
		}

		req := appendCommands([]byte{forwardCommands}, []*proposal[int]{{cmd: []byte("other's a")}, {cmd: []byte("other's b")}})
		begin := time.Now()
		reply, err := n.HandleForward(within(t, time.Second), 1, req)
		if err != nil || string(reply) != string([]byte{outcomeNotLeader, outcomeNotLeader}) {
			t.Errorf("reply %v, %v", reply, err)
		}
		if took := time.Since(begin); took > 2*n.cfg.Tick {
			t.Errorf("the refusal took %v", took)
		}
		for _, sent := range tr.of(forwardCommands) {
			if bytes.Contains(sent, []byte("other's")) {
				t.Errorf("another member's commands were sent on: %q", sent)
			}
		}
		for _, kind := range []byte{forwardChange, forwardTransfer, forwardPlan} {
			_, _ = n.HandleForward(within(t, time.Second), 1, append([]byte{kind}, `{"member":{"id":1},"id":1,"to":1}`...))
			if len(tr.of(kind)) > 0 {
				t.Errorf("a request of kind %d was sent on", kind)
			}
		}
	})
}

// TestHopIsRefusedAtOnce: also while the loop has no use for more commands, since as
// many are on their way to the leader as may be.
func TestHopIsRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := startLed(t, &mireTransport{})
		defer stop()
		var wg sync.WaitGroup
		defer wg.Wait()
		wg.Go(func() { _, _ = n.Propose(within(t, time.Second), []byte("own")) })
		time.Sleep(n.cfg.Tick / 4)
		begin := time.Now()
		reply, err := n.HandleForward(within(t, time.Second), 1, appendCommands([]byte{forwardCommands}, []*proposal[int]{{cmd: []byte("other's")}}))
		if err != nil || string(reply) != string([]byte{outcomeNotLeader}) {
			t.Errorf("reply %v, %v", reply, err)
		}
		if took := time.Since(begin); took > n.cfg.Tick/4 {
			t.Errorf("the refusal took %v", took)
		}
	})
}

// of returns the requests of a kind.
func (h *hopTransport) of(kind byte) (out [][]byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, req := range h.sent {
		if req[0] == kind {
			out = append(out, req)
		}
	}
	return out
}
