package clustertest

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// line is a slow link as the appends on it see it.
type line struct {
	free           time.Time // when it has sent all that waits
	waiting, worst int       // bytes
}

// wait says how long a message of size bytes is on a line that is slow; false: too
// much waits there already.
func (n *Network) wait(from, to uint64, size int) (time.Duration, bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	key := [2]uint64{from, to}
	rate, queue := n.links[key].BytesPerSecond, n.links[key].QueueBytes
	if rate == 0 {
		return 0, true
	}
	l := n.lines[key]
	if l == nil {
		l = &line{}
		n.lines[key] = l
	}
	if l.waiting > 0 && l.waiting+size > queue {
		n.lost++
		return 0, false
	}
	l.waiting += size
	l.worst = max(l.worst, l.waiting)
	now := time.Now()
	if l.free.Before(now) {
		l.free = now
	}
	l.free = l.free.Add(time.Duration(size) * time.Second / time.Duration(rate))
	return l.free.Sub(now), true
}

// arrived takes a message off its line.
func (n *Network) arrived(from, to uint64, size int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.lines[[2]uint64{from, to}]; l != nil {
		l.waiting -= size
	}
}

// Worst is how many bytes of appends have waited for a slow link at most.
func (n *Network) Worst(from, to uint64) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := n.lines[[2]uint64{from, to}]; l != nil {
		return l.worst
	}
	return 0
}

func (n *Network) slow(from, to uint64) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.links[[2]uint64{from, to}].BytesPerSecond > 0
}

// sendSlowly sends an append over a slow link, after those before it.
func (e *endpoint) sendSlowly(to uint64, m *raftpb.Message) {
	size := proto.Size(m)
	wait, ok := e.n.wait(e.id, to, size)
	if !ok {
		if self := e.self(); self != nil {
			self.ReportUnreachable(to)
		}
		return
	}
	e.n.wg.Go(func() {
		time.Sleep(wait)
		e.n.arrived(e.id, to, size)
		if r := e.n.member(to); r != nil {
			r.Step([]*raftpb.Message{proto.Clone(m).(*raftpb.Message)})
		}
	})
}
