package clustertest

import (
	"context"
	"fmt"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// TestPartialPartition is about networks that are cut in part: two members that
// do not hear each other while both hear the third, or one that is heard and
// hears nothing, can depose each other for ever. Ten seconds after the cut at
// least 95 of 100 writes must succeed, whichever member leads when it comes.
func TestPartialPartition(t *testing.T) {
	cut := Link{Cut: true}
	tests := []struct {
		name string
		// links cut, counted from the leader: 0 is the leader itself
		cuts [][2]int
	}{
		{"leader and a follower", [][2]int{{0, 1}, {1, 0}}},
		{"both followers", [][2]int{{1, 2}, {2, 1}}},
		{"leader to a follower", [][2]int{{0, 1}}},
		{"a follower to the leader", [][2]int{{1, 0}}},
		{"a follower to the other", [][2]int{{1, 2}}},
		{"leader to both", [][2]int{{0, 1}, {0, 2}}},
		{"both to the leader", [][2]int{{1, 0}, {2, 0}}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
				members := c.Members()
				at := func(i int) uint64 { return members[(int(leader.ID)-1+i)%len(members)].ID }
				for _, l := range tt.cuts {
					c.Net.SetLink(at(l[0]), at(l[1]), cut)
				}
				time.Sleep(10 * time.Second)
				good, all := 0, 0
				for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
					all++
					if putAnywhere(c, fmt.Sprint(all)) {
						good++
					}
				}
				if good*100 < all*95 {
					t.Errorf("%d of %d writes succeeded", good, all)
				}
				c.Net.Heal()
				time.Sleep(3 * time.Second)
				settle(t, c)
			})
		})
	}
}

// putAnywhere writes as a client does that tries another member when one does
// not serve in time.
func putAnywhere(c *Cluster, value string) bool {
	for _, m := range c.Members() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		_, err := m.DB().Put(ctx, []byte("k"), []byte(value), kvstore.PutOptions{})
		cancel()
		if err == nil {
			return true
		}
	}
	return false
}

// TestReturningMember is about a member that was away, cut off so that its term could
// rise or standing still so that it knows of nothing: it must not force an election when
// it comes back.
func TestReturningMember(t *testing.T) {
	for name, away := range map[string]struct {
		leave, back func(c *Cluster, m *Member)
	}{
		"cut off": {
			func(c *Cluster, m *Member) { c.Net.Isolate(m.ID, 1, 2, 3) },
			func(c *Cluster, m *Member) { c.Net.Heal() },
		},
		"stopped": {
			func(c *Cluster, m *Member) { m.Pause() },
			func(c *Cluster, m *Member) { m.Resume() },
		},
	} {
		t.Run(name, func(t *testing.T) {
			virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
				m := c.follower(leader)
				returning(t, c, leader, func() { away.leave(c, m) }, func() { away.back(c, m) })
			})
		})
	}
}

// returning writes for a minute while a member is away, and looks at what its return does.
func returning(t *testing.T, c *Cluster, leader *Member, leave, back func()) {
	before, err := leader.Node().Status(within(t, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	leave()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Second) {
		put(t, leader, "k", "v")
	}
	back()
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		begin := time.Now()
		put(t, leader, "k", "back")
		if took := time.Since(begin); took > time.Second {
			t.Errorf("a write took %v", took)
		}
	}
	after, err := leader.Node().Status(within(t, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	if after.Term != before.Term || after.Leader != before.Leader {
		t.Errorf("term %d led by %d became term %d led by %d", before.Term, before.Leader, after.Term, after.Leader)
	}
	settle(t, c)
}
