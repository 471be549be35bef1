package clustertest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kvd/internal/raftnode"
)

// TestReplace: a new member takes the place of a voter, of the leader, and of
// the only voter there is, under writes, in one step.
func TestReplace(t *testing.T) {
	for _, tt := range []struct {
		name   string
		size   int
		leader bool
	}{{"a follower", 3, false}, {"the leader", 3, true}, {"the only voter", 1, true}, {"the leader of two", 2, true}} {
		t.Run(tt.name, func(t *testing.T) {
			s := newScenes()
			configured(t, 1, tt.size, raftnode.Config{SnapshotEntries: 50, CatchUpEntries: 5, Logger: s.logger()}, func(t *testing.T, c *Cluster, leader *Member) {
				for i := range 100 { // so that the newcomer needs a snapshot
					put(t, leader, fmt.Sprint("fill", i), "x")
				}
				old, newID := leader, uint64(tt.size+1)
				if !tt.leader {
					old = c.follower(leader)
				}
				via := leader
				if tt.size > 1 {
					via = c.follower(old)
				}
				newcomer := c.Member(newID)
				var mu sync.Mutex
				var entered, ended uint64 // the term in which the joint configuration was, first on any member
				s.on("membership changed", func(fields map[string]any) {
					st := status(t, c.Member(fields["member"].(uint64)))
					mu.Lock()
					defer mu.Unlock()
					if len(st.VotersOutgoing) > 0 {
						entered = cmp.Or(entered, st.Term)
					} else if entered != 0 {
						ended = cmp.Or(ended, st.Term)
					}
				})
				w := c.StartClients(3, 4)
				time.AfterFunc(100*time.Millisecond, newcomer.Start)
				mb, done, err := via.Node().ReplaceMember(within(t, 20*time.Second), old.ID, raftnode.Member{PeerURL: peerURL(newID)})
				if err != nil || !done || mb.ID != newID || mb.Learner || mb.Replaces != 0 {
					t.Fatalf("replaced: %+v, %v, %v", mb, done, err)
				}
				mu.Lock()
				if tt.leader && ended <= entered {
					t.Errorf("left in term %d, entered in term %d: a leader that is out must not be the one to end it", ended, entered)
				}
				mu.Unlock()
				removed(t, old)
				if err := old.Crash(); !errors.Is(err, raftnode.ErrRemoved) {
					t.Errorf("the old member ended with %v", err)
				}
				_, good, unknown := w.Stop()
				var voters []uint64
				var left []*Member
				for _, m := range c.Members() {
					if m != old {
						voters, left = append(voters, m.ID), append(left, m)
					}
				}
				config(t, voters, left...)
				if got := get(t, newcomer, "fill99"); got != "x" {
					t.Errorf("the newcomer reads %q", got)
				}
				if good < 20 {
					t.Errorf("%d operations were answered, %d unknown", good, unknown)
				}
				// The same request again finds it done.
				mb, done, err = newcomer.Node().ReplaceMember(within(t, 10*time.Second), old.ID, raftnode.Member{PeerURL: peerURL(newID)})
				if err != nil || !done || mb.ID != newID {
					t.Errorf("again: %+v, %v, %v", mb, done, err)
				}
			})
		})
	}
}

