package raftnode

import (
	"context"
	"encoding/json"
	"time"

	"go.etcd.io/raft/v3"
	"go.uber.org/zap"
)

// guard is a goroutine: it keeps the comparison of states going, and gets a
// member out of a state that differs.
func (n *Node[R]) guard(ctx context.Context) error {
	tick := time.NewTicker(max(n.cfg.Tick, 10*time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.verifier.wake:
		}
		v := *n.view.Load()
		switch {
		case v.leader == raft.None:
			continue
		case n.isSelf(v.leader):
			n.guardAsLeader(ctx, v.term)
		default:
			n.report(ctx, v)
		}
		n.recoverState(ctx, v)
	}
}

// guardAsLeader begins a check when it is time for one, and ends it when all has
// been said.
func (n *Node[R]) guardAsLeader(ctx context.Context, term uint64) {
	v, now := &n.verifier, time.Now()
	if v.lead.term != term {
		v.lead.term, v.lead.since = term, now
	}
	every := n.cfg.VerifyEvery
	if n.Diverged() != nil {
		// Nobody can take over, or the log told of an earlier life: it may be well.
		every = min(every, reseedRetry)
	}
	v.mu.Lock()
	begin := every > 0 && now.Sub(v.checked) >= every
	v.mu.Unlock()
	attempt, cancel := context.WithTimeout(ctx, n.electionTimeout())
	defer cancel()
	if begin {
		if _, err := n.checkAsLeader(attempt); err != nil {
			n.lg.Debug("check of states not proposed", zap.Error(err))
			v.mu.Lock()
			v.checked = now.Add(n.electionTimeout() - every)
			v.mu.Unlock()
		}
	}
	if now.Before(v.again) {
		return
	}
	d, due := n.due(now, func(ids []uint64) bool {
		count, err := ask(attempt, n, func(l *loop[R]) (int, error) { return l.answering(ids, time.Now()), nil })
		return err != nil || count > 0
	})
	if !due {
		return
	}
	v.again = now.Add(n.electionTimeout())
	if _, err := n.proposeOwn(attempt, kindVerdict, d); err != nil {
		n.lg.Debug("verdict on states not proposed", zap.Error(err))
	}
}

// report tells the leader the hash of this member's state, as long as there is
// no verdict on it. A leader that was told is told again only by another. A leader
// itself tells nobody: due knows.
func (n *Node[R]) report(ctx context.Context, to view) {
	v := &n.verifier
	v.mu.Lock()
	s := v.scan
	if s == nil || !s.done || v.last != nil && s.index <= v.last.Index {
		v.mu.Unlock()
		return
	}
	r := s.report()
	v.mu.Unlock()
	told := v.reported
	told.index, told.to, told.term = r.Index, to.leader, to.term
	if told == v.reported {
		return
	}
	if n.tell(ctx, to.leader, forwardReport, r) == nil {
		v.reported = told
	}
}

// tell sends a request that has no answer but that it was taken.
func (n *Node[R]) tell(ctx context.Context, to uint64, kind byte, what any) error {
	b, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, n.electionTimeout())
	defer cancel()
	_, _, err = n.peers.tr.Forward(ctx, to, append([]byte{kind}, b...))
	return err
}

// recoverState gets a member whose state differs out of the lead, and then asks
// whoever leads for its state.
func (n *Node[R]) recoverState(ctx context.Context, to view) {
	now := time.Now()
	if n.Diverged() == nil || now.Before(n.verifier.reseedAt) || n.verifier.taking.Load() {
		return
	}
	if n.isSelf(to.leader) {
		n.handOver(ctx)
		n.verifier.reseedAt = time.Now().Add(n.electionTimeout() / 2)
		return
	}
	n.verifier.reseedAt = now.Add(reseedRetry)
	if err := n.tell(ctx, to.leader, forwardReseed, reseedRequest{Boot: n.boot}); err != nil {
		n.lg.Info("the leader does not give its state yet", zap.Uint64("leader", to.leader), zap.Error(err))
		n.verifier.reseedAt = now.Add(n.electionTimeout())
	}
}

// handOver tries for an election timeout to get rid of leadership. raft takes no
// proposals while a transfer is pending, and so no check and no verdict, which are what
// can clear a member that is sound. What has come to nothing is withdrawn therefore.
func (n *Node[R]) handOver(ctx context.Context) {
	attempt, cancel := context.WithTimeout(ctx, n.electionTimeout())
	defer cancel()
	if err := n.TransferLeadership(attempt, raft.None); err != nil {
		n.lg.Warn("leadership not handed over", zap.Error(err))
		n.do(func(l *loop[R]) { l.withdrawTransfer() })
	}
}
