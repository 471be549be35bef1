package test

import (
	"fmt"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// cluster is a set of members that know each other.
type cluster struct {
	t       testing.TB
	members []*member // by id: member 1 stands first
}

// newCluster prepares n founding members; args go to each. Nothing is started.
func newCluster(t testing.TB, n int, args ...string) *cluster {
	t.Helper()
	c := &cluster{t: t}
	var list []string
	for i := range n {
		m := newMember(t, uint64(i+1))
		c.members = append(c.members, m)
		list = append(list, fmt.Sprintf("%d=%s", m.id, m.peerURL))
	}
	all := []string{"--cluster", strings.Join(list, ",")}
	if n == 1 {
		all = append(all, "--tick", "20ms") // it elects itself: the sooner, the shorter the test
	}
	for _, m := range c.members {
		m.args = append(slices.Clone(all), args...)
	}
	return c
}

// startCluster starts n founding members and waits until all are ready.
func startCluster(t testing.TB, n int, args ...string) *cluster {
	t.Helper()
	c := newCluster(t, n, args...)
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	return c
}

func (c *cluster) waitReady() {
	c.t.Helper()
	for _, m := range c.members {
		m.waitReady(30 * time.Second)
	}
}

// join prepares a member that enters the cluster through another one.
func (c *cluster) join(id uint64, through *member, args ...string) *member {
	c.t.Helper()
	m := newMember(c.t, id, append([]string{"--join", through.clientURL}, args...)...)
	c.members = append(c.members, m)
	return m
}

// leader waits until every running member names the same leader, and returns it.
func (c *cluster) leader() *member {
	c.t.Helper()
	var l *member
	err := poll(20*time.Second, func() (err error) {
		l, err = c.findLeader(c.members)
		return err
	})
	if err != nil {
		// Whoever has to find out why wants to know what each goroutine does.
		for _, m := range c.members {
			if p := m.process(); p != nil && p.running() {
				p.signal(syscall.SIGQUIT)
				p.exitCode(10 * time.Second)
			}
		}
		c.t.Fatalf("no leader that all agree on: %v", err)
	}
	return l
}

// findLeader asks the given members once.
func (c *cluster) findLeader(among []*member) (*member, error) {
	var id, term uint64
	for _, m := range among {
		if m.process() == nil || !m.process().running() {
			continue
		}
		s, err := m.status()
		switch {
		case err != nil:
			return nil, err
		case s.Leader == 0:
			return nil, fmt.Errorf("%s knows no leader", m.name())
		case id == 0:
			id, term = s.Leader, s.Term
		case s.Leader != id || s.Term != term:
			return nil, fmt.Errorf("%s says %d leads term %d, another says %d in %d", m.name(), s.Leader, s.Term, id, term)
		}
	}
	i := slices.IndexFunc(c.members, func(m *member) bool { return m.id == id })
	if i < 0 {
		return nil, fmt.Errorf("nobody is member %d", id)
	}
	return c.members[i], nil
}

// followers are all members but the leader.
func (c *cluster) followers(leader *member) []*member {
	return slices.DeleteFunc(slices.Clone(c.members), func(m *member) bool { return m == leader })
}

// waitApplied waits until every member has applied what the leader has
// committed by now.
func (c *cluster) waitApplied(limit time.Duration) {
	c.t.Helper()
	goal := c.leader().mustStatus().CommitIndex
	for _, m := range c.members {
		waitFor(c.t, limit, m.name()+" catches up", func() error {
			s, err := m.status()
			if err == nil && s.AppliedIndex < goal {
				err = fmt.Errorf("applied %d, want %d", s.AppliedIndex, goal)
			}
			return err
		})
	}
}
