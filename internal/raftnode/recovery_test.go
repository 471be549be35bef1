package raftnode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// commandEntry is one command as the log has it.
func commandEntry(term, index uint64, cmd string) *raftpb.Entry {
	h := entryHeader{kind: kindCommands, id: entryID{Member: 1, Boot: 9, Counter: index}}
	return &raftpb.Entry{Term: new(term), Index: new(index), Data: appendCommand(binary.AppendUvarint(h.append(nil), 1), []byte(cmd))}
}

func commandEntries(term, first, last uint64) []*raftpb.Entry {
	var ents []*raftpb.Entry
	for i := first; i <= last; i++ {
		ents = append(ents, commandEntry(term, i, fmt.Sprint("cmd ", i)))
	}
	return ents
}

// swapEntry makes a voter of member in and removes member out, in one change.
func swapEntry(t *testing.T, term, index, in, out uint64) *raftpb.Entry {
	t.Helper()
	data, err := proto.Marshal(&raftpb.ConfChangeV2{Context: []byte("{}"), Changes: []*raftpb.ConfChangeSingle{
		{Type: raftpb.ConfChangeAddNode.Enum(), NodeId: new(in)}, {Type: raftpb.ConfChangeRemoveNode.Enum(), NodeId: new(out)},
	}})
	must(t, err)
	return &raftpb.Entry{Term: new(term), Index: new(index), Type: raftpb.EntryConfChangeV2.Enum(), Data: data}
}

// TestRecovery: of three members one is left. It goes on alone with all its
// entries, also those of which it never learned that they were committed.
func TestRecovery(t *testing.T) {
	tests := []struct {
		name  string
		write func(*testing.T, *Disk)
		want  Recovery // beside identity and members
		cmds  []uint64 // the first and the last
	}{
		{"log alone", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 5), threeMembers(t)), d.Save(hardState(2, 90), commandEntries(2, 6, 100)))
		}, Recovery{Last: 100, LastTerm: 2, Commit: 90}, []uint64{6, 100}},
		{"snapshot and log", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 5), threeMembers(t)), d.Save(hardState(2, 90), commandEntries(2, 6, 100)))
			m := &membership{Members: map[uint64]Member{1: {ID: 1, PeerURL: peerURL(1)}, 2: {ID: 2, PeerURL: peerURL(2)}, 3: {ID: 3, PeerURL: peerURL(3)}}}
			cs := &raftpb.ConfState{Voters: []uint64{1, 2, 3}}
			meta := &raftpb.SnapshotMetadata{Term: new(uint64(2)), Index: new(uint64(80)), ConfState: cs}
			var state []string
			for i := uint64(6); i <= 80; i++ {
				state = append(state, fmt.Sprint("cmd ", i))
			}
			must(t, d.WriteBody(80, bytes.NewReader(headedBody(t, 2, 80, m, cs, strings.Join(state, "\n")))), d.SaveSnapshot(meta, false))
		}, Recovery{SnapshotIndex: 80, Last: 100, LastTerm: 2, Commit: 90}, []uint64{6, 100}},
		{"snapshot alone", func(t *testing.T, d *Disk) {
			m := &membership{Members: map[uint64]Member{1: {ID: 1}, 3: {ID: 3}}}
			cs := &raftpb.ConfState{Voters: []uint64{1, 3}}
			meta := &raftpb.SnapshotMetadata{Term: new(uint64(4)), Index: new(uint64(8)), ConfState: cs}
			must(t, d.WriteBody(8, bytes.NewReader(headedBody(t, 4, 8, m, cs, "cmd 7\ncmd 8"))), d.SaveSnapshot(meta, true), d.Save(hardState(4, 8), nil), d.Sync())
		}, Recovery{SnapshotIndex: 8, Last: 8, LastTerm: 4, Commit: 8}, []uint64{7, 8}},
		{"a learner", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 5), []*raftpb.Entry{
				changeEntry(t, 1, 1, raftpb.ConfChangeAddNode, Member{ID: 1, PeerURL: peerURL(1)}),
				changeEntry(t, 1, 2, raftpb.ConfChangeAddNode, Member{ID: 2, PeerURL: peerURL(2)}),
				changeEntry(t, 1, 3, raftpb.ConfChangeAddLearnerNode, Member{ID: 3, PeerURL: peerURL(3)}),
				changeEntry(t, 1, 4, raftpb.ConfChangeAddLearnerNode, Member{ID: 4, PeerURL: peerURL(4)}),
			}), d.Save(hardState(2, 4), commandEntries(2, 5, 9)))
		}, Recovery{Last: 9, LastTerm: 2, Commit: 4, Learner: true}, []uint64{5, 9}},
		{"a swap half way through", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 5), threeMembers(t)), d.Save(hardState(2, 9), []*raftpb.Entry{
				changeEntry(t, 2, 6, raftpb.ConfChangeAddLearnerNode, Member{ID: 4, PeerURL: peerURL(4), Replaces: 1}),
				commandEntry(2, 7, "cmd 7"), commandEntry(2, 8, "cmd 8"),
				swapEntry(t, 2, 9, 4, 1),
			}))
		}, Recovery{Last: 9, LastTerm: 2, Commit: 9, Joint: true}, []uint64{7, 8}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir, into := filepath.Join(t.TempDir(), "old"), filepath.Join(t.TempDir(), "new")
			d, _ := openLoaded(t, dir)
			tt.write(t, d)
			kill(d)
			before := digest(t, dir)
			p, err := PlanRecovery(dir)
			must(t, err)
			want := tt.want
			want.Identity, want.Members, want.dir = testID, p.Members, dir
			if !reflect.DeepEqual(*p, want) {
				t.Errorf("plan %+v, want %+v", *p, want)
			}
			id, err := p.Run(into)
			must(t, err)
			if id.Cluster == testID.Cluster || id.Member != testID.Member || id.Name != testID.Name {
				t.Errorf("identity %+v", id)
			}
			if digest(t, dir) != before {
				t.Error("the old directory was changed")
			}
			if _, err := p.Run(into); !errors.Is(err, ErrDataDir) {
				t.Errorf("a second time into the same directory: %v", err)
			}
			for life := range 2 {
				wantSurvivor(t, into, id, tt.cmds[0], tt.cmds[1], life)
			}
		})
	}
}

