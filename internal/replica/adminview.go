package replica

import (
	"context"

	"kvd/internal/httpapi"
	"kvd/internal/raftnode"
)

// PlanChange implements httpapi.Membership.
func (v clusterView) PlanChange(ctx context.Context, c httpapi.Change) (httpapi.Plan, error) {
	p, err := v.node.PlanChange(ctx, raftnode.Change{
		Kind: changeKinds[c.Kind], ID: c.ID, Member: newMemberOf(c.Member), Update: raftnode.MemberUpdate(c.Update), Force: c.Force,
	})
	if err != nil {
		return httpapi.Plan{}, translate(err)
	}
	return httpapi.Plan{
		VotersBefore: p.VotersBefore, VotersAfter: p.VotersAfter,
		QuorumBefore: p.QuorumBefore, QuorumAfter: p.QuorumAfter,
		ToleratedBefore: p.ToleratedBefore, ToleratedAfter: p.ToleratedAfter,
		Refusal: translate(p.Refusal),
	}, nil
}

var changeKinds = map[httpapi.ChangeKind]raftnode.ChangeKind{
	httpapi.ChangeAdd:     raftnode.ChangeAdd,
	httpapi.ChangeRemove:  raftnode.ChangeRemove,
	httpapi.ChangePromote: raftnode.ChangePromote,
	httpapi.ChangeUpdate:  raftnode.ChangeUpdate,
	httpapi.ChangeReplace: raftnode.ChangeReplace,
}

func newMemberOf(m httpapi.NewMember) raftnode.Member {
	return raftnode.Member{ID: m.ID, Name: m.Name, PeerURL: m.PeerURL, ClientURL: m.ClientURL, AutoPromote: m.AutoPromote}
}

// PromoteMember implements httpapi.Membership.
func (v clusterView) PromoteMember(ctx context.Context, id uint64) (httpapi.Member, error) {
	return v.shown(v.node.PromoteMember(ctx, id))
}

// UpdateMember implements httpapi.Membership.
func (v clusterView) UpdateMember(ctx context.Context, id uint64, u httpapi.MemberUpdate) (httpapi.Member, error) {
	return v.shown(v.node.UpdateMember(ctx, id, raftnode.MemberUpdate(u)))
}

// ReplaceMember implements httpapi.Membership.
func (v clusterView) ReplaceMember(ctx context.Context, remove uint64, add httpapi.NewMember) (httpapi.Member, bool, error) {
	m, done, err := v.node.ReplaceMember(ctx, remove, newMemberOf(add))
	shown, err := v.shown(m, err)
	return shown, done, err
}

// shown is a member that a change has returned, as the API shows it.
func (v clusterView) shown(m raftnode.Member, err error) (httpapi.Member, error) {
	if err != nil {
		return httpapi.Member{}, translate(err)
	}
	return v.member(m, v.status()), nil
}

// Leader implements httpapi.Leadership.
func (v clusterView) Leader() (httpapi.Leader, bool) {
	st := v.status()
	if st.Leader == 0 {
		return httpapi.Leader{}, false
	}
	l := httpapi.Leader{ID: st.Leader, Term: st.Term}
	for _, m := range v.node.Members() {
		if m.ID == st.Leader {
			l.ClientURL = m.ClientURL
		}
	}
	return l, true
}

// TransferLeadership implements httpapi.Leadership.
func (v clusterView) TransferLeadership(ctx context.Context, to uint64) (httpapi.Leader, error) {
	if err := v.node.TransferLeadership(ctx, to); err != nil {
		return httpapi.Leader{}, translate(err)
	}
	l, known := v.Leader()
	if !known {
		return l, translate(raftnode.ErrNoLeader)
	}
	return l, nil
}
