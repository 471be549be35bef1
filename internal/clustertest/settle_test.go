package clustertest

import (
	"context"
	"slices"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// repair waits until no member holds a flipped bit any more. Where all of them differ,
// or the only one, nobody has a state to give: one is started again.
func repair(t *testing.T, ctx context.Context, c *Cluster) {
	for _, m := range c.Members() {
		for m.Node() != nil && (m.Altered() || m.Node().Diverged() != nil) {
			if time.Sleep(100 * time.Millisecond); ctx.Err() != nil {
				t.Errorf("member %d was not given a good state: %v", m.ID, m.Node().Diverged())
				return
			}
			if !slices.ContainsFunc(c.Members(), func(m *Member) bool { return m.Node() == nil || m.Node().Diverged() == nil }) {
				m.Crash()
				m.Start()
				time.Sleep(5 * time.Second)
			}
		}
	}
}

// settle waits until all members hold the same state.
func settle(t *testing.T, c *Cluster) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	repair(t, ctx, c)
	var want uint64
	for i, m := range c.Members() {
		if m.DB() == nil {
			t.Errorf("member %d does not run", m.ID)
			continue
		}
		// A linearizable read brings the member to the end of the log.
		if _, err := m.DB().Get(ctx, []byte("k0"), kvstore.GetOptions{}); err != nil {
			t.Errorf("read on healed member %d: %v", m.ID, err)
			continue
		}
		_, hash := m.machine.Hash()
		if i == 0 {
			want = hash
		} else if hash != want {
			t.Errorf("member %d holds another state than member 1", m.ID)
		}
	}
	// And they say so themselves, of what is really in memory. Verify may join a check
	// from before all this: then another is made. Another, too, without a member whose
	// disk stalled for longer than the leader waits, which is as short as 1 ms here.
	st, err := c.Member(1).Node().Status(ctx)
	if err != nil {
		t.Error(err)
	}
	ctx, cancel = context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		v, err := c.Member(1).Node().Verify(ctx)
		if err == nil && len(v.Hashes) == len(c.Members()) && len(v.Diverged) == 0 {
			break
		}
		if err != nil || v.Index > st.Commit && len(v.Diverged) > 0 {
			t.Errorf("verification %+v, %v", v, err)
			break
		}
	}
	for _, m := range c.Members() {
		if err := m.Node().Diverged(); err != nil {
			t.Errorf("member %d: %v", m.ID, err)
		}
	}
}
