package clustertest

import (
	"context"
	"io"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// NoBodies makes every transfer of a snapshot fail, or work again.
func (n *Network) NoBodies(fail bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.noBodies = fail
}

func (n *Network) bodies() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return !n.noBodies
}

// Fetched says how many snapshots were sent because a member had asked for them.
func (n *Network) Fetched() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.fetched
}

// Snapshots says how many snapshots were sent, whole or not.
func (n *Network) Snapshots() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.snapshots
}

// CutSnapshots cuts the next ones in their middle.
func (n *Network) CutSnapshots(next int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cutNext = next
}

// snapshotFate is fate for a snapshot. A second copy may come long after the first.
func (n *Network) snapshotFate(from, to uint64) (delay, second time.Duration, copies int) {
	delay, copies = n.fate(from, to)
	n.mu.Lock()
	defer n.mu.Unlock()
	n.snapshots++
	if n.cutNext > 0 {
		n.cutNext--
		copies = 0
	}
	if copies > 1 {
		second = time.Duration(n.dice(from, to).Int64N(int64(2 * time.Second)))
	}
	return delay, second, copies
}

// sendSnapshot carries a body at its own pace, and may cut it in the middle.
func (e *endpoint) sendSnapshot(to uint64, m *raftpb.Message, fate Fate) {
	self := e.self()
	if self == nil {
		return
	}
	ok := false
	defer func() { self.ReportSnapshot(to, ok) }()
	delay, second, copies := e.n.snapshotFate(e.id, to)
	delay += fate.Delay
	if fate.Lose {
		copies = 0
	}
	body, size, err := self.OpenSnapshot(m.GetSnapshot().GetMetadata().GetIndex())
	if err != nil {
		return
	}
	defer body.Close()
	time.Sleep(delay + e.n.pace(e.id, to, size))
	target := e.n.member(to)
	if target == nil || !e.n.bodies() {
		return
	}
	var r io.Reader = body
	if copies == 0 {
		r = io.MultiReader(io.LimitReader(body, size/2), failingReader{})
	}
	if copies > 1 {
		if again, _, err := self.OpenSnapshot(m.GetSnapshot().GetMetadata().GetIndex()); err == nil {
			e.n.wg.Go(func() {
				defer again.Close()
				time.Sleep(second)
				_ = receive(target, proto.Clone(m).(*raftpb.Message), again)
			})
		}
	}
	if err := receive(target, m, r); err != nil {
		e.n.trace.deed("snapshot %d from %d is refused by %d: %v", m.GetSnapshot().GetMetadata().GetIndex(), e.id, to, err)
		return
	}
	ok = true
}

func receive(target Receiver, m *raftpb.Message, body io.Reader) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return target.ReceiveSnapshot(ctx, m, body)
}

// pace is how long the body of a snapshot is on its way.
func (n *Network) pace(from, to uint64, size int64) time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	if rate := n.links[[2]uint64{from, to}].BytesPerSecond; rate > 0 {
		return time.Duration(size) * time.Second / time.Duration(rate)
	}
	return time.Duration(size/1024) * time.Millisecond
}

// FetchSnapshot carries a body the other way. What is asked and what comes back
// can each be lost.
func (e *endpoint) FetchSnapshot(ctx context.Context, from, index uint64) (io.ReadCloser, error) {
	e.gate.pass()
	delay, copies := e.n.fate(e.id, from)
	time.Sleep(delay)
	source := e.n.member(from)
	if e.self() == nil || !e.knows(from) || source == nil || copies == 0 || !e.n.bodies() {
		return nil, errLost
	}
	body, size, err := source.OpenSnapshot(index)
	if err != nil {
		return nil, err
	}
	delay, copies = e.n.fate(from, e.id)
	time.Sleep(delay + time.Duration(size/1024)*time.Millisecond)
	e.n.mu.Lock()
	e.n.fetched++
	e.n.mu.Unlock()
	if e.n.member(from) != source {
		return nil, errLost // it has died meanwhile
	}
	if copies == 0 {
		return readCloser{io.MultiReader(io.LimitReader(body, size/2), failingReader{}), body}, nil
	}
	return body, ctx.Err()
}

type readCloser struct {
	io.Reader
	io.Closer
}

type failingReader struct{}

func (failingReader) Read([]byte) (int, error) { return 0, errLost }
