package raftnode

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
)

// publish makes the membership say what this member is called and where it is
// found, and notes the first linearizable read: from then on it is ready.
func (n *Node[R]) publish(ctx context.Context) error {
	self := Member{ID: n.cfg.Member, Name: n.cfg.Name, PeerURL: n.cfg.PeerURL, ClientURL: n.cfg.ClientURL}
	pause := time.NewTicker(max(n.cfg.Tick, 10*time.Millisecond))
	defer pause.Stop()
	for {
		known, in := n.members.Load().Members[self.ID]
		moved := in && known.PeerURL != self.PeerURL // nobody reaches it before they are told
		if !n.ready.Load() && !moved {
			attempt, cancel := context.WithTimeout(ctx, time.Duration(n.cfg.ElectionTicks)*n.cfg.Tick)
			n.ready.Store(n.ReadBarrier(attempt) == nil)
			cancel()
		}
		m := n.members.Load()
		_, in = m.Members[self.ID]
		published := in && m.publish(self) == m
		if published && n.ready.Load() {
			return nil
		}
		if in && !published {
			attempt, cancel := context.WithTimeout(ctx, time.Duration(n.cfg.ElectionTicks)*n.cfg.Tick)
			n.publishOnce(attempt, self)
			cancel()
		}
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	}
}

// publishOnce asks for the entry. Whether it came about shows in the membership.
// A member that has moved hears from no leader, since none knows where it is: it
// asks all the others, and the one that leads does it.
func (n *Node[R]) publishOnce(ctx context.Context, self Member) {
	if leader := n.view.Load().leader; n.isSelf(leader) {
		_ = n.publishAsLeader(ctx, self)
		return
	} else if leader != raft.None {
		n.publishThrough(ctx, leader, self)
		return
	}
	var wg sync.WaitGroup
	for _, mb := range n.Members() {
		if !n.isSelf(mb.ID) {
			wg.Go(func() { n.publishThrough(ctx, mb.ID, self) })
		}
	}
	wg.Wait()
}

func (n *Node[R]) publishThrough(ctx context.Context, to uint64, self Member) {
	if b, err := json.Marshal(self); err == nil {
		_, _, _ = n.peers.tr.Forward(ctx, to, append([]byte{forwardPublish}, b...))
	}
}

func (n *Node[R]) publishAsLeader(ctx context.Context, mb Member) error {
	if err := checkURL(mb.PeerURL); err != nil {
		return err
	}
	b, err := json.Marshal(mb)
	if err != nil {
		return err
	}
	_, err = ask(ctx, n, func(l *loop[R]) (struct{}, error) {
		if !l.leading() {
			return struct{}{}, errNotLeader
		}
		h := entryHeader{kind: kindMember, id: l.nextID(), clock: n.clock.now()}
		return struct{}{}, l.rn.Propose(append(h.append(nil), b...))
	})
	return err
}
