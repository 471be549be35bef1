package raftnode

import (
	"errors"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// bareRaft is raft with kvd's settings and two peers that are played by the
// test. Its disk is instant; what is committed is applied when the test says so.
type bareRaft struct {
	t   *testing.T
	rn  *raft.RawNode
	mem *raft.MemoryStorage

	apps    []*raftpb.Message // to member 1
	applies []*raftpb.Message // not answered
	reads   []raft.ReadState
}

func newBareRaft(t *testing.T, change func(*raft.Config)) *bareRaft {
	t.Helper()
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	must(t, n.mem.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: new(uint64(1)), Term: new(uint64(1)), ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, testID.Member}},
	}}))
	cfg := n.raftConfig()
	if change != nil {
		change(cfg)
	}
	rn, err := raft.NewRawNode(cfg)
	must(t, err)
	return &bareRaft{t: t, rn: rn, mem: n.mem}
}

// work lets raft do all it can, and applies what it hands out if asked to.
func (b *bareRaft) work(apply bool) {
	for b.rn.HasReady() {
		rd := b.rn.Ready()
		b.reads = append(b.reads, rd.ReadStates...)
		for _, m := range rd.Messages {
			switch m.GetTo() {
			case raft.LocalAppendThread:
				must(b.t, b.mem.Append(m.GetEntries()))
				b.answer(m)
			case raft.LocalApplyThread:
				b.applies = append(b.applies, m)
				if apply {
					b.answer(m)
					b.applies = nil
				}
			case 1:
				if m.GetType() == raftpb.MsgApp {
					b.apps = append(b.apps, m)
				}
			}
		}
	}
}

func (b *bareRaft) answer(m *raftpb.Message) {
	for _, r := range m.GetResponses() {
		if r.GetTo() == testID.Member {
			must(b.t, b.rn.Step(r))
		}
	}
}

func (b *bareRaft) from(peer uint64, typ raftpb.MessageType, index uint64) {
	term := b.rn.BasicStatus().GetTerm()
	if typ == raftpb.MsgPreVoteResp {
		term++
	}
	must(b.t, b.rn.Step(&raftpb.Message{Type: typ.Enum(), From: &peer, To: new(testID.Member), Term: &term, Index: &index}))
	b.work(true)
}

// lead makes it the leader of a term whose first entry is committed.
func (b *bareRaft) lead() {
	b.t.Helper()
	must(b.t, b.rn.Campaign())
	b.work(true)
	b.from(1, raftpb.MsgPreVoteResp, 0)
	b.from(1, raftpb.MsgVoteResp, 0)
	if b.rn.BasicStatus().RaftState != raft.StateLeader {
		b.t.Fatal("it does not lead")
	}
	last, _ := b.mem.LastIndex()
	b.from(1, raftpb.MsgAppResp, last)
	b.apps = nil
}

func sizeOf(msgs []*raftpb.Message) (largest, all int) {
	for _, m := range msgs {
		size := 0
		for _, e := range m.GetEntries() {
			size += len(e.GetData())
		}
		largest, all = max(largest, size), all+size
	}
	return largest, all
}

