package clustertest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"kvd/internal/raftnode"
)

func status(t testing.TB, m *Member) raftnode.Status {
	t.Helper()
	st, err := m.Node().Status(within(t, time.Second))
	if err != nil {
		t.Fatalf("status of member %d: %v", m.ID, err)
	}
	return st
}

// config waits until members agree on the voters, and no joint configuration is left.
func config(t testing.TB, voters []uint64, members ...*Member) {
	t.Helper()
	eventually(t, fmt.Sprintf("voters %v everywhere", voters), func() bool {
		return !slices.ContainsFunc(members, func(m *Member) bool {
			st := status(t, m)
			return !slices.Equal(st.Voters, voters) || len(st.VotersOutgoing) > 0
		})
	})
}

func removed(t testing.TB, m *Member) {
	t.Helper()
	eventually(t, fmt.Sprintf("end of member %d", m.ID), func() bool {
		err, ended := m.Ended()
		return ended && errors.Is(err, raftnode.ErrRemoved)
	})
}

// add adds a learner that stays one and, if it is to run, starts it.
func add(t testing.TB, c *Cluster, via *Member, id uint64, auto, run bool) *Member {
	t.Helper()
	if _, err := via.Node().AddMember(within(t, 10*time.Second), raftnode.Member{ID: id, PeerURL: peerURL(id), AutoPromote: auto}); err != nil {
		t.Fatalf("add member %d: %v", id, err)
	}
	m := c.Member(id)
	if run {
		m.Start()
	}
	return m
}

// TestPromoteByHand: promotion of a learner that lags, of an unknown id, of one
// that keeps up, and of a voter, asked of any member.
func TestPromoteByHand(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		via := c.follower(leader)
		learner := add(t, c, via, 4, false, false)
		begin := time.Now()
		_, err := via.Node().PromoteMember(within(t, 10*time.Second), 4)
		if !errors.Is(err, raftnode.ErrLearnerNotReady) || !strings.Contains(err.Error(), "member 4 lacks") {
			t.Errorf("a learner that does not run: %v", err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("refused after %v", took)
		}
		if _, err := via.Node().PromoteMember(within(t, 10*time.Second), 9); !errors.Is(err, raftnode.ErrNoSuchMember) {
			t.Errorf("nobody: %v", err)
		}
		learner.Start()
		time.Sleep(5 * time.Second)
		if st := status(t, leader); len(st.Voters) != 3 {
			t.Fatalf("voters %v: it became one by itself", st.Voters)
		}
		for range 2 { // a retry changes nothing
			mb, err := learner.Node().PromoteMember(within(t, 10*time.Second), 4)
			if err != nil || mb.ID != 4 || mb.Learner {
				t.Errorf("one that keeps up: %+v, %v", mb, err)
			}
		}
		config(t, []uint64{1, 2, 3, 4}, c.Members()...)
	})
}

// TestOnePromotionAtATime: learners become voters one by one, each only after
// it has kept up for an election timeout, and one that is silent not at all.
func TestOnePromotionAtATime(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		begin := time.Now()
		add(t, c, leader, 4, true, true)
		add(t, c, leader, 5, true, true)
		add(t, c, leader, 6, true, false)
		voters := 3
		for time.Since(begin) < 10*time.Second {
			now := len(status(t, leader).Voters)
			if now > voters && time.Since(begin) < time.Second {
				t.Errorf("a voter after %v", time.Since(begin))
			}
			if now > voters+1 {
				t.Errorf("from %d voters to %d at once", voters, now)
			}
			voters = now
			time.Sleep(time.Millisecond)
		}
		if voters != 5 {
			t.Errorf("%d voters, want 5: all but the silent one", voters)
		}
	})
}

