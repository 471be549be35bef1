package raftnode

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

// TestPoisonedEntries is about an entry that every member chokes on, at every
// start anew, because it is in the log. What cannot be read is passed over, by
// all members alike; what comes after it is served, also in the next life.
func TestPoisonedEntries(t *testing.T) {
	header := func(kind byte) []byte {
		return entryHeader{kind: kind, id: entryID{1, 2, 3}, clock: time.Hour}.append(nil)
	}
	rng := rand.New(rand.NewPCG(1, 1))
	noise := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(rng.Uint32())
		}
		b[0] = entryVersion // a higher one is for newer members, and ends this one
		return b
	}
	poison := [][]byte{
		{0}, {entryVersion}, header(kindCommands)[:entryHeaderBytes-1],
		header(kindCommands),
		append(header(kindCommands), 5),
		append(header(kindCommands), 1, 200, 'x'),
		append(header(kindCommands), 1, 1, 'x', 'y'),
		append(header(kindCommands), bytes.Repeat([]byte{0xff}, 12)...),
		append(header(kindMember), "null and void"...),
		append(header(kindMember), `{"id":"three"}`...),
		append(header(kindMember), `{"id":999,"name":"nobody"}`...),
		append(header(kindCheck), "that checks have not"...),
		append(header(kindVerdict), "guilty"...),
		append(header(kindVerdict), "null"...),
		append(header(kindVerdict), `{"index":"seven"}`...),
		append(header(kindVerdict), `{"index":18446744073709551615,"hash":1}`...),
		header(kindReseed),
		append(header(kindReseed), `{"member":-1}`...),
		append(header(kindReseed), `{"member":7,"boot":1,"from":7}`...),
		noise(20), noise(entryHeaderBytes - 1),
	}
	v1 := func(typ raftpb.ConfChangeType, id uint64, context string) raftpb.ConfChangeI {
		return &raftpb.ConfChange{Type: typ.Enum(), NodeId: &id, Context: []byte(context)}
	}
	changes := []raftpb.ConfChangeI{
		v1(raftpb.ConfChangeAddLearnerNode, 9, ""),
		v1(raftpb.ConfChangeRemoveNode, testID.Member, "not JSON"),
		v1(raftpb.ConfChangeUpdateNode, testID.Member, `{"update":7}`),
		v1(raftpb.ConfChangeAddNode, 9, `{"id":{"Member":"me"}}`),
		v1(raftpb.ConfChangeAddLearnerNode, raft.None, `{"member":{"peer_url":"http://none:1"}}`),
		swap(9, testID.Member, []byte("{")),
	}
	dir := t.TempDir()
	for life := range 2 {
		d, err := OpenDisk(dir, nil)
		must(t, err)
		cfg := singleConfig()
		cfg.SnapshotEntries = 1000 // so that the second life meets them too
		sm := newTestMachine()
		n, stop := start(t, cfg, sm, d)
		ctx := within(t, time.Minute)
		must(t, n.ReadBarrier(ctx))
		survive := func(what any, propose func(l *loop[int]) error) {
			t.Helper()
			n.do(func(l *loop[int]) {
				if err := propose(l); err != nil {
					t.Errorf("propose %x: %v", what, err)
				}
			})
			if _, err := n.Propose(ctx, []byte("good")); err != nil {
				t.Fatalf("life %d, after %x: %v", life, what, err)
			}
		}
		for _, b := range poison {
			survive(b, func(l *loop[int]) error { return l.rn.Propose(b) })
		}
		for _, cc := range changes {
			survive(cc, func(l *loop[int]) error { return l.rn.ProposeConfChange(cc) })
		}
		if got, want := len(sm.log.cmds), (life+1)*(len(poison)+len(changes)); got != want {
			t.Errorf("life %d: %d commands applied, want %d", life, got, want)
		}
		// raft has forgotten the changes, and a good one comes through.
		url := fmt.Sprint("http://clients:", life+1)
		_, err = n.UpdateMember(ctx, testID.Member, MemberUpdate{ClientURL: &url})
		must(t, err)
		v, err := n.Verify(ctx)
		must(t, err)
		if len(v.Hashes) != 1 || len(v.Diverged) != 0 {
			t.Errorf("life %d: verdict %+v", life, v)
		}
		must(t, stop())
		kill(d)
	}
	// Those that read the log of a member at rest see what it saw.
	r, err := Examine(dir)
	must(t, err)
	if r.Fault != nil || len(r.Members) != 1 || r.Members[0].ClientURL != "http://clients:2" || len(r.Former) != 0 {
		t.Errorf("fault %v, members %+v, former %v", r.Fault, r.Members, r.Former)
	}
}
