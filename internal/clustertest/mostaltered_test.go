package clustertest

import (
	"fmt"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// TestMostMembersAltered: bits flip in the leader's memory and in that of all others
// but one. Leadership comes to the one that can still be trusted, whoever has as
// much of the log, and it gives all of them its state.
func TestMostMembersAltered(t *testing.T) {
	for _, size := range []int{3, 5} {
		for seed := range uint64(5) {
			t.Run(fmt.Sprintf("%d members, seed %d", size, seed), func(t *testing.T) {
				cluster(t, seed, size, func(t *testing.T, c *Cluster, leader *Member) {
					fill(t, leader, 40)
					verify(t, leader)
					sound := c.Members()[size-1]
					if sound == leader {
						sound = c.Members()[0]
					}
					for _, m := range c.Members() {
						if m != sound && !m.Flip("k7") {
							t.Fatal("no such key")
						}
					}
					begin := time.Now()
					for _, m := range c.Members() {
						for m.Altered() || m.Node().Diverged() != nil {
							if time.Sleep(100 * time.Millisecond); time.Since(begin) > 90*time.Second {
								t.Fatalf("member %d after %v: %v", m.ID, time.Since(begin), m.Node().Diverged())
							}
						}
					}
					it, err := leader.DB().Get(within(t, 10*time.Second), []byte("k7"), kvstore.GetOptions{})
					if err != nil || string(it.Value) != "value" {
						t.Errorf("k7: %q, %v", it.Value, err)
					}
				})
			})
		}
	}
}