// wantSurvivor runs the member that was recovered.
func wantSurvivor(t *testing.T, dir string, id Identity, first, last uint64, life int) {
	t.Helper()
	d, err := OpenDisk(dir, nil)
	must(t, err)
	defer kill(d)
	sm := newTestMachine()
	cfg := singleConfig()
	cfg.Identity, cfg.Founders, cfg.PeerURL = id, nil, peerURL(id.Member)
	n, stop := start(t, cfg, sm, d)
	ctx := within(t, time.Minute)
	if _, err := n.Propose(ctx, fmt.Append(nil, "later ", life)); err != nil {
		t.Fatal(err)
	}
	var want []string
	for i := first; i <= last; i++ {
		want = append(want, fmt.Sprint("cmd ", i))
	}
	for i := range life + 1 {
		want = append(want, fmt.Sprint("later ", i))
	}
	if !slices.Equal(sm.log.cmds, want) {
		t.Errorf("commands %q, want %q", sm.log.cmds, want)
	}
	if m := n.members.Load(); len(m.Members) != 1 || m.Members[id.Member].Learner || len(m.Removed) == 0 {
		t.Errorf("members %+v", m)
	}
	must(t, stop())
}

func TestRecoveryRefused(t *testing.T) {
	home := t.TempDir()
	for name, tt := range map[string]struct {
		write func(*Disk) error
		want  error
		text  string
	}{
		"nothing there": {func(*Disk) error { return nil }, ErrDataDir, "no log"},
		"removed":       {func(d *Disk) error { return d.MarkRemoved() }, ErrRemoved, "member 3"},
		"removed by log": {func(d *Disk) error {
			return d.Save(hardState(1, 5), append(threeMembers(t), changeEntry(t, 1, 6, raftpb.ConfChangeRemoveNode, Member{ID: 3})))
		}, ErrDataDir, "recover another member"},
		"a log of others": {func(d *Disk) error { return d.Save(hardState(1, 5), threeMembers(t)[:2]) }, ErrDataDir, "5 was committed"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(home, name)
			d, _ := openLoaded(t, dir)
			must(t, tt.write(d))
			kill(d)
			before := digest(t, dir)
			if _, err := PlanRecovery(dir); !errors.Is(err, tt.want) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("error %v, want %q", err, tt.text)
			}
			if digest(t, dir) != before {
				t.Error("the directory was changed")
			}
		})
	}
	dir := filepath.Join(home, "in use")
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 5), threeMembers(t)))
	if _, err := PlanRecovery(dir); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("in use: %v", err)
	}
	kill(d)
	p, err := PlanRecovery(dir)
	must(t, err)
	if _, err := p.Run(dir); !errors.Is(err, ErrDataDir) {
		t.Errorf("into itself: %v", err)
	}
	if names, err := os.ReadDir(home); err != nil || len(names) != 5 {
		t.Errorf("left: %v, %v", names, err)
	}
}
