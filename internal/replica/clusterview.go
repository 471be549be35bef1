package replica

import (
	"cmp"
	"context"
	"slices"
	"time"

	"kvd/internal/httpapi"
	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// clusterView is what the API knows of the cluster, over a raft node: the
// httpapi.Cluster here, the Membership and Leadership of adminview.go, and the
// Snapshots, Verifier and Guard of stateview.go.
type clusterView struct {
	space           *DiskSpace
	node            *raftnode.Node[kvstore.Result]
	who             raftnode.Identity
	electionTimeout time.Duration
	born            time.Time // of this process
}

// statusPatience bounds the wait for a node that is starting or stopping: the
// status of a member is told in every state.
const statusPatience = time.Second

// Members implements httpapi.Cluster.
func (v clusterView) Members(ctx context.Context) ([]httpapi.Member, error) {
	if err := (raftLog{v.node}).ReadBarrier(ctx); err != nil {
		return nil, err
	}
	known, st := v.node.Members(), v.status()
	members := make([]httpapi.Member, len(known))
	for i, m := range known {
		members[i] = v.member(m, st)
	}
	return members, nil
}

// AddMember implements httpapi.Cluster.
func (v clusterView) AddMember(ctx context.Context, m httpapi.NewMember) (httpapi.Member, error) {
	return v.shown(v.node.AddMember(ctx, newMemberOf(m)))
}

// RemoveMember implements httpapi.Cluster.
func (v clusterView) RemoveMember(ctx context.Context, id uint64, force bool) error {
	return translate(v.node.RemoveMember(ctx, id, force))
}

// LogClock implements httpapi.Cluster.
func (v clusterView) LogClock() time.Duration { return v.node.Clock() }

// Status implements httpapi.Cluster.
func (v clusterView) Status() httpapi.Status {
	st := v.status()
	progress := make([]httpapi.Progress, 0, len(st.Progress))
	for id, p := range st.Progress {
		if id == st.ID {
			continue
		}
		progress = append(progress, httpapi.Progress{
			ID: id, Match: p.Match, Next: p.Next, State: p.State,
			RecentActive: p.RecentActive, Learner: p.Learner, LastContact: httpapi.Duration(v.since(p.LastContact)),
		})
	}
	slices.SortFunc(progress, func(a, b httpapi.Progress) int { return cmp.Compare(a.ID, b.ID) })
	return httpapi.Status{
		ID: st.ID, Name: st.Name, ClusterID: httpapi.ClusterID(st.ClusterID),
		Term: st.Term, Leader: st.Leader, Role: st.Role,
		Commit: st.Commit, Applied: st.Applied,
		FirstIndex: st.FirstIndex, LastIndex: st.LastIndex, SnapshotIndex: st.SnapshotIndex,
		Clock:  httpapi.Duration(st.Clock),
		Voters: nonNil(st.Voters), Learners: nonNil(st.Learners), Progress: progress,
	}
}

// Staleness implements httpapi.Cluster.
func (v clusterView) Staleness() (time.Duration, bool) { return v.node.Staleness() }

// Ready implements httpapi.Cluster.
func (v clusterView) Ready() error { return v.node.Ready() }

// status is the node's, or no more than who it is when the node cannot be asked.
func (v clusterView) status() raftnode.Status {
	ctx, cancel := context.WithTimeout(context.Background(), statusPatience)
	defer cancel()
	st, err := v.node.Status(ctx)
	if err != nil {
		return raftnode.Status{ID: v.who.Member, ClusterID: v.who.Cluster, Name: v.who.Name, Role: "follower"}
	}
	return st
}

// member is m as the API shows it. How far the members have come is known
// where the leader is, and only there.
func (v clusterView) member(m raftnode.Member, st raftnode.Status) httpapi.Member {
	shown := httpapi.Member{
		ID: m.ID, Name: m.Name, PeerURL: m.PeerURL, ClientURL: m.ClientURL,
		Role: httpapi.RoleVoter, AutoPromote: m.Learner && m.AutoPromote, Replaces: m.Replaces, Started: m.Started,
	}
	switch {
	case m.Learner:
		shown.Role = httpapi.RoleLearner
	case m.ID == st.Leader:
		shown.Role = httpapi.RoleLeader
	}
	if st.ID != st.Leader {
		return shown
	}
	if m.ID == st.ID {
		shown.Replication = &httpapi.Replication{Match: st.LastIndex, Healthy: true}
	} else if p, ok := st.Progress[m.ID]; ok {
		since := v.since(p.LastContact)
		shown.Replication = &httpapi.Replication{
			Match: p.Match, Lag: st.LastIndex - min(p.Match, st.LastIndex),
			LastContact: httpapi.Duration(since), Healthy: since < v.electionTimeout,
		}
	}
	return shown
}

// since is the time since a member was last heard. One that this process has
// never heard (a negative time) was silent for at least as long as it lives.
func (v clusterView) since(lastContact time.Duration) time.Duration {
	if lastContact < 0 {
		return time.Since(v.born)
	}
	return lastContact
}

// nonNil makes an empty list one that JSON shows as [].
func nonNil(ids []uint64) []uint64 {
	if ids == nil {
		return []uint64{}
	}
	return ids
}
