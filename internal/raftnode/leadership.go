package raftnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// transferRequest asks the leader to hand leadership on.
type transferRequest struct {
	To uint64 `json:"to"` // 0: to whom it likes
}

// TransferLeadership hands leadership to a voter, or with 0 to the one besides
// the leader that has most of the log and answers, and returns when this
// member sees that it leads. Any member may be asked. Errors: ErrNotVoter, and
// ErrNoLeader when nobody can take over or ctx ends first.
func (n *Node[R]) TransferLeadership(ctx context.Context, to uint64) error {
	var from uint64 // who led when this was asked
	for {
		leader := n.view.Load().leader
		if age, heard := n.Staleness(); !heard || age > 2*n.electionTimeout() {
			leader = raft.None // a learner never gives up a leader that is gone
		}
		pause := n.cfg.Tick
		switch {
		case leader == raft.None:
		case leader == to, to == raft.None && from != raft.None && leader != from:
			return nil
		default:
			from = leader
			if err := n.transferOnce(ctx, leader, to); err != nil {
				return err
			}
			if n.isSelf(leader) {
				pause /= 4 // asking costs nothing
			}
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("%w took over in time", ErrNoLeader)
		}
	}
}

// transferOnce asks the leader. What it may have missed is no error: again and
// again is the same as once.
func (n *Node[R]) transferOnce(ctx context.Context, leader, to uint64) error {
	var err error
	if n.isSelf(leader) {
		err = n.transferAsLeader(ctx, to)
	} else {
		var r remoteError
		if sent, lost := n.askPeer(ctx, leader, forwardTransfer, transferRequest{to}, &r); !sent || lost != nil {
			return nil
		}
		err = r.err()
	}
	if errors.Is(err, ErrNotVoter) || errors.Is(err, ErrNoLeader) || errors.Is(err, ErrStopped) {
		return err
	}
	return nil
}

func (n *Node[R]) transferAsLeader(ctx context.Context, to uint64) error {
	_, err := ask(ctx, n, func(l *loop[R]) (struct{}, error) { return struct{}{}, l.transferTo(to) })
	return err
}

func (l *loop[R]) transferTo(to uint64) error {
	m, now := l.n.members.Load(), time.Now()
	switch {
	case !l.leading():
		return errNotLeader
	case l.n.isSelf(to):
		return nil
	case to == raft.None:
		if l.transfer() != raft.None {
			return nil
		}
	case !m.isVoter(to):
		return fmt.Errorf("%w: %d", ErrNotVoter, to)
	case l.answering([]uint64{to}, now) > 0:
		if l.rn.BasicStatus().LeadTransferee != to {
			l.rn.TransferLeader(to)
		}
		return nil
	}
	if l.settling(m.voters(), now) {
		return errUnsettled
	}
	if to == raft.None {
		return fmt.Errorf("%w can take over: no other voter that is fit to lead answers", ErrNoLeader)
	}
	return fmt.Errorf("%w can take over: member %d does not answer", ErrNoLeader, to)
}

// transfer asks raft to hand leadership to the voter that has most of the log,
// answers and is fit to lead, and returns which; again and again is the same as once.
func (l *loop[R]) transfer() uint64 {
	now := time.Now()
	to := l.successor(func(id uint64) bool { return l.answering([]uint64{id}, now) > 0 && l.n.health.fitToLead(id, now) })
	l.startTransfer(to)
	return to
}

// transferAway hands leadership to whoever may take it, rather than keep it.
func (l *loop[R]) transferAway() {
	if l.transfer() == raft.None {
		l.startTransfer(l.successor(func(uint64) bool { return true }))
	}
}

func (l *loop[R]) startTransfer(to uint64) {
	if to != raft.None && l.rn.BasicStatus().LeadTransferee == raft.None {
		l.rn.TransferLeader(to)
	}
}

// withdrawTransfer makes raft take proposals again at once, and not after an election
// timeout: that is what a transfer from the leader to itself does.
func (l *loop[R]) withdrawTransfer() {
	if l.leading() && l.rn.BasicStatus().LeadTransferee != raft.None {
		l.rn.TransferLeader(l.n.cfg.Member)
	}
}

// successor is the voter besides this one that has most of the log, among those
// that suit.
func (l *loop[R]) successor(suits func(id uint64) bool) (to uint64) {
	m, match := l.n.members.Load(), uint64(0)
	l.rn.WithProgress(func(id uint64, _ raft.ProgressType, pr tracker.Progress) {
		if !l.n.isSelf(id) && m.isVoter(id) && (to == raft.None || pr.Match > match) && suits(id) {
			to, match = id, pr.Match
		}
	})
	return to
}
