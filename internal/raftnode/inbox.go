package raftnode

import (
	"sync"

	"go.etcd.io/raft/v3/raftpb"
)

// inputs is everything the loop is told between two of its turns.
type inputs[R any] struct {
	calls []func(*loop[R])  // to be run by the loop's goroutine
	local []*raftpb.Message // from this member's wal and apply, in order
	peers []*raftpb.Message // from other members
	props []*proposal[R]
	reads []*readRequest
}

func (in *inputs[R]) reset() {
	clear(in.calls)
	clear(in.local)
	clear(in.peers)
	clear(in.props)
	clear(in.reads)
	*in = inputs[R]{in.calls[:0], in.local[:0], in.peers[:0], in.props[:0], in.reads[:0]}
}

// inbox is the loop's mailbox.
type inbox[R any] struct {
	wake chan struct{} // holds a token while something may be waiting

	mu                   sync.Mutex
	next                 *inputs[R]
	bytes                int // of entries in next.peers
	wantProps, wantReads int // how many of them are a reason to wake the loop
	closed               bool
}

func newInbox[R any]() *inbox[R] {
	return &inbox[R]{wake: make(chan struct{}, 1), next: &inputs[R]{}}
}

// put lets add fill the next inputs; false: the loop has ended and nothing was
// added.
func (b *inbox[R]) put(add func(*inputs[R])) bool {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return false
	}
	add(b.next)
	b.mu.Unlock()
	b.signal()
	return true
}

// want says for how many commands and readers the loop is to be woken from now on.
func (b *inbox[R]) want(props, reads int) {
	b.mu.Lock()
	b.wantProps, b.wantReads = props, reads
	wanted := len(b.next.props) >= props || len(b.next.reads) >= reads
	b.mu.Unlock()
	if wanted {
		b.signal()
	}
}

// propose adds commands; false: the loop has ended.
func (b *inbox[R]) propose(props ...*proposal[R]) bool {
	b.mu.Lock()
	ok := !b.closed
	if ok {
		b.next.props = append(b.next.props, props...)
	}
	wanted := ok && len(b.next.props) >= b.wantProps
	b.mu.Unlock()
	if wanted {
		b.signal()
	}
	return ok
}

// read adds a reader; false: the loop has ended.
func (b *inbox[R]) read(q *readRequest) bool {
	b.mu.Lock()
	ok := !b.closed
	if ok {
		b.next.reads = append(b.next.reads, q)
	}
	wanted := ok && len(b.next.reads) >= b.wantReads
	b.mu.Unlock()
	if wanted {
		b.signal()
	}
	return ok
}

// putPeers adds messages of other members, as long as the entries they carry
// fit the bound. What does not fit is dropped: raft sends it again.
func (b *inbox[R]) putPeers(msgs []*raftpb.Message) {
	b.mu.Lock()
	for _, m := range msgs {
		size := 0
		for _, e := range m.GetEntries() {
			size += len(e.GetData())
		}
		if b.closed || b.bytes+size > maxInboxBytes && b.bytes > 0 {
			break
		}
		b.bytes += size
		b.next.peers = append(b.next.peers, m)
	}
	b.mu.Unlock()
	b.signal()
}

// take returns all that waits; spare is emptied and filled next.
func (b *inbox[R]) take(spare *inputs[R]) *inputs[R] {
	spare.reset()
	b.mu.Lock()
	defer b.mu.Unlock()
	in := b.next
	b.next, b.bytes = spare, 0
	return in
}

// close refuses further inputs and returns those that nobody will see.
func (b *inbox[R]) close() *inputs[R] {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	in := b.next
	b.next = &inputs[R]{}
	return in
}

func (b *inbox[R]) signal() {
	select {
	case b.wake <- struct{}{}:
	default:
	}
}
