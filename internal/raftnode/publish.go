package raftnode

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"go.etcd.io/raft/v3"
	"go.uber.org/zap"
)

// publish makes the membership say what this member is called and where it is
// found, and notes the first linearizable read: from then on it is ready.
func (n *Node[R]) publish(ctx context.Context) error {
	self := Member{ID: n.cfg.Member, Name: n.cfg.Name, PeerURL: n.cfg.PeerURL, ClientURL: n.cfg.ClientURL}
	pause := time.NewTicker(max(n.cfg.Tick, 10*time.Millisecond))
	defer pause.Stop()
	refused := false
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
		published := in && m.publish(self) == m && m.checkAddress(self) == nil
		if published && n.ready.Load() {
			return nil
		}
		if in && !published {
			attempt, cancel := context.WithTimeout(ctx, time.Duration(n.cfg.ElectionTicks)*n.cfg.Tick)
			err := n.publishOnce(attempt, self)
			cancel()
			if !refused && errors.Is(err, ErrMemberExists) {
				// Nobody asked for it here who could be told. It may come free.
				refused = true
				pause.Reset(n.electionTimeout())
				n.lg.Warn("the others do not send to this member's peer URL, which is another's; start one of the two with an --advertise-peer of its own", zap.Error(err))
			}
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
func (n *Node[R]) publishOnce(ctx context.Context, self Member) error {
	if leader := n.view.Load().leader; n.isSelf(leader) {
		return n.publishAsLeader(ctx, self)
	} else if leader != raft.None {
		return n.publishThrough(ctx, leader, self)
	}
	var wg sync.WaitGroup
	members := n.Members()
	errs := make([]error, len(members))
	for i, mb := range members {
		if !n.isSelf(mb.ID) {
			wg.Go(func() { errs[i] = n.publishThrough(ctx, mb.ID, self) })
		}
	}
	wg.Wait()
	return errors.Join(errs...)
}

func (n *Node[R]) publishThrough(ctx context.Context, to uint64, self Member) error {
	var r remoteError
	if _, err := n.askPeer(ctx, to, forwardPublish, self, &r); err != nil {
		return err
	}
	return r.err()
}

// publishAsLeader proposes the entry. A peer URL that is another's is refused
// here with ErrMemberExists, as for every other change of an address: the entry
// would leave the member where it was, and be asked for again and again.
func (n *Node[R]) publishAsLeader(ctx context.Context, mb Member) error {
	if err := checkURL(mb.PeerURL); err != nil {
		return err
	}
	b, err := json.Marshal(mb)
	if err != nil {
		return err
	}
	_, err = ask(ctx, n, func(l *loop[R]) (struct{}, error) {
		if !l.knowsClock() {
			return struct{}{}, errNotLeader // not yet, or not at all: it is asked again
		}
		if err := n.members.Load().checkAddress(mb); err != nil {
			return struct{}{}, err
		}
		h := entryHeader{kind: kindMember, id: l.nextID(), clock: n.clock.now()}
		return struct{}{}, l.rn.Propose(append(h.append(nil), b...))
	})
	return err
}
