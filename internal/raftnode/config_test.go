package raftnode

import (
	"testing"

	"go.etcd.io/raft/v3"
)

// TestRaftConfig holds raft to the bounds that keep a leader's memory flat, and to
// what keeps a cluster calm.
func TestRaftConfig(t *testing.T) {
	for _, lease := range []bool{false, true} {
		cfg := singleConfig()
		cfg.ReadOnlyLeaseBased = lease
		n, err := New(cfg, testMachine{}, nil)
		must(t, err)
		c := n.raftConfig()
		if c.MaxSizePerMsg == 0 || c.MaxInflightBytes < c.MaxSizePerMsg || c.MaxInflightBytes > 64<<20 || c.MaxInflightMsgs == 0 {
			t.Errorf("on its way to a member: %d messages of %d bytes, %d bytes in all", c.MaxInflightMsgs, c.MaxSizePerMsg, c.MaxInflightBytes)
		}
		if c.MaxUncommittedEntriesSize == 0 || c.MaxUncommittedEntriesSize > 256<<20 || c.MaxCommittedSizePerReady == 0 {
			t.Errorf("not committed: %d bytes, not applied: %d", c.MaxUncommittedEntriesSize, c.MaxCommittedSizePerReady)
		}
		if !c.PreVote || !c.CheckQuorum || !c.StepDownOnRemoval || !c.DisableProposalForwarding || !c.AsyncStorageWrites {
			t.Errorf("%+v", c)
		}
		if want := map[bool]raft.ReadOnlyOption{false: raft.ReadOnlySafe, true: raft.ReadOnlyLeaseBased}[lease]; c.ReadOnlyOption != want {
			t.Errorf("reads are %v, want %v", c.ReadOnlyOption, want)
		}
	}
}
