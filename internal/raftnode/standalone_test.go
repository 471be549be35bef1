package raftnode

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestOnlyVoterLeadsAtOnce: nobody else can lead, so that an election timeout
// would be waited for nothing at every start.
func TestOnlyVoterLeadsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		for range 2 {
			d, err := OpenDisk(dir, nil)
			must(t, err)
			cfg := singleConfig()
			cfg.ElectionTicks = 100
			n, stop := start(t, cfg, newTestMachine(), d)
			begin := time.Now()
			must(t, n.ReadBarrier(within(t, time.Minute)))
			if took, limit := time.Since(begin), 10*cfg.Tick; took > limit {
				t.Errorf("it took %v to serve, want less than %v", took, limit)
			}
			must(t, stop())
			kill(d)
		}
	})
}
