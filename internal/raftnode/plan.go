package raftnode

import (
	"context"
	"errors"
	"time"
)

// Plan is what a Change would come to. A failure is tolerated as long as those
// that answer are a majority without whoever fails.
type Plan struct {
	VotersBefore    []uint64 `json:"voters_before"`
	VotersAfter     []uint64 `json:"voters_after"`
	QuorumBefore    int      `json:"quorum_before"`
	QuorumAfter     int      `json:"quorum_after"`
	ToleratedBefore int      `json:"tolerated_before"`
	ToleratedAfter  int      `json:"tolerated_after"`
	// Refusal is why the change would be refused now; nil: it would not be.
	Refusal error `json:"-"`
}

// planReply is the leader's answer to a Change that is only planned.
type planReply struct {
	Plan    Plan        `json:"plan"`
	Refusal remoteError `json:"refusal,omitzero"`
	remoteError
}

// PlanChange says what a change would come to, as the leader judges it, and
// changes nothing. Errors: ErrNoLeader when ctx ends first, ErrStopped.
func (n *Node[R]) PlanChange(ctx context.Context, c Change) (Plan, error) {
	for {
		p, err := n.planOnce(ctx, c)
		if err == nil || errors.Is(err, ErrStopped) {
			return p, err
		}
		// Asking again does no harm, whatever became of the question.
		select {
		case <-time.After(n.cfg.Tick):
		case <-ctx.Done():
			return Plan{}, ErrNoLeader
		}
	}
}

func (n *Node[R]) planOnce(ctx context.Context, c Change) (Plan, error) {
	leader := n.view.Load().leader
	if n.isSelf(leader) {
		return n.planAsLeader(ctx, c)
	}
	var r planReply
	if sent, err := n.askPeer(ctx, leader, forwardPlan, c, &r); !sent || err != nil {
		return Plan{}, errors.Join(errNotLeader, err)
	}
	r.Plan.Refusal = r.Refusal.err()
	return r.Plan, r.err()
}

func (n *Node[R]) planAsLeader(ctx context.Context, c Change) (Plan, error) {
	return ask(ctx, n, func(l *loop[R]) (Plan, error) {
		if !l.leading() {
			return Plan{}, errNotLeader
		}
		return l.plan(c)
	})
}

func (l *loop[R]) plan(c Change) (Plan, error) {
	m, now := l.n.members.Load(), time.Now()
	v, refusal := l.judge(c)
	if errors.Is(refusal, errUnsettled) || l.settling(m.voters(), now) {
		return Plan{}, errUnsettled
	}
	before, after := m.voters(), v.after.voters()
	var newcomer uint64
	if c.Kind == ChangeReplace {
		newcomer = v.member.ID
	}
	return Plan{
		VotersBefore: before, VotersAfter: after,
		QuorumBefore: majority(before), QuorumAfter: majority(after),
		ToleratedBefore: tolerated(before, l.answering(before, now)),
		ToleratedAfter:  tolerated(after, l.answeringWith(after, newcomer, now)),
		Refusal:         refusal,
	}, nil
}