// TestLimitsOfRaft is about memory that grows with what others have not taken:
// what raft sends to a silent peer, keeps uncommitted, or hands to a slow state
// machine is bounded by kvd's settings.
func TestLimitsOfRaft(t *testing.T) {
	t.Run("messages to a peer that does not answer", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		for range 2 * maxInflightMsgs {
			must(t, b.rn.Propose(make([]byte, 100)))
			b.work(true)
		}
		if len(b.apps) > maxInflightMsgs {
			t.Errorf("%d messages are under way, limit %d", len(b.apps), maxInflightMsgs)
		}
	})
	t.Run("bytes to a peer that does not answer", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		for range 2 * maxInflightBytes >> 20 {
			must(t, b.rn.Propose(make([]byte, 1<<20)))
			b.work(true)
		}
		if _, all := sizeOf(b.apps); all > maxInflightBytes+1<<20 || all < maxInflightBytes/2 {
			t.Errorf("%d bytes are under way, limit %d", all, maxInflightBytes)
		}
	})
	t.Run("one message", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		for range 1000 {
			must(t, b.rn.Propose(make([]byte, 10_000)))
		}
		b.work(true)
		last, _ := b.mem.LastIndex()
		// A peer that comes back asks for all of it.
		b.rn.ReportUnreachable(1)
		b.apps = nil
		b.from(1, raftpb.MsgHeartbeatResp, 0)
		for len(b.apps) > 0 {
			if largest, _ := sizeOf(b.apps); largest > maxSizePerMsg {
				t.Fatalf("a message of %d bytes, limit %d", largest, maxSizePerMsg)
			}
			app := b.apps[len(b.apps)-1]
			acked := app.GetIndex() + uint64(len(app.GetEntries()))
			if b.apps = nil; acked == last {
				break
			}
			b.from(1, raftpb.MsgAppResp, acked)
		}
	})
	t.Run("uncommitted", func(t *testing.T) {
		b := newBareRaft(t, func(c *raft.Config) {
			if c.MaxUncommittedEntriesSize != maxUncommittedBytes {
				t.Errorf("the limit is %d", c.MaxUncommittedEntriesSize)
			}
			c.MaxUncommittedEntriesSize = 1 << 20 // the same with less
		})
		b.lead()
		taken := 0
		for range 100 {
			err := b.rn.Propose(make([]byte, 100_000))
			if errors.Is(err, raft.ErrProposalDropped) {
				break
			}
			must(t, err)
			b.work(true)
			taken++
		}
		if taken != 10 {
			t.Errorf("%d of 100 kB were taken into 1 MiB", taken)
		}
	})
	t.Run("committed and not applied", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		for range 3 * maxApplyBytes >> 20 {
			must(t, b.rn.Propose(make([]byte, 1<<20)))
			b.work(false)
		}
		term, last := b.rn.BasicStatus().GetTerm(), uint64(0)
		last, _ = b.mem.LastIndex()
		must(t, b.rn.Step(&raftpb.Message{
			Type: raftpb.MsgAppResp.Enum(), From: new(uint64(1)), To: new(testID.Member), Term: &term, Index: &last,
		}))
		b.work(false)
		if _, all := sizeOf(b.applies); all > maxApplyBytes+1<<20 || all == 0 {
			t.Errorf("%d bytes wait to be applied, limit %d", all, maxApplyBytes)
		}
	})
}

// TestSettingsOfRaft: what kvd sets is what raft does, seen from outside.
func TestSettingsOfRaft(t *testing.T) {
	t.Run("CheckQuorum", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		for range 2*singleConfig().withDefaults().ElectionTicks + 1 {
			b.rn.Tick()
			b.work(true)
		}
		if s := b.rn.BasicStatus().RaftState; s == raft.StateLeader {
			t.Error("it leads on although nobody answers")
		}
	})
	t.Run("PreVote", func(t *testing.T) {
		b := newBareRaft(t, nil)
		before := b.rn.BasicStatus().GetTerm()
		for range 100 {
			b.rn.Tick()
			b.work(true)
		}
		if after := b.rn.BasicStatus().GetTerm(); after != before {
			t.Errorf("term %d became %d although nobody answers", before, after)
		}
	})
	t.Run("ReadOnlyOption", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		b.rn.ReadIndex([]byte("r"))
		b.work(true)
		if len(b.reads) > 0 {
			t.Error("a read was answered before a majority has confirmed it")
		}
	})
	t.Run("DisableProposalForwarding", func(t *testing.T) {
		b := newBareRaft(t, nil)
		must(t, b.rn.Step(&raftpb.Message{
			Type: raftpb.MsgHeartbeat.Enum(), From: new(uint64(1)), To: new(testID.Member), Term: new(uint64(5)),
		}))
		b.work(true)
		if err := b.rn.Propose([]byte("x")); !errors.Is(err, raft.ErrProposalDropped) {
			t.Errorf("a follower took a proposal: %v", err)
		}
	})
	t.Run("DisableConfChangeValidation", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		for id := range uint64(2) { // the second comes while the first is not applied
			must(t, b.rn.ProposeConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeAddLearnerNode.Enum(), NodeId: new(id + 8)}))
		}
		b.work(false)
		first, _ := b.mem.FirstIndex()
		last, _ := b.mem.LastIndex()
		ents, err := b.mem.Entries(first, last+1, ^uint64(0))
		must(t, err)
		changes := 0
		for _, e := range ents {
			if e.GetType() == raftpb.EntryConfChange {
				changes++
			}
		}
		if changes != 1 {
			t.Errorf("%d membership changes are in the log at once", changes)
		}
	})
	t.Run("StepDownOnRemoval", func(t *testing.T) {
		b := newBareRaft(t, nil)
		b.lead()
		b.rn.ApplyConfChange(&raftpb.ConfChange{Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(testID.Member)})
		if s := b.rn.BasicStatus().RaftState; s == raft.StateLeader {
			t.Error("it leads a cluster that it is no member of")
		}
	})
}
