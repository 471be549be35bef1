package clustertest

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"kvd/internal/raftnode"
)

// TestRestartedClusterElectsSoon: members that have all just started do not wait for a
// leader as long as those that have lost one, unless one may serve reads on a lease that
// they have forgotten.
func TestRestartedClusterElectsSoon(t *testing.T) {
	for _, lease := range []bool{false, true} {
		seed := seeded(t, 1)
		synctest.Test(t, func(t *testing.T) {
			c := New(t, seed, 3, raftnode.Config{ReadOnlyLeaseBased: lease})
			defer c.Close()
			c.StartAll()
			var took []time.Duration
			for range 9 {
				if _, err := c.WaitLeader(10 * time.Second); err != nil {
					t.Fatal(err)
				}
				for _, m := range c.Members() {
					m.Crash()
				}
				began := time.Now()
				c.StartAll()
				if _, err := c.WaitLeader(10 * time.Second); err != nil {
					t.Fatal(err)
				}
				took = append(took, time.Since(began))
			}
			slices.Sort(took)
			t.Logf("lease %v: %v", lease, took)
			timeout := time.Second // of an election, at least
			if lease && took[0] < timeout {
				t.Errorf("with a lease a leader was elected after %v, which may be before it ends", took[0])
			}
			if !lease && took[len(took)/2] > timeout {
				t.Errorf("leaders were elected after %v (median)", took[len(took)/2])
			}
		})
	}
}