// TestUpdateMember: what may be changed of a member, and an address that
// belongs to another.
func TestUpdateMember(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		m, ctx := c.follower(leader), within(t, 20*time.Second)
		eventually(t, "the member is published", func() bool {
			return slices.ContainsFunc(leader.Node().Members(), func(mb raftnode.Member) bool { return mb.ID == m.ID && mb.Started })
		})
		time.Sleep(time.Second) // it knows that, and does not publish itself once more
		for _, tt := range []struct {
			name string
			id   uint64
			u    raftnode.MemberUpdate
			want error
		}{
			{"nothing", m.ID, raftnode.MemberUpdate{}, nil},
			{"another's address", m.ID, raftnode.MemberUpdate{PeerURL: new(peerURL(leader.ID))}, raftnode.ErrMemberExists},
			{"no client address", m.ID, raftnode.MemberUpdate{ClientURL: new("nonsense")}, raftnode.ErrBadMember},
			{"no address", m.ID, raftnode.MemberUpdate{PeerURL: new("nonsense")}, raftnode.ErrBadMember},
			{"nobody", 9, raftnode.MemberUpdate{Name: new("x")}, raftnode.ErrNoSuchMember},
			{"a name", m.ID, raftnode.MemberUpdate{Name: new("new")}, nil},
			{"an address", m.ID, raftnode.MemberUpdate{PeerURL: new("http://elsewhere:1")}, nil},
		} {
			if _, err := m.Node().UpdateMember(ctx, tt.id, tt.u); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}
		eventually(t, "the change everywhere", func() bool {
			for _, other := range c.Members() {
				for _, mb := range other.Node().Members() {
					if mb.ID == m.ID && (mb.Name != "new" || mb.PeerURL != "http://elsewhere:1" || mb.ClientURL == "") {
						return false
					}
				}
			}
			return true
		})
		put(t, leader, "k", "v")
	})
}

// TestSlowApplyAndElection: a member that knows of a committed removal and has
// not applied it must not be elected by the vote of the removed one.
func TestSlowApplyAndElection(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		victim, slow := c.follower(leader), (*Member)(nil)
		for _, m := range c.Members() {
			if m != leader && m != victim {
				slow = m
			}
		}
		put(t, leader, "k", "v")
		get(t, slow, "k") // it has applied all that
		slow.applyDelay.Store(int64(15 * time.Second))
		put(t, leader, "k", "slow to apply")
		c.Net.Isolate(victim.ID, 1, 2, 3)
		if err := leader.Node().RemoveMember(within(t, 5*time.Second), victim.ID, false); err != nil {
			t.Fatal(err)
		}
		time.Sleep(300 * time.Millisecond)
		leader.Crash()
		c.Net.Heal()
		watch := func(limit time.Duration) {
			t.Helper()
			for end := time.Now().Add(limit); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
				for _, m := range []*Member{victim, slow} {
					if m.Node().Leads() {
						t.Fatalf("member %d leads with the vote of a removed member", m.ID)
					}
				}
			}
		}
		watch(10 * time.Second)
		if got := len(status(t, slow).Voters); got != 3 {
			t.Fatalf("%d voters: the removal was applied too early to show anything", got)
		}
		watch(10 * time.Second)
		if got := len(status(t, slow).Voters); got != 2 {
			t.Fatalf("%d voters: the removal was not applied", got)
		}
		slow.applyDelay.Store(0)
		leader.Start()
		removed(t, victim)
		put(t, slow, "k", "v")
	})
}

