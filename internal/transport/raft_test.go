package transport

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/confchange"
	pb "go.etcd.io/raft/v3/raftpb"
	"go.etcd.io/raft/v3/tracker"
)

func TestLocalTargets(t *testing.T) {
	if localAppendThread != raft.LocalAppendThread || localApplyThread != raft.LocalApplyThread {
		t.Errorf("local targets %d and %d, the library has others", uint64(localAppendThread), uint64(localApplyThread))
	}
}

// group is a raft group in one goroutine whose every message is checked.
type group struct {
	t       *testing.T
	nodes   map[uint64]*raft.RawNode
	stores  map[uint64]*raft.MemoryStorage
	applied map[uint64]uint64
	confs   map[uint64]*pb.ConfState
	seen    map[pb.MessageType]int
	cut     uint64 // this member is away
}

func (g *group) start(id uint64, founders []raft.Peer) {
	g.stores[id] = raft.NewMemoryStorage()
	rn, err := raft.NewRawNode(&raft.Config{
		ID: id, ElectionTick: 10, HeartbeatTick: 1, Storage: g.stores[id], MaxSizePerMsg: 1 << 10,
		MaxInflightMsgs: 16, CheckQuorum: true, PreVote: true, DisableProposalForwarding: true, StepDownOnRemoval: true,
		Logger: &raft.DefaultLogger{Logger: discard},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	if founders != nil {
		if err := rn.Bootstrap(founders); err != nil {
			g.t.Fatal(err)
		}
	}
	g.nodes[id] = rn
}

// settle runs everything until nobody has anything left to say.
func (g *group) settle() {
	for {
		var out []*pb.Message
		for id, rn := range g.nodes {
			for rn.HasReady() {
				rd := rn.Ready()
				if rd.HardState != nil {
					g.must(g.stores[id].SetHardState(rd.HardState))
				}
				if rd.Snapshot != nil {
					g.must(g.stores[id].ApplySnapshot(rd.Snapshot))
				}
				g.must(g.stores[id].Append(rd.Entries))
				for _, e := range rd.CommittedEntries {
					g.applied[id] = e.GetIndex()
					if e.GetType() == pb.EntryConfChange {
						cc := new(pb.ConfChange)
						g.must(unmarshal.Unmarshal(e.GetData(), cc))
						g.confs[id] = rn.ApplyConfChange(cc)
					}
				}
				out = append(out, rd.Messages...)
				rn.Advance(rd)
			}
		}
		if len(out) == 0 {
			return
		}
		for _, m := range out {
			g.deliver(m)
		}
	}
}

func (g *group) must(err error) {
	g.t.Helper()
	if err != nil {
		g.t.Fatal(err)
	}
}

// deliver checks a message as its receiver would, and steps it.
func (g *group) deliver(m *pb.Message) {
	g.t.Helper()
	if g.cut == m.GetTo() || g.cut == m.GetFrom() {
		return
	}
	g.seen[m.GetType()]++
	check := checkMessage
	if m.GetType() == pb.MsgSnap {
		check = checkSnapshotMessage
	}
	got := new(pb.Message)
	g.must(unmarshal.Unmarshal(mustMarshal(g.t, m), got))
	if err := check(got, m.GetTo(), m.GetFrom()); err != nil {
		g.t.Errorf("what raft sends is refused: %v: %v", m, err)
	}
	if rn := g.nodes[m.GetTo()]; rn != nil {
		_ = rn.Step(got) // an unknown sender is no matter here
	}
}

func (g *group) tick(n int) {
	for range n {
		for _, rn := range g.nodes {
			rn.Tick()
		}
		g.settle()
	}
}

func (g *group) leader() *raft.RawNode {
	for range 200 {
		for id, rn := range g.nodes {
			if id != g.cut && rn.BasicStatus().RaftState == raft.StateLeader {
				return rn
			}
		}
		g.tick(1)
	}
	g.t.Fatal("no leader")
	return nil
}

// TestWhatRaftSends runs a group through elections, writes, reads, membership
// changes, a transfer and a snapshot: all that it sends must pass.
func TestWhatRaftSends(t *testing.T) {
	g := &group{t: t, nodes: map[uint64]*raft.RawNode{}, stores: map[uint64]*raft.MemoryStorage{},
		applied: map[uint64]uint64{}, confs: map[uint64]*pb.ConfState{}, seen: map[pb.MessageType]int{}}
	founders := []raft.Peer{{ID: 1}, {ID: 2}, {ID: 3}}
	for _, p := range founders {
		g.start(p.ID, founders)
	}
	g.leader()
	for i := range 50 {
		g.must(g.leader().Propose(fmt.Append(nil, "command ", i)))
		g.tick(1)
	}
	for id := range g.nodes {
		g.nodes[id].ReadIndex(fmt.Append(nil, "read of ", id))
		g.tick(1)
	}
	g.must(g.leader().ProposeConfChange(&pb.ConfChange{Type: pb.ConfChangeAddLearnerNode.Enum(), NodeId: new(uint64(4))}))
	g.start(4, nil)
	g.tick(5)
	g.must(g.leader().ProposeConfChange(&pb.ConfChange{Type: pb.ConfChangeAddNode.Enum(), NodeId: new(uint64(4))}))
	g.tick(5)

	lead := g.leader().BasicStatus().ID
	to := lead%4 + 1
	g.leader().TransferLeader(to)
	g.tick(5)
	if got := g.leader().BasicStatus().ID; got != to {
		t.Errorf("leader %d after a transfer to %d", got, to)
	}

	// One is away while the others write and compact.
	g.cut = to%4 + 1
	for i := range 20 {
		g.must(g.leader().Propose(fmt.Append(nil, "more ", i)))
		g.tick(1)
	}
	for id, st := range g.stores {
		if id == g.cut {
			continue
		}
		_, err := st.CreateSnapshot(g.applied[id], g.confs[id], nil)
		g.must(err)
		g.must(st.Compact(g.applied[id]))
	}
	g.cut = 0
	g.tick(20)

	for typ := range pb.MessageType_name {
		if onStream(pb.MessageType(typ)) && g.seen[pb.MessageType(typ)] == 0 {
			t.Errorf("the run had no %s", pb.MessageType(typ))
		}
	}
	if g.seen[pb.MsgSnap] == 0 {
		t.Error("the run had no snapshot")
	}
}

// TestCheckConfState compares with the library: what passes can be restored,
// and comes out as it went in; what is a configuration of a group passes.
func TestCheckConfState(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	pick := func() []uint64 {
		var ids []uint64
		for range rng.IntN(3) {
			ids = append(ids, uint64(rng.IntN(5)))
		}
		return ids
	}
	accepted := 0
	for range 60_000 {
		cs := &pb.ConfState{Voters: pick(), VotersOutgoing: pick(), Learners: pick(), LearnersNext: pick(), AutoLeave: new(rng.IntN(2) == 0)}
		if checkConfState(cs) != nil {
			continue
		}
		accepted++
		trk := tracker.MakeProgressTracker(16, 0)
		cfg, prs, err := confchange.Restore(confchange.Changer{Tracker: trk, LastIndex: 1}, cs)
		if err != nil {
			t.Fatalf("passed, but cannot be restored: %v: %v", cs, err)
		}
		trk.Config, trk.Progress = cfg, prs
		if err := cs.Equivalent(trk.ConfState()); err != nil {
			t.Fatalf("passed, but is restored as something else: %v", err)
		}
	}
	if accepted < 300 {
		t.Errorf("only %d accepted", accepted)
	}

	// A walk through configurations that changes lead to.
	trk := tracker.MakeProgressTracker(16, 0)
	for range 20_000 {
		chg := confchange.Changer{Tracker: trk, LastIndex: 1}
		var cfg tracker.Config
		var prs tracker.ProgressMap
		var err error
		if len(trk.Voters[1]) > 0 {
			cfg, prs, err = chg.LeaveJoint()
		} else {
			var ccs []*pb.ConfChangeSingle
			for range 1 + rng.IntN(3) {
				ccs = append(ccs, &pb.ConfChangeSingle{
					Type: pb.ConfChangeType(rng.IntN(4)).Enum(), NodeId: new(uint64(1 + rng.IntN(5))),
				})
			}
			if len(ccs) == 1 {
				cfg, prs, err = chg.Simple(ccs...)
			} else {
				cfg, prs, err = chg.EnterJoint(rng.IntN(2) == 0, ccs...)
			}
		}
		if err != nil {
			continue
		}
		trk.Config, trk.Progress = cfg, prs
		cs := trk.ConfState()
		if err := checkConfState(cs); err != nil {
			t.Fatalf("a configuration is refused: %v: %v", cs, err)
		}
	}
}

func TestCheckSnapshotMessage(t *testing.T) {
	if err := checkSnapshotMessage(snapMsg(2, 1, 9), 1, 2); err != nil {
		t.Fatalf("refused: %v", err)
	}
	tests := map[string]func(*pb.Message){
		"another type":       func(m *pb.Message) { m.Type = pb.MsgApp.Enum() },
		"to another":         func(m *pb.Message) { m.To = new(uint64(3)) },
		"from another":       func(m *pb.Message) { m.From = new(uint64(3)) },
		"no term":            func(m *pb.Message) { m.Term = nil },
		"entries":            func(m *pb.Message) { m.Entries = []*pb.Entry{{}} },
		"no snapshot":        func(m *pb.Message) { m.Snapshot = nil },
		"no index":           func(m *pb.Message) { m.Snapshot.Metadata.Index = nil },
		"term of the future": func(m *pb.Message) { m.Snapshot.Metadata.Term = new(uint64(6)) },
		"data":               func(m *pb.Message) { m.Snapshot.Data = []byte("x") },
		"no voters":          func(m *pb.Message) { m.Snapshot.Metadata.ConfState.Voters = nil },
		"no configuration":   func(m *pb.Message) { m.Snapshot.Metadata.ConfState = nil },
		"a voter twice":      func(m *pb.Message) { m.Snapshot.Metadata.ConfState.Voters = []uint64{1, 1} },
		"voter and learner":  func(m *pb.Message) { m.Snapshot.Metadata.ConfState.Learners = []uint64{1} },
		"member 0":           func(m *pb.Message) { m.Snapshot.Metadata.ConfState.Voters = []uint64{1, 0} },
	}
	names := make([]string, 0, len(tests))
	for name := range tests {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, name := range names {
		m := snapMsg(2, 1, 9)
		tests[name](m)
		if err := checkSnapshotMessage(m, 1, 2); err == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}
