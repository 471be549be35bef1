package clustertest

import (
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// Op is a moment in an operation of a disk: before it has written anything, or
// after it has written and before it syncs.
type Op struct {
	Name    string // save, sync, snapshot (an own one), install (a peer's), release or body
	Written bool
}

// OnOp has f called at every moment of every operation, on the goroutine that
// does it. An error of f is the operation's. f may kill the member.
func (d *Disk) OnOp(f func(Op) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.hook = f
}

// KeepAll makes a crash forget nothing that was written: the process dies, and its
// machine lives on.
func (d *Disk) KeepAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.keepAll = true
}

// LoseAll makes a crash forget everything that was not synced, not only a part.
func (d *Disk) LoseAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.loseAll = true
}

func (d *Disk) pass(op string, written bool) error {
	d.mu.Lock()
	f := d.hook
	d.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(Op{op, written})
}

// Fate is what a Filter decides for one message, besides what its link does.
type Fate struct {
	Lose  bool
	Delay time.Duration
}

// Filter sees every message as it is sent, on the goroutine of its sender, and
// may kill members.
type Filter func(*raftpb.Message) Fate

// SetFilter lets f decide about messages; nil: nobody does.
func (n *Network) SetFilter(f Filter) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.filter = f
}

func (n *Network) judge(m *raftpb.Message) Fate {
	n.mu.Lock()
	f := n.filter
	n.mu.Unlock()
	if f == nil {
		return Fate{}
	}
	return f(m)
}
