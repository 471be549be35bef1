package raftnode

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// TestOvertaken: only a commit index is left out, and only if what follows tells the
// same member of the same term at least as much.
func TestOvertaken(t *testing.T) {
	app := func(to, term, index, commit uint64, ents ...*raftpb.Entry) *raftpb.Message {
		return &raftpb.Message{Type: raftpb.MsgApp.Enum(), To: &to, Term: &term, Index: &index, Commit: &commit, Entries: ents}
	}
	other := func(typ raftpb.MessageType) *raftpb.Message {
		return &raftpb.Message{Type: typ.Enum(), To: new(uint64(2)), Term: new(uint64(5)), Index: new(uint64(9)), Commit: new(uint64(9))}
	}
	e := entries(5, 8, 9)
	told := app(2, 5, 7, 6)
	for _, tt := range []struct {
		name   string
		m      *raftpb.Message
		behind []*raftpb.Message
		want   bool
	}{
		{"nothing follows", told, nil, false},
		{"a batch follows", told, []*raftpb.Message{app(2, 5, 7, 6, e...)}, true},
		{"a newer commit index follows", told, []*raftpb.Message{app(2, 5, 7, 7)}, true},
		{"a batch follows the batch that follows", told, []*raftpb.Message{app(2, 5, 9, 6, entries(5, 10, 11)...)}, true},
		{"it follows after others", told, []*raftpb.Message{other(raftpb.MsgHeartbeat), app(3, 5, 7, 6), app(2, 5, 7, 6, e...)}, true},
		{"to another", told, []*raftpb.Message{app(3, 5, 7, 6, e...)}, false},
		{"of another term", told, []*raftpb.Message{app(2, 6, 7, 6, e...)}, false},
		{"that tells less", told, []*raftpb.Message{app(2, 5, 7, 5, e...)}, false},
		{"that begins earlier, as after a rejection", told, []*raftpb.Message{app(2, 5, 6, 6, e...)}, false},
		{"a heartbeat, which tells no more than was acknowledged", told, []*raftpb.Message{other(raftpb.MsgHeartbeat)}, false},
		{"a snapshot, which may never arrive", told, []*raftpb.Message{other(raftpb.MsgSnap)}, false},
		{"entries are never left out", app(2, 5, 7, 6, e...), []*raftpb.Message{app(2, 5, 7, 6, e...)}, false},
		{"nor is anything else", other(raftpb.MsgHeartbeat), []*raftpb.Message{app(2, 5, 9, 9, e...)}, false},
	} {
		if got := overtaken(tt.m, tt.behind); got != tt.want {
			t.Errorf("%s: left out %v, want %v", tt.name, got, tt.want)
		}
	}
}

// keeping is a network that keeps what is sent.
type keeping struct {
	deafTransport
	mu   sync.Mutex
	sent []*raftpb.Message
}

func (k *keeping) Send(msgs []*raftpb.Message) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.sent = append(k.sent, msgs...)
}

func (k *keeping) count(typ raftpb.MessageType) (n int) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, m := range k.sent {
		if m.GetType() == typ {
			n++
		}
	}
	return n
}

// TestLastWords: what a member has for others is sent although its loop ends with the
// same turn.
func TestLastWords(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		cfg := singleConfig()
		cfg.Founders = append(cfg.Founders, Founder{ID: 1, PeerURL: "http://127.0.0.1:2"})
		n, err := New(cfg, newTestMachine(), d)
		must(t, err)
		must(t, n.Open())
		tr := &keeping{}
		done := make(chan error, 1)
		go func() { done <- n.Run(context.Background(), tr) }()
		synctest.Wait()
		n.do(func(l *loop[int]) { must(t, l.rn.Campaign()) })
		n.MarkRemoved()
		if err := <-done; !errors.Is(err, ErrRemoved) {
			t.Errorf("the member ends with %v", err)
		}
		if tr.count(raftpb.MsgPreVote) != 1 {
			t.Error("what it asked in its last turn was not sent")
		}
		kill(d)
	})
}

// TestCommitIndexWaitsForTheNextBatch: it is told with the batch that gathers, and a
// member that ends makes none.
func TestCommitIndexWaitsForTheNextBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, tr := bareLoop(t), &keeping{}
		l.tr = tr
		l.view = view{term: 5, leader: testID.Member, state: raft.StateLeader}
		l.gather.begin(64, 0, time.Now().Add(-time.Millisecond))
		l.gather.end(0, time.Now())
		l.out = []*raftpb.Message{
			{Type: raftpb.MsgApp.Enum(), To: new(uint64(2))},
			{Type: raftpb.MsgHeartbeat.Enum(), To: new(uint64(2))},
		}
		l.send()
		if beats, told := tr.count(raftpb.MsgHeartbeat), tr.count(raftpb.MsgApp); beats != 1 || told != 0 {
			t.Fatalf("while a batch gathers, %d heartbeats and %d commit indexes are sent", beats, told)
		}
		l.failure = errors.New("the disk is gone")
		l.send()
		if told := tr.count(raftpb.MsgApp); told != 1 {
			t.Errorf("at its end the member has told %d commit indexes, want 1", told)
		}
	})
}

// TestReadsAsASingleVoterIsElected: the only voter is asked to confirm a read in the
// very turn in which it comes to lead. It does not know yet what it had committed in
// an earlier life, and raft would answer at once.
func TestReadsAsASingleVoterIsElected(t *testing.T) {
	l := bareLoop(t)
	self, learner := testID.Member, testID.Member+1
	must(t, l.n.mem.ApplySnapshot(&raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
		Index: new(uint64(5)), Term: new(uint64(1)), ConfState: &raftpb.ConfState{Voters: []uint64{self}, Learners: []uint64{learner}},
	}}))
	must(t, l.n.mem.Append(entries(1, 6, 9))) // acknowledged all, and known to be committed up to 5
	rn, err := raft.NewRawNode(&raft.Config{
		ID: self, ElectionTick: 10, HeartbeatTick: 1, Storage: l.n.mem, Applied: 5, AsyncStorageWrites: true,
		MaxSizePerMsg: 1 << 20, MaxInflightMsgs: 10, Logger: raftLogger{l.n.lg.Sugar()},
	})
	must(t, err)
	l.rn = rn
	l.noteVoters()
	must(t, rn.Campaign())
	l.handleReady()
	var elected []*raftpb.Message
	for _, job := range l.n.walq.take(nil) {
		elected = append(elected, job.msg.GetResponses()...)
	}
	l.turn(&inputs[int]{local: elected, peers: []*raftpb.Message{{
		Type: raftpb.MsgReadIndex.Enum(), From: new(learner), To: new(self), Entries: []*raftpb.Entry{{Data: []byte("round")}},
	}}}, false)
	if !l.leading() || l.termCommitted {
		t.Fatal("the voter does not lead, or has committed already")
	}
	for _, m := range l.out {
		if m.GetType() == raftpb.MsgReadIndexResp {
			t.Errorf("a read is confirmed at %d, 9 was acknowledged", m.GetIndex())
		}
	}
}
