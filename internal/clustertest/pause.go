package clustertest

import (
	"context"
	"io"
	"sync"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// gate is where a process can be stopped: whoever comes to it while it is shut
// waits until it is open. A member has gates before all that it does to the
// outside and all that comes in: messages, the disk, requests, and what it
// applies. What it holds in its hands goes on as far as the next of them: a
// leader to its next heartbeat, a follower until it wants an election.
type gate struct {
	mu   sync.Mutex
	shut chan struct{} // closed when it opens; nil: open
}

func (g *gate) pass() {
	for {
		g.mu.Lock()
		shut := g.shut
		g.mu.Unlock()
		if shut == nil {
			return
		}
		<-shut
	}
}

func (g *gate) close() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut == nil {
		g.shut = make(chan struct{})
	}
}

func (g *gate) open() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.shut != nil {
		close(g.shut)
		g.shut = nil
	}
}

// Pause stops the member as SIGSTOP does: nothing of it goes on, and what is
// sent to it waits. The end of its life ends the pause.
func (m *Member) Pause() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.node != nil && !m.killed {
		m.gate.close()
	}
}

// Resume ends a Pause. All that has come meanwhile comes in at once.
func (m *Member) Resume() {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.gate != nil {
		m.gate.open()
	}
}

// receiver is what the network delivers to: a node behind its gate, at an address.
type receiver struct {
	*raftnode.Node[kvstore.Result]
	gate *gate
	url  string
}

func (r *receiver) Step(msgs []*raftpb.Message) {
	r.gate.pass()
	r.Node.Step(msgs)
}

func (r *receiver) HandleForward(ctx context.Context, from uint64, req []byte) ([]byte, error) {
	r.gate.pass()
	return r.Node.HandleForward(ctx, from, req)
}

func (r *receiver) OpenSnapshot(index uint64) (io.ReadCloser, int64, error) {
	r.gate.pass()
	return r.Node.OpenSnapshot(index)
}

func (r *receiver) ReceiveSnapshot(ctx context.Context, msg *raftpb.Message, body io.Reader) error {
	r.gate.pass()
	return r.Node.ReceiveSnapshot(ctx, msg, body)
}

// Addresses makes what is sent to a member arrive only at the address that it
// listens on in this life. Without it a member is found by its id.
func (n *Network) Addresses() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addresses = true
}

// hears reports whether what is sent to url arrives at the member that runs there;
// one that does not run is found out later.
func (n *Network) hears(id uint64, url string) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.members[id].(*receiver)
	return !ok || !n.addresses || r.url == url
}