// TestReplaceGoesOnByItself: whoever asked may be gone when the newcomer comes.
func TestReplaceGoesOnByItself(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		var down, up *Member
		for _, m := range c.Members() {
			switch {
			case m == leader:
			case down == nil:
				down = m
			default:
				up = m
			}
		}
		down.Crash()
		newcomer := raftnode.Member{PeerURL: peerURL(4)}
		for range 2 {
			mb, done, err := up.Node().ReplaceMember(within(t, 3*time.Second), down.ID, newcomer)
			if err != nil || done || mb.ID != 4 || !mb.Learner || mb.Replaces != down.ID {
				t.Errorf("before the newcomer runs: %+v, %v, %v", mb, done, err)
			}
		}
		ctx := within(t, 30*time.Second)
		if _, _, err := up.Node().ReplaceMember(ctx, down.ID, raftnode.Member{PeerURL: peerURL(5)}); !errors.Is(err, raftnode.ErrConfigChangePending) {
			t.Errorf("a second newcomer for the same place: %v", err)
		}
		if _, err := up.Node().PromoteMember(ctx, 4); !errors.Is(err, raftnode.ErrConfigChangePending) {
			t.Errorf("promotion of the newcomer: %v", err)
		}
		c.Member(4).Start()
		mb, done, err := leader.Node().ReplaceMember(ctx, down.ID, newcomer)
		if err != nil || !done || mb.Learner {
			t.Errorf("with the newcomer: %+v, %v, %v", mb, done, err)
		}
		// A newcomer that is removed ends the wait for it.
		waits := make(chan error, 1)
		go func() {
			_, _, err := up.Node().ReplaceMember(ctx, up.ID, raftnode.Member{PeerURL: peerURL(6)})
			waits <- err
		}()
		time.Sleep(time.Second)
		if err := leader.Node().RemoveMember(ctx, 5, false); err != nil {
			t.Errorf("removal of a newcomer: %v", err)
		}
		if err := <-waits; !errors.Is(err, raftnode.ErrNoSuchMember) {
			t.Errorf("whoever waited for it: %v", err)
		}
		// When the one to be replaced is removed by hand, its place is free.
		if _, _, err := leader.Node().ReplaceMember(within(t, time.Second), up.ID, raftnode.Member{ID: 8, PeerURL: peerURL(8)}); err != nil {
			t.Errorf("another newcomer: %v", err)
		}
		if err := leader.Node().RemoveMember(ctx, up.ID, false); err != nil {
			t.Errorf("removal of the one to be replaced: %v", err)
		}
		c.Member(8).Start()
		config(t, []uint64{leader.ID, 4, 8}, leader, c.Member(4), c.Member(8))
	})
}

// TestJointOutlivesLeader: a leader that dies between the two halves of a joint
// change leaves a joint configuration behind. The next one leaves it.
func TestJointOutlivesLeader(t *testing.T) {
	s := newScenes()
	configured(t, 1, 3, raftnode.Config{Logger: s.logger()}, func(t *testing.T, c *Cluster, leader *Member) {
		old := c.follower(leader)
		crashed := make(chan *Member, 1)
		s.onceJoint(c, func(m *Member) {
			m.Crash()
			crashed <- m
		})
		c.Member(4).Start()
		if _, done, err := old.Node().ReplaceMember(within(t, time.Second/2), old.ID, raftnode.Member{PeerURL: peerURL(4)}); err != nil || done {
			t.Fatalf("done %v, %v", done, err)
		}
		died := <-crashed
		var rest []*Member
		voters := []uint64{4}
		for id := range uint64(3) {
			if m := c.Member(id + 1); m != old {
				voters = append(voters, m.ID)
				if m != died {
					rest = append(rest, m)
				}
			}
		}
		slices.Sort(voters)
		config(t, voters, append(rest, c.Member(4))...)
		removed(t, old)
		died.Start()
		config(t, voters, died)
		put(t, died, "k", "v")
	})
}

// TestJointOutlivesTransfer: raft drops its proposal to leave a joint
// configuration while leadership is being transferred, and with nothing written
// never makes it again. While it lasts every other change is refused.
func TestJointOutlivesTransfer(t *testing.T) {
	s := newScenes()
	configured(t, 1, 3, raftnode.Config{Logger: s.logger()}, func(t *testing.T, c *Cluster, leader *Member) {
		old, deaf := c.follower(leader), (*Member)(nil)
		for _, m := range c.Members() {
			if m != leader && m != old {
				deaf = m
			}
		}
		var once sync.Once
		s.on("learner has caught up and becomes a voter", func(map[string]any) {
			// It is proposed, and not applied yet.
			once.Do(func() {
				c.Net.SetLink(leader.ID, deaf.ID, Link{Cut: true})
				go func() { _ = leader.Node().TransferLeadership(within(t, 300*time.Millisecond), deaf.ID) }()
			})
		})
		joint := make(chan struct{})
		s.onceJoint(c, func(*Member) { close(joint) })
		c.Member(4).Start()
		if _, _, err := leader.Node().ReplaceMember(within(t, time.Second/2), old.ID, raftnode.Member{PeerURL: peerURL(4)}); err != nil {
			t.Fatal(err)
		}
		<-joint
		short := within(t, 400*time.Millisecond)
		if _, err := leader.Node().AddMember(short, raftnode.Member{PeerURL: peerURL(5)}); !errors.Is(err, raftnode.ErrConfigChangePending) {
			t.Errorf("another change in the joint configuration: %v", err)
		}
		p, err := leader.Node().PlanChange(within(t, 200*time.Millisecond), raftnode.Change{Kind: raftnode.ChangeRemove, ID: 4})
		if err != nil || !errors.Is(p.Refusal, raftnode.ErrConfigChangePending) {
			t.Errorf("its dry run: %+v, %v", p, err)
		}
		if st := status(t, leader); len(st.VotersOutgoing) != 3 || leader.Node().IsRemoved(old.ID) {
			t.Fatalf("the transfer came too late: outgoing %v, removed %v", st.VotersOutgoing, leader.Node().IsRemoved(old.ID))
		}
		time.Sleep(4 * time.Second) // without any write
		if st := status(t, leader); len(st.VotersOutgoing) != 0 || st.Role != "leader" {
			t.Errorf("after 4s still in the joint configuration (outgoing %v), as %s", st.VotersOutgoing, st.Role)
		}
		c.Net.Heal()
		removed(t, old)
		config(t, status(t, leader).Voters, leader, deaf, c.Member(4))
	})
}

