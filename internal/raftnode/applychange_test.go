package raftnode

import (
	"encoding/json"
	"errors"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// changed has a change proposed behind the back of the leader's judgement and
// returns what became of it where it was applied.
func changed(t *testing.T, n *Node[int], propose func(context []byte) raftpb.ConfChangeI, mb Member) error {
	t.Helper()
	ctx := within(t, 10*time.Second)
	done, err := ask(ctx, n, func(l *loop[int]) (chan error, error) {
		f := &inFlight[int]{id: l.nextID(), done: make(chan error, 1)}
		b, err := json.Marshal(changeContext{ID: f.id, Member: mb})
		if err != nil {
			return nil, err
		}
		n.inFlight.add(f)
		if err := l.rn.ProposeConfChange(propose(b)); err != nil {
			return nil, err
		}
		l.handleReady()
		if f.index == 0 {
			return nil, errors.New("refused by raft")
		}
		return f.done, nil
	})
	must(t, err)
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		t.Fatal("the change was never applied")
		return nil
	}
}

// TestRejectedChanges: a change that the membership forbids is rejected where
// it is applied, alike on every member, and raft is told so: the one after it
// is not refused as a second one. raft panics over some of them if it hears of
// them: the removal of the last voter, and a joint change that is not one.
func TestRejectedChanges(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	defer d.Close()
	n, stop := start(t, singleConfig(), newTestMachine(), d)
	ctx := within(t, 30*time.Second)
	must(t, n.ReadBarrier(ctx))
	self := testID.Member
	v1 := func(typ raftpb.ConfChangeType, id uint64) func([]byte) raftpb.ConfChangeI {
		return func(b []byte) raftpb.ConfChangeI {
			return &raftpb.ConfChange{Type: typ.Enum(), NodeId: &id, Context: b}
		}
	}
	exchange := func(in, out uint64) func([]byte) raftpb.ConfChangeI {
		return func(b []byte) raftpb.ConfChangeI { return swap(in, out, b) }
	}
	for _, tt := range []struct {
		name   string
		change func([]byte) raftpb.ConfChangeI
		mb     Member
		want   error
	}{
		{"address in use", v1(raftpb.ConfChangeAddLearnerNode, 9), Member{PeerURL: singleConfig().PeerURL}, ErrMemberExists},
		{"removal of the last voter", v1(raftpb.ConfChangeRemoveNode, self), Member{}, ErrWouldLoseQuorum},
		{"removal of nobody", v1(raftpb.ConfChangeRemoveNode, 9), Member{}, ErrNoSuchMember},
		{"update of nobody", v1(raftpb.ConfChangeUpdateNode, 9), Member{}, ErrNoSuchMember},
		{"nobody takes the place of the voter", exchange(9, self), Member{}, ErrNoSuchMember},
		{"the voter takes the place of nobody", exchange(self, 9), Member{}, ErrMemberExists},
		{"a good one", v1(raftpb.ConfChangeAddLearnerNode, 12), Member{PeerURL: "http://new:1"}, nil},
		{"a learner takes the place of nobody", exchange(12, 9), Member{}, ErrNoSuchMember},
		{"and another good one", v1(raftpb.ConfChangeRemoveNode, 12), Member{}, nil},
	} {
		if got := changed(t, n, tt.change, tt.mb); !errors.Is(got, tt.want) {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
		st, err := n.Status(ctx)
		must(t, err)
		if len(st.Voters) != 1 || len(st.VotersOutgoing) != 0 {
			t.Fatalf("%s: voters %v and %v", tt.name, st.Voters, st.VotersOutgoing)
		}
	}

	// An end of a joint configuration where there is none.
	next := n.applied.index.Load() + 1
	applyData := func(typ raftpb.EntryType, data []byte) {
		e := &raftpb.Entry{Type: typ.Enum(), Index: new(next), Term: new(uint64(1)), Data: data}
		n.applyq.put(applyJob{msg: &raftpb.Message{Entries: []*raftpb.Entry{e}}})
		next++
	}
	apply := func(cc *raftpb.ConfChangeV2) {
		data, err := proto.Marshal(cc)
		must(t, err)
		applyData(raftpb.EntryConfChangeV2, data)
	}
	apply(&raftpb.ConfChangeV2{})
	// Bytes that are no change at all. raft's leader takes none, another's log may.
	applyData(raftpb.EntryConfChange, []byte("\xff"))
	applyData(raftpb.EntryConfChangeV2, []byte("\xff"))
	for n.applied.index.Load()+1 < next {
		if _, err := n.Status(ctx); err != nil {
			t.Fatalf("the member did not survive it: %v", err)
		}
	}
	// A joint change of a kind that only a newer version makes.
	strange := swap(9, 10, nil)
	strange.Changes = append(strange.Changes, strange.Changes[0])
	apply(strange)
	for ctx.Err() == nil {
		if _, err := n.Status(ctx); errors.Is(err, ErrStopped) {
			break
		}
	}
	if err := stop(); !errors.Is(err, ErrNewerVersion) {
		t.Errorf("end %v, want %v", err, ErrNewerVersion)
	}
}

// TestPeerFollowsItsAddress: the transport hears of a new address with the
// entry that has it.
func TestPeerFollowsItsAddress(t *testing.T) {
	tr := &peerRecorder{}
	var p peerSet
	p.init(1, nil, tr)
	m := &membership{Members: map[uint64]Member{1: {ID: 1, PeerURL: "http://a:1"}, 2: {ID: 2, PeerURL: "http://b:1"}}}
	p.update(m)
	p.update(m.change(raftpb.ConfChangeUpdateNode, m.Members[2].with(MemberUpdate{PeerURL: new("http://b:2")})))
	if tr.peers[2] != "http://b:2" {
		t.Errorf("peers %v", tr.peers)
	}
}