// TestTombstonesOutliveTheLog: a removed member that comes back with its old
// data is told so by members that know it from a snapshot alone; its id is
// never used again, its address may be.
func TestTombstonesOutliveTheLog(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		victim := c.follower(leader)
		victim.Crash()
		if err := leader.Node().RemoveMember(within(t, 10*time.Second), victim.ID, false); err != nil {
			t.Fatal(err)
		}
		if leader.Node().IsRemoved(victim.ID) {
			t.Error("it is refused before it could hear of its removal from the log")
		}
		time.Sleep(1500 * time.Millisecond)
		if !leader.Node().IsRemoved(victim.ID) {
			t.Error("it is not refused")
		}
		var rest []*Member
		for _, m := range c.Members() {
			if m != victim {
				rest = append(rest, m)
			}
		}
		at := status(t, leader).Applied
		for i := range 200 {
			put(t, leader, "k", fmt.Sprint(i))
		}
		for _, m := range rest {
			eventually(t, "a snapshot after the removal", func() bool { return status(t, m).SnapshotIndex > at && status(t, m).FirstIndex > at })
		}
		for _, m := range rest {
			m.Crash()
			m.Start()
		}
		put(t, rest[0], "k", "restarted")
		victim.Start()
		removed(t, victim)
		victim.Crash()
		ctx := within(t, 20*time.Second)
		if _, err := rest[0].Node().AddMember(ctx, raftnode.Member{ID: victim.ID, PeerURL: peerURL(victim.ID)}); !errors.Is(err, raftnode.ErrIDRemoved) {
			t.Errorf("id used again: %v", err)
		}
		if mb, err := rest[0].Node().AddMember(ctx, raftnode.Member{PeerURL: peerURL(victim.ID)}); err != nil || mb.ID != 4 {
			t.Errorf("address used again: %+v, %v", mb, err)
		}
	})
}

// TestLeaderIsAskedToRemoveItself: it hands leadership over first, so that
// nobody is without a leader for an election timeout, and never acknowledges
// anything after it is out.
func TestLeaderIsAskedToRemoveItself(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "v")
		time.Sleep(2 * time.Second)
		term := status(t, leader).Term
		begin := time.Now()
		if err := leader.Node().RemoveMember(within(t, 10*time.Second), leader.ID, false); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > time.Second {
			t.Errorf("took %v: an election timeout was waited for", took)
		}
		if leader.Node().Leads() {
			t.Error("it leads still")
		}
		other := c.follower(leader)
		put(t, other, "k", "at once")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("the others had no leader for %v", took)
		}
		removed(t, leader)
		if now := status(t, other).Term; now != term+1 {
			t.Errorf("term %d became %d: more than one election", term, now)
		}
		leader.Crash()
		put(t, other, "k", "two members")
		// And the leader of two, which leaves one.
		two, err := c.WaitLeader(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := two.Node().RemoveMember(within(t, 10*time.Second), two.ID, false); err != nil {
			t.Fatal(err)
		}
		removed(t, two)
		two.Crash()
		last, err := c.WaitLeader(5 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		if err := last.Node().RemoveMember(within(t, 10*time.Second), last.ID, true); !errors.Is(err, raftnode.ErrWouldLoseQuorum) {
			t.Errorf("removal of the last voter by force: %v", err)
		}
		put(t, last, "k", "one member")
	})
}

// TestRemovalOfTheDeadOneOfTwo: one of two voters cannot remove the other when
// that has died. It is answered in time, not with a success, and with advice.
func TestRemovalOfTheDeadOneOfTwo(t *testing.T) {
	configured(t, 1, 2, raftnode.Config{}, func(t *testing.T, c *Cluster, leader *Member) {
		dead := c.follower(leader)
		put(t, leader, "k", "v")
		dead.Crash()
		time.Sleep(1100 * time.Millisecond) // it leads still, and hears nothing
		begin := time.Now()
		err := leader.Node().RemoveMember(within(t, 5*time.Second), dead.ID, false)
		switch {
		case errors.Is(err, raftnode.ErrWouldLoseQuorum) && strings.Contains(err.Error(), "until more of them run"):
		case errors.Is(err, raftnode.ErrNoLeader):
		default:
			t.Errorf("removal of the dead one: %v", err)
		}
		err = leader.Node().RemoveMember(within(t, 5*time.Second), dead.ID, true)
		if !errors.Is(err, raftnode.ErrNoLeader) && !errors.Is(err, raftnode.ErrOutcomeUnknown) {
			t.Errorf("by force: %v", err)
		}
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("took %v, longer than its deadlines", took)
		}
		dead.Start()
		eventually(t, "removal once both run", func() bool {
			err := leader.Node().RemoveMember(within(t, 5*time.Second), dead.ID, false)
			return err == nil || errors.Is(err, raftnode.ErrNoSuchMember) // the one by force, which was unknown
		})
		put(t, leader, "k", "alone")
	})
}
