package clustertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"kvd/internal/raftnode"
)

// TestChangeLostWithItsLeader: a leader that dies between a proposal and its
// commit. Whoever asked hears in time that the outcome is unknown, and that it
// was not applied only when it was not.
func TestChangeLostWithItsLeader(t *testing.T) {
	configured(t, 1, 5, raftnode.Config{}, func(t *testing.T, c *Cluster, leader *Member) {
		via := c.follower(leader)
		time.Sleep(2 * time.Second) // all have published themselves and know the leader
		for _, m := range c.Members() {
			if m != leader && m != via { // no majority acknowledges anything
				c.Net.SetLink(m.ID, leader.ID, Link{Cut: true})
			}
		}
		type outcome struct {
			err  error
			took time.Duration
		}
		ask := func(m *Member, id uint64, limit time.Duration) chan outcome {
			out, begin := make(chan outcome, 1), time.Now()
			go func() {
				_, err := m.Node().AddMember(within(t, limit), raftnode.Member{ID: id, PeerURL: peerURL(id)})
				out <- outcome{err, time.Since(begin)}
			}()
			return out
		}
		asked := ask(via, 7, 20*time.Second)
		time.Sleep(50 * time.Millisecond)
		if last := status(t, leader); last.LastIndex == last.Commit {
			t.Fatal("nothing is proposed and not committed")
		}
		leader.Crash()
		if got := <-asked; !errors.Is(got.err, raftnode.ErrOutcomeUnknown) || got.took > time.Second {
			t.Errorf("asked of another: %v after %v", got.err, got.took)
		}
		c.Net.Heal()
		leader.Start()
		next, err := c.WaitLeader(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		// A leader that lives on, cut off: another entry takes the place of the
		// change, which proves it lost, and it is made again by the next leader.
		put(t, next, "k", "v")
		var ids []uint64
		for _, m := range c.Members() {
			ids = append(ids, m.ID)
		}
		c.Net.Isolate(next.ID, ids...)
		asked = ask(next, 8, 20*time.Second)
		time.Sleep(10 * time.Millisecond)
		p, err := next.Node().PlanChange(within(t, 100*time.Millisecond), raftnode.Change{Kind: raftnode.ChangeRemove, ID: via.ID})
		if err != nil || !errors.Is(p.Refusal, raftnode.ErrConfigChangePending) {
			t.Errorf("the dry run of a second one: %+v, %v", p, err)
		}
		if got := <-ask(next, 9, 500*time.Millisecond); !errors.Is(got.err, raftnode.ErrConfigChangePending) || got.took > 500*time.Millisecond {
			t.Errorf("a second one with a short deadline: %v after %v", got.err, got.took)
		}
		time.Sleep(4 * time.Second)
		put(t, c.follower(next), "k", "w")
		c.Net.Heal()
		got := <-asked
		if got.err != nil {
			t.Errorf("lost to another entry: %v after %v", got.err, got.took)
		}
		eventually(t, "the member that was added", func() bool {
			return slices.ContainsFunc(next.Node().Members(), func(mb raftnode.Member) bool { return mb.ID == 8 })
		})
		// No leader at all: surely not applied, at the deadline.
		for _, m := range c.Members() {
			if m != via {
				m.Crash()
			}
		}
		time.Sleep(5 * time.Second)
		if got := <-ask(via, 10, 2*time.Second); !errors.Is(got.err, raftnode.ErrNoLeader) || got.took > 2*time.Second {
			t.Errorf("without a leader: %v after %v", got.err, got.took)
		}
	})
}
