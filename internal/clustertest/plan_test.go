package clustertest

import (
	"errors"
	"slices"
	"testing"
	"time"

	"kvd/internal/raftnode"
)

// TestPlan: a dry run tells what a change would come to, why it would be
// refused, and changes nothing. The refusals are those of the change itself:
// duplicate address, a removal that breaks the quorum, a learner that lags, an
// unknown id, an id used before.
func TestPlan(t *testing.T) {
	configured(t, 1, 4, raftnode.Config{}, func(t *testing.T, c *Cluster, leader *Member) {
		ctx := within(t, 60*time.Second)
		if leader.ID == 4 {
			if err := leader.Node().TransferLeadership(ctx, 1); err != nil {
				t.Fatal(err)
			}
			leader = c.Member(1)
		}
		if err := leader.Node().RemoveMember(ctx, 4, false); err != nil {
			t.Fatal(err)
		}
		add(t, c, leader, 5, false, false)
		var up, down *Member
		for id := range uint64(3) {
			switch m := c.Member(id + 1); {
			case m == leader:
			case up == nil:
				up = m
			default:
				down = m
			}
		}
		all := []uint64{1, 2, 3}
		without := func(id uint64, more ...uint64) []uint64 {
			return append(slices.DeleteFunc(slices.Clone(all), func(v uint64) bool { return v == id }), more...)
		}
		newcomer := raftnode.Member{ID: 7, PeerURL: peerURL(7)}
		type row struct {
			name          string
			c             raftnode.Change
			after         []uint64
			before, still int // failures tolerated
			want          error
		}
		check := func(rows []row) {
			t.Helper()
			index := status(t, leader).LastIndex
			for _, tt := range rows {
				for _, via := range []*Member{up, leader} {
					p, err := via.Node().PlanChange(ctx, tt.c)
					if err != nil {
						t.Errorf("%s: %v", tt.name, err)
						continue
					}
					if !slices.Equal(p.VotersBefore, all) || p.QuorumBefore != 2 || p.ToleratedBefore != tt.before {
						t.Errorf("%s: before: %+v", tt.name, p)
					}
					if !slices.Equal(p.VotersAfter, tt.after) || p.QuorumAfter != len(tt.after)/2+1 || p.ToleratedAfter != tt.still {
						t.Errorf("%s: after: %+v", tt.name, p)
					}
					if !errors.Is(p.Refusal, tt.want) {
						t.Errorf("%s: refused with %v, want %v", tt.name, p.Refusal, tt.want)
					}
				}
			}
			if now := status(t, leader).LastIndex; now != index {
				t.Errorf("the dry runs wrote %d entries", now-index)
			}
		}
		time.Sleep(3 * time.Second)
		check([]row{
			{"remove", raftnode.Change{Kind: raftnode.ChangeRemove, ID: down.ID}, without(down.ID), 1, 0, nil},
			{"remove the leader", raftnode.Change{Kind: raftnode.ChangeRemove, ID: leader.ID}, without(leader.ID), 1, 0, nil},
		})
		down.Crash()
		time.Sleep(3 * time.Second)
		check([]row{
			{"add", raftnode.Change{Kind: raftnode.ChangeAdd, Member: newcomer}, all, 0, 0, nil},
			{"add an address again", raftnode.Change{Kind: raftnode.ChangeAdd, Member: raftnode.Member{PeerURL: peerURL(1)}}, all, 0, 0, raftnode.ErrMemberExists},
			{"add an id again", raftnode.Change{Kind: raftnode.ChangeAdd, Member: raftnode.Member{ID: 4, PeerURL: peerURL(4)}}, all, 0, 0, raftnode.ErrIDRemoved},
			{"add nonsense", raftnode.Change{Kind: raftnode.ChangeAdd, Member: raftnode.Member{PeerURL: "x"}}, all, 0, 0, raftnode.ErrBadMember},
			{"nonsense", raftnode.Change{Kind: "swap", ID: 5}, all, 0, 0, raftnode.ErrBadMember},
			{"remove nobody", raftnode.Change{Kind: raftnode.ChangeRemove, ID: 9}, all, 0, 0, raftnode.ErrNoSuchMember},
			{"remove the dead one", raftnode.Change{Kind: raftnode.ChangeRemove, ID: down.ID}, without(down.ID), 0, 0, nil},
			{"remove a living one", raftnode.Change{Kind: raftnode.ChangeRemove, ID: up.ID}, without(up.ID), 0, 0, raftnode.ErrWouldLoseQuorum},
			{"remove a living one by force", raftnode.Change{Kind: raftnode.ChangeRemove, ID: up.ID, Force: true}, without(up.ID), 0, 0, nil},
			{"remove a learner", raftnode.Change{Kind: raftnode.ChangeRemove, ID: 5}, all, 0, 0, nil},
			{"promote a learner that lags", raftnode.Change{Kind: raftnode.ChangePromote, ID: 5}, without(0, 5), 0, 0, raftnode.ErrLearnerNotReady},
			{"promote a voter", raftnode.Change{Kind: raftnode.ChangePromote, ID: up.ID}, all, 0, 0, nil},
			{"promote nobody", raftnode.Change{Kind: raftnode.ChangePromote, ID: 9}, all, 0, 0, raftnode.ErrNoSuchMember},
			{"update to an address of another", raftnode.Change{Kind: raftnode.ChangeUpdate, ID: 1, Update: raftnode.MemberUpdate{PeerURL: new(peerURL(2))}}, all, 0, 0, raftnode.ErrMemberExists},
			{"replace the dead one", raftnode.Change{Kind: raftnode.ChangeReplace, ID: down.ID, Member: newcomer}, without(down.ID, 7), 0, 1, nil},
			{"replace a living one", raftnode.Change{Kind: raftnode.ChangeReplace, ID: up.ID, Member: newcomer}, without(up.ID, 7), 0, 0, nil},
			{"replace a learner", raftnode.Change{Kind: raftnode.ChangeReplace, ID: 5, Member: newcomer}, all, 0, 0, raftnode.ErrNotVoter},
			{"replace nobody", raftnode.Change{Kind: raftnode.ChangeReplace, ID: 9, Member: newcomer}, all, 0, 0, raftnode.ErrNoSuchMember},
		})
		begin := time.Now()
		up.Crash()
		if _, err := leader.Node().PlanChange(within(t, 5*time.Second), raftnode.Change{Kind: raftnode.ChangeRemove, ID: 5}); err != nil && !errors.Is(err, raftnode.ErrNoLeader) {
			t.Errorf("without a quorum: %v", err)
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("took %v", took)
		}
	})
}
