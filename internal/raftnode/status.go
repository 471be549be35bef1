package raftnode

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
)

// Status is what a member knows of itself and, while it leads, of the others.
// It needs no quorum.
type Status struct {
	ID, ClusterID, Term, Leader                           uint64
	Name                                                  string
	Role                                                  string // leader, follower, candidate or learner
	Commit, Applied, FirstIndex, LastIndex, SnapshotIndex uint64
	Clock                                                 time.Duration // the log's
	Voters, Learners                                      []uint64
	VotersOutgoing                                        []uint64            // while in a joint configuration: the voters before
	Progress                                              map[uint64]Progress // on the leader
}

// Progress is how far the leader has brought another member.
type Progress struct {
	Match, Next  uint64
	State        string // probe, replicate or snapshot
	RecentActive bool
	Learner      bool
	LastContact  time.Duration // since a message came from it; negative: never
}

// Status tells the state of this member.
func (n *Node[R]) Status(ctx context.Context) (Status, error) {
	return ask(ctx, n, func(l *loop[R]) (Status, error) { return l.status(), nil })
}

func (l *loop[R]) status() Status {
	n, s := l.n, l.rn.Status()
	first, _ := n.mem.FirstIndex()
	st := Status{
		ID: n.cfg.Member, ClusterID: n.cfg.Cluster, Name: n.cfg.Name,
		Term: s.GetTerm(), Leader: s.Lead, Role: "follower",
		Commit: s.GetCommit(), Applied: n.applied.index.Load(),
		FirstIndex: first, LastIndex: l.lastIndex, SnapshotIndex: n.snapshotIndex.Load(),
		Clock: n.clock.now(),
	}
	m := n.members.Load()
	for _, mb := range m.sorted() {
		if mb.Learner {
			st.Learners = append(st.Learners, mb.ID)
		}
	}
	st.Voters, st.VotersOutgoing = m.voters(), m.Outgoing
	switch s.RaftState {
	case raft.StateLeader:
		st.Role = "leader"
	case raft.StateCandidate, raft.StatePreCandidate:
		st.Role = "candidate"
	default:
		if m.Members[st.ID].Learner {
			st.Role = "learner"
		}
	}
	if len(s.Progress) > 0 {
		st.Progress = make(map[uint64]Progress, len(s.Progress))
	}
	now := time.Now()
	for id, pr := range s.Progress {
		p := Progress{Match: pr.Match, Next: pr.Next, RecentActive: pr.RecentActive, Learner: pr.IsLearner, LastContact: -1}
		switch pr.State {
		case tracker.StateProbe:
			p.State = "probe"
		case tracker.StateReplicate:
			p.State = "replicate"
		case tracker.StateSnapshot:
			p.State = "snapshot"
		}
		if n.isSelf(id) {
			p.LastContact = 0
		} else if t, ok := l.contact[id]; ok {
			p.LastContact = now.Sub(t)
		}
		st.Progress[id] = p
	}
	return st
}

// Members lists the members as applied here, by id. After a ReadBarrier that
// is the membership of the cluster.
func (n *Node[R]) Members() []Member { return n.members.Load().sorted() }

// Leads reports whether this member believes to be the leader.
func (n *Node[R]) Leads() bool { return n.isSelf(n.view.Load().leader) }

// Clock is the log's clock now, as this member reckons it: what it would stamp
// an entry with if it led. It runs on while nothing is written.
func (n *Node[R]) Clock() time.Duration { return n.clock.now() }

// Staleness is the time since this member last heard from a leader, or, as
// the leader, from a majority; false: never.
func (n *Node[R]) Staleness() (time.Duration, bool) {
	at := n.lastContact.Load()
	if at == 0 {
		return 0, false
	}
	return max(0, time.Since(n.born)-time.Duration(at-1)), true
}

// Ready returns nil when this member serves: its disk answers, it knows a leader,
// and has since its start caught up with what was acknowledged before. Whether what
// it holds may be shown is another question: see Diverged.
func (n *Node[R]) Ready() error {
	if d, stalled := n.diskStall(); stalled {
		return fmt.Errorf("disk has not answered for %v", d.Round(100*time.Millisecond))
	}
	if n.view.Load().leader == raft.None {
		return ErrNoLeader
	}
	if !n.ready.Load() {
		return errors.New("catching up with the leader")
	}
	return nil
}