// TestSnapshotInJointConfiguration: a member takes a snapshot between the two
// halves of a joint change, restarts from it, and goes on.
func TestSnapshotInJointConfiguration(t *testing.T) {
	s := newScenes()
	configured(t, 1, 3, raftnode.Config{SnapshotEntries: 1, CatchUpEntries: 1, Logger: s.logger()}, func(t *testing.T, c *Cluster, leader *Member) {
		old := c.follower(leader)
		alone := make(chan *Member, 1)
		s.onceJoint(c, func(m *Member) {
			c.Net.Isolate(m.ID, 1, 2, 3, 4)
			alone <- m
		})
		c.Member(4).Start()
		if _, _, err := leader.Node().ReplaceMember(within(t, time.Second/2), old.ID, raftnode.Member{PeerURL: peerURL(4)}); err != nil {
			t.Fatal(err)
		}
		m := <-alone
		eventually(t, "a snapshot in the joint configuration", func() bool {
			st := status(t, m)
			if len(st.VotersOutgoing) == 0 {
				t.Fatal("it has left the joint configuration alone")
			}
			return st.SnapshotIndex == st.Applied
		})
		before := status(t, m)
		m.Crash()
		m.Start()
		st := status(t, m)
		if !slices.Equal(st.Voters, before.Voters) || !slices.Equal(st.VotersOutgoing, before.VotersOutgoing) || st.Applied < before.SnapshotIndex {
			t.Fatalf("restarted with voters %v, outgoing %v, applied %d; before %v, %v, %d",
				st.Voters, st.VotersOutgoing, st.Applied, before.Voters, before.VotersOutgoing, before.Applied)
		}
		if m.Node().IsRemoved(old.ID) {
			t.Error("the old member is removed before the joint configuration is left")
		}
		// Nobody else may decide without both majorities, and they are there.
		c.Net.Heal()
		removed(t, old)
		var left []*Member
		for _, x := range c.Members() {
			if x != old {
				left = append(left, x)
			}
		}
		config(t, before.Voters, left...)
		put(t, m, "k", "v")
	})
}

// TestAllRestartInJointConfiguration: every member dies at once in the middle.
func TestAllRestartInJointConfiguration(t *testing.T) {
	s := newScenes()
	configured(t, 1, 3, raftnode.Config{SnapshotEntries: 1, CatchUpEntries: 1, Logger: s.logger()}, func(t *testing.T, c *Cluster, leader *Member) {
		old := c.follower(leader)
		dead := make(chan struct{})
		s.onceJoint(c, func(m *Member) {
			for _, x := range c.Members() {
				x.Crash()
			}
			close(dead)
		})
		c.Member(4).Start()
		if _, _, err := leader.Node().ReplaceMember(within(t, time.Second/2), old.ID, raftnode.Member{PeerURL: peerURL(4)}); err != nil && !errors.Is(err, raftnode.ErrOutcomeUnknown) {
			t.Fatal(err)
		}
		<-dead
		for _, x := range c.Members() {
			x.Start()
		}
		removed(t, old)
		old.Crash()
		leader, err := c.WaitLeader(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		put(t, leader, "k", "v")
		if st := status(t, leader); len(st.Voters) != 3 || len(st.VotersOutgoing) != 0 || !slices.Contains(st.Voters, 4) {
			t.Errorf("voters %v, outgoing %v", st.Voters, st.VotersOutgoing)
		}
	})
}
