package test

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"
)

// A member that was away while 200 MB were written catches up by a snapshot:
// without holding it in memory twice, and without disturbing the leader.
func TestCatchUp(t *testing.T) {
	const keys, size = 3200, 64 << 10
	c := startCluster(t, 3)
	leader := c.leader()
	away := c.followers(leader)[0]
	appliedBefore := away.mustStatus().AppliedIndex
	away.kill()

	value := strings.Repeat("0123456789abcdef", size/16)
	began := time.Now()
	putAll(t, leader, keys, value)
	wrote := time.Since(began)
	state := int64(0) // what is stored: keys and values, without what a tree needs beside them
	for i := range keys {
		state += int64(len(fmt.Sprint(i)) + size)
	}
	before := leader.mustStatus()
	if before.FirstIndex <= appliedBefore+1 {
		t.Fatalf("the leader's log begins at %d and still has what follows %d: no snapshot would be needed", before.FirstIndex, appliedBefore)
	}

	began = time.Now()
	away.start()
	waitFor(t, 90*time.Second, "the member that was away catches up", func() error {
		s, err := away.status()
		if err == nil && s.AppliedIndex < before.CommitIndex {
			err = fmt.Errorf("applied %d of %d", s.AppliedIndex, before.CommitIndex)
		}
		return err
	})
	took := time.Since(began)
	away.waitReady(10 * time.Second)

	if s := away.mustStatus(); s.SnapshotIndex <= appliedBefore {
		t.Errorf("its snapshot is at %d, it had applied %d before: it caught up without one", s.SnapshotIndex, appliedBefore)
	}
	if after := leader.mustStatus(); after.Term != before.Term || after.Leader != before.Leader {
		t.Errorf("leader %d of term %d became leader %d of term %d", before.Leader, before.Term, after.Leader, after.Term)
	}
	for _, key := range []string{"0", fmt.Sprint(keys / 2), fmt.Sprint(keys - 1)} {
		r := away.call("GET", "/v1/kv/"+key+"?consistency=stale", nil)
		if r.status != 200 || string(r.body) != value {
			t.Errorf("key %s: got %d, %d bytes", key, r.status, len(r.body))
		}
	}
	peak, ok := peakMemory(away.process())
	if !ok {
		t.Log("this system does not tell a process's peak memory")
		return
	}
	t.Logf("%d MB written in %.1f s; caught up in %.1f s; peak memory %d MB, %.2f × the state",
		state/1e6, wrote.Seconds(), took.Seconds(), peak/1e6, float64(peak)/float64(state))
	if peak >= 2*state {
		t.Errorf("peak memory %d MB, want less than twice the state of %d MB", peak/1e6, state/1e6)
	}
}

// peakMemory is the most memory that a process had resident so far.
func peakMemory(p *process) (bytes int64, ok bool) { return memory(p, "VmHWM") }

// residentMemory is the memory that a process has resident now.
func residentMemory(p *process) (bytes int64, ok bool) { return memory(p, "VmRSS") }

func memory(p *process, field string) (bytes int64, ok bool) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.cmd.Process.Pid))
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(b)) {
		var kb int64
		if n, _ := fmt.Sscanf(line, field+": %d kB", &kb); n == 1 {
			return kb << 10, true
		}
	}
	return 0, false
}
