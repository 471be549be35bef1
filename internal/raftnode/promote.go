package raftnode

import (
	"fmt"
	"slices"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/tracker"
	"go.uber.org/zap"
)

// look is what the leader saw of a learner at its last tick.
type look struct {
	commit uint64    // the commit index then
	since  time.Time // within reach at every look since; zero: not at the last
}

// inReach reports that a learner keeps up with the log: it has by now what was
// committed at the last look.
func (l *loop[R]) inReach(id uint64, pr tracker.Progress, commit uint64, now time.Time) bool {
	return pr.State == tracker.StateReplicate && pr.Match >= commit && l.answering([]uint64{id}, now) > 0
}

// lookAtLearners makes voters of learners that have kept up for an election
// timeout, if they are to be: of one at a time, since the next change has to
// wait until that one is applied.
func (l *loop[R]) lookAtLearners(now time.Time) {
	m, commit := l.n.members.Load(), l.n.commit.Load()
	var ready []Member
	l.rn.WithProgress(func(id uint64, typ raft.ProgressType, pr tracker.Progress) {
		if typ != raft.ProgressTypeLearner {
			return
		}
		was, seen := l.learners[id]
		next := look{commit: commit}
		if seen && l.inReach(id, pr, was.commit, now) {
			if next.since = was.since; next.since.IsZero() {
				next.since = now
			}
			if mb := m.Members[id]; (mb.AutoPromote || mb.Replaces != 0) && now.Sub(next.since) >= l.n.electionTimeout() {
				ready = append(ready, mb)
			}
		}
		l.learners[id] = next
	})
	for _, mb := range ready {
		if l.changePending() || l.advance(m, mb, now) {
			return
		}
	}
}

// advance makes a voter of a learner that has caught up, in its own right or in
// the place of another; false: not now.
func (l *loop[R]) advance(m *membership, mb Member, now time.Time) bool {
	if err := l.admit(m, mb, now); err != nil {
		l.n.lg.Debug("learner does not become a voter yet", zap.Uint64("member", mb.ID), zap.Error(err))
		return false
	}
	l.n.lg.Info("learner has caught up and becomes a voter", zap.Uint64("member", mb.ID), zap.Uint64("replaces", mb.Replaces))
	return true
}

func (l *loop[R]) admit(m *membership, mb Member, now time.Time) error {
	if _, there := m.Members[mb.Replaces]; there {
		v, err := m.swapRuling(mb)
		if err == nil {
			err = l.checkQuorum(m, v.after, mb.ID, now)
		}
		if err == nil {
			_, err = l.proposeChange(v)
		}
		return err
	}
	if l.weakens(m, mb.ID, now) {
		return fmt.Errorf("%w: fewer failures would be tolerated", ErrLearnerNotReady)
	}
	_, _, err := l.change(Change{Kind: ChangePromote, ID: mb.ID})
	return err
}

// weakens reports that fewer failures would be tolerated with one voter more.
func (l *loop[R]) weakens(m *membership, id uint64, now time.Time) bool {
	before := m.voters()
	after := append(slices.Clone(before), id)
	return tolerated(after, l.answering(after, now)) < tolerated(before, l.answering(before, now))
}

// checkReach refuses the promotion of a learner that does not keep up: until it
// did, it would count for the quorum and add nothing to it.
func (l *loop[R]) checkReach(id uint64, now time.Time) error {
	commit := l.n.commit.Load()
	target := commit
	if was, seen := l.learners[id]; seen {
		target = was.commit
	}
	pr := l.rn.Status().Progress[id]
	if l.inReach(id, pr, target, now) {
		return nil
	}
	if now.Sub(l.ledSince) < l.n.electionTimeout() {
		return errUnsettled // nothing is known of it but that it is there
	}
	silent := "was never heard"
	if t, ok := l.contact[id]; ok {
		silent = fmt.Sprintf("was heard %v ago", now.Sub(t).Round(time.Millisecond))
	}
	return fmt.Errorf("%w: member %d lacks %d of %d entries and %s",
		ErrLearnerNotReady, id, commit-min(pr.Match, commit), commit, silent)
}
