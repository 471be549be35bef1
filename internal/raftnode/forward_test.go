package raftnode

import (
	"errors"
	"testing"
	"time"
)

// TestReplyIsBounded: results that do not fit into one answer must not take the
// others with them, and what was applied is never told as anything else than that
// or unknown.
func TestReplyIsBounded(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	defer d.Close()
	n, stop := start(t, singleConfig(), newTestMachine(), d)
	defer stop()
	ctx := within(t, 30*time.Second)
	must(t, n.ReadBarrier(ctx))

	var props []*proposal[int]
	for _, cmd := range []string{"large", "small", "large", "large", "small"} {
		props = append(props, &proposal[int]{cmd: []byte(cmd), done: make(chan struct{}, 1)})
	}
	reply, err := n.HandleForward(ctx, 2, appendCommands([]byte{forwardCommands}, props))
	must(t, err)
	if len(reply) > maxReplyBytes+len(props) {
		t.Errorf("a reply of %d bytes", len(reply))
	}
	if again := n.resolveForward(props, reply, true, nil); again != nil {
		t.Errorf("%d commands would be sent again", len(again))
	}
	for i, p := range props {
		if wantUnknown := i == 3; wantUnknown != errors.Is(p.err, ErrOutcomeUnknown) || !wantUnknown && (p.err != nil || p.res != i+1) {
			t.Errorf("command %d: result %d, error %v", i, p.res, p.err)
		}
	}
}
