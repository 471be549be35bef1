package raftnode

import (
	"context"
	"errors"
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
		} else {
			st.Voters = append(st.Voters, mb.ID)
		}
	}
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

// Ready returns nil when this member serves: it knows a leader, and has since
// its start caught up with what was acknowledged before.
func (n *Node[R]) Ready() error {
	if n.view.Load().leader == raft.None {
		return ErrNoLeader
	}
	if !n.ready.Load() {
		return errors.New("catching up with the leader")
	}
	return nil
}

// TransferLeadership hands leadership to the voter that has most of the log
// and answers, and returns when another member leads, or at once if this one
// does not. Errors: ErrNoLeader when nobody can take over, or ctx ends first.
func (n *Node[R]) TransferLeadership(ctx context.Context) error {
	asked := false
	for {
		v := n.view.Load()
		if !n.isSelf(v.leader) && (v.leader != raft.None || !asked) {
			return nil
		}
		if n.isSelf(v.leader) {
			to, err := ask(ctx, n, func(l *loop[R]) (uint64, error) { return l.transfer(), nil })
			if err != nil {
				return err
			}
			if to == raft.None {
				if len(n.members.Load().voters()) == 1 {
					return nil // nobody else is there to miss a leader
				}
				return ErrNoLeader
			}
			asked = true
		}
		select {
		case <-time.After(n.cfg.Tick / 4):
		case <-ctx.Done():
			return ErrNoLeader
		}
	}
}

// transfer asks raft to hand leadership on; again and again is the same as once.
func (l *loop[R]) transfer() uint64 {
	var to, match uint64
	now := time.Now()
	l.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		if typ == raft.ProgressTypePeer && !l.n.isSelf(id) && pr.Match >= match && l.answering([]uint64{id}, now) > 0 {
			to, match = id, pr.Match
		}
	})
	if to != raft.None && l.rn.BasicStatus().LeadTransferee == raft.None {
		l.rn.TransferLeader(to)
	}
	return to
}
