package raftnode

import (
	"bytes"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// changeEntry is a membership change as the log has it.
func changeEntry(t *testing.T, term, index uint64, typ raftpb.ConfChangeType, mb Member) *raftpb.Entry {
	t.Helper()
	b, err := json.Marshal(changeContext{Member: mb})
	must(t, err)
	data, err := proto.Marshal(&raftpb.ConfChange{Type: typ.Enum(), NodeId: new(mb.ID), Context: b})
	must(t, err)
	return &raftpb.Entry{Term: new(term), Index: new(index), Type: raftpb.EntryConfChange.Enum(), Data: data}
}

// memberEntry is a member that publishes itself.
func memberEntry(t *testing.T, term, index uint64, mb Member) *raftpb.Entry {
	t.Helper()
	b, err := json.Marshal(mb)
	must(t, err)
	h := entryHeader{kind: kindMember, id: entryID{Member: mb.ID, Boot: 1, Counter: index}}
	return &raftpb.Entry{Term: new(term), Index: new(index), Data: append(h.append(nil), b...)}
}

// threeMembers is the log of a cluster of members 1, 2 and 3, of which 1 and 3
// have published themselves, up to index 5.
func threeMembers(t *testing.T) []*raftpb.Entry {
	t.Helper()
	var ents []*raftpb.Entry
	for id := range uint64(3) {
		ents = append(ents, changeEntry(t, 1, id+1, raftpb.ConfChangeAddNode, Member{ID: id + 1, PeerURL: peerURL(id + 1)}))
	}
	for i, id := range []uint64{1, 3} {
		ents = append(ents, memberEntry(t, 1, uint64(i)+4, Member{ID: id, Name: "n", PeerURL: peerURL(id), ClientURL: clientURL(id)}))
	}
	return ents
}

func peerURL(id uint64) string   { return "http://10.0.0." + string('0'+rune(id)) + ":12379" }
func clientURL(id uint64) string { return "http://10.0.0." + string('0'+rune(id)) + ":12380" }

// headedBody is a snapshot that tells its members.
func headedBody(t *testing.T, term, index uint64, m *membership, cs *raftpb.ConfState, state string) []byte {
	t.Helper()
	b, err := proto.Marshal(cs)
	must(t, err)
	var buf bytes.Buffer
	h := &bodyHeader{Cluster: testID.Cluster, Index: index, Term: term, ConfState: b, Membership: m}
	must(t, writeBody(&buf, h, stringState(state)))
	return buf.Bytes()
}

func TestExamine(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 3), threeMembers(t)), d.Save(hardState(2, 8), entries(2, 6, 9)),
		d.Save(hardState(2, 8), []*raftpb.Entry{changeEntry(t, 2, 10, raftpb.ConfChangeRemoveNode, Member{ID: 2})}))
	if _, err := Examine(dir); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("while in use: %v", err)
	}
	kill(d)
	must(t, os.WriteFile(filepath.Join(dir, "snap", "tmp1"), nil, 0o600))
	before := digest(t, dir)
	r, err := Examine(dir)
	must(t, err, r.Fault)
	want := &Report{
		Dir: dir, Identity: testID, Term: 2, Vote: 1, Commit: 8, First: 1, Last: 10, LastTerm: 2, Segments: 1,
		Watermark: Watermark{State: "ok", Index: 10, Term: 2, Vote: 1},
		Members: []Member{
			{ID: 1, Name: "n", PeerURL: peerURL(1), ClientURL: clientURL(1), Started: true},
			{ID: 2, PeerURL: peerURL(2)},
			{ID: 3, Name: "n", PeerURL: peerURL(3), ClientURL: clientURL(3), Started: true},
		},
		Bytes: r.Bytes, Leftovers: []string{"snap/tmp1"},
	}
	if !reflect.DeepEqual(r, want) {
		t.Errorf("got  %+v\nwant %+v", r, want)
	}
	if digest(t, dir) != before {
		t.Error("the directory was changed")
	}

	// Later: the removal is committed, and there are snapshots.
	d, _ = openLoaded(t, dir)
	m := &membership{Members: map[uint64]Member{1: {ID: 1}, 3: {ID: 3}}, Removed: map[uint64]struct{}{2: {}}}
	cs := &raftpb.ConfState{Voters: []uint64{1, 3}}
	must(t, d.Save(hardState(2, 12), entries(2, 11, 12)))
	for _, at := range []uint64{10, 12} {
		meta := &raftpb.SnapshotMetadata{Term: new(uint64(2)), Index: new(at), ConfState: cs}
		must(t, d.WriteBody(at, bytes.NewReader(headedBody(t, 2, at, m, cs, "state"))), d.SaveSnapshot(meta, false))
	}
	kill(d)
	damage(t, d.bodyPath(12), func(b []byte) []byte { b[len(b)-20] ^= 1; return b })
	last := lastSegment(t, dir)
	at := end(t, last)[0]
	damage(t, last, func(b []byte) []byte { copy(b[at:], "\xff\xff\xff\xff\xff\xff\xff\x7f"); return b })
	r, err = Examine(dir)
	must(t, err, r.Fault)
	if len(r.Snapshots) != 2 || !errors.Is(r.Snapshots[0].Fault, errBadBody) || r.Snapshots[0].Index != 12 || r.Snapshots[1].Fault != nil || r.Snapshots[1].Term != 2 {
		t.Errorf("snapshots %+v", r.Snapshots)
	}
	if len(r.Members) != 2 || !reflect.DeepEqual(r.Former, []uint64{2}) {
		t.Errorf("members %+v, former %v", r.Members, r.Former)
	}
	if r.Torn == nil || r.Torn.Offset != at || r.Torn.File != last {
		t.Errorf("torn end %+v, want at %d", r.Torn, at)
	}

	// And then the log is lost.
	must(t, os.Truncate(last, records(t, last)[12]+20))
	r, err = Examine(dir)
	must(t, err)
	u, ok := errors.AsType[*Unusable](r.Fault)
	if !ok || u.Identity != testID || u.Durable != 12 || len(u.Members) != 2 || u.Snapshot != d.bodyPath(10) {
		t.Errorf("fault %v: %+v", r.Fault, u)
	}
}

// TestExamineNothing: what is no data directory, or a new one.
func TestExamineNothing(t *testing.T) {
	dir := t.TempDir()
	if r, err := Examine(dir); err != nil || r.Fault != nil || r.Identity != (Identity{}) {
		t.Errorf("empty directory: %+v, %v", r, err)
	}
	if names, err := os.ReadDir(dir); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v, %v", names, err)
	}
	file := filepath.Join(dir, "file")
	must(t, os.WriteFile(file, nil, 0o600))
	for _, path := range []string{file, filepath.Join(dir, "missing")} {
		if _, err := Examine(path); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: %v", path, err)
		}
	}
	d, _ := openLoaded(t, filepath.Join(dir, "gone"))
	must(t, d.Save(hardState(1, 1), entries(1, 1, 1)), d.MarkRemoved())
	kill(d)
	if r, err := Examine(d.dir); err != nil || !strings.Contains(r.Removed, "member 3") || r.Last != 1 {
		t.Errorf("removed member's directory: %+v, %v", r, err)
	}
}
