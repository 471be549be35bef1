package raftnode

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
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
		if !n.ready.Load() {
			attempt, cancel := context.WithTimeout(ctx, time.Duration(n.cfg.ElectionTicks)*n.cfg.Tick)
			n.ready.Store(n.ReadBarrier(attempt) == nil)
			cancel()
		}
		m := n.members.Load()
		known, in := m.Members[self.ID]
		if in && known.Started && strings.TrimSuffix(known.PeerURL, "/") != strings.TrimSuffix(self.PeerURL, "/") {
			return fmt.Errorf("%w: the other members reach member %d at %s and not at %s; start it with --advertise-peer %s, or use another --data-dir",
				ErrDataDir, self.ID, known.PeerURL, self.PeerURL, known.PeerURL)
		}
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
func (n *Node[R]) publishOnce(ctx context.Context, self Member) {
	leader := n.view.Load().leader
	switch {
	case n.isSelf(leader):
		_ = n.publishAsLeader(ctx, self)
	case leader != raft.None:
		if b, err := json.Marshal(self); err == nil {
			_, _, _ = n.peers.tr.Forward(ctx, leader, append([]byte{forwardPublish}, b...))
		}
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
