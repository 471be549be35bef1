package raftnode

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// plainEntry is one of the kinds that a leader writes.
func plainEntry(term, index uint64, kind byte, clock time.Duration, payload []byte) *raftpb.Entry {
	h := entryHeader{kind: kind, id: entryID{Member: 2, Boot: 1, Counter: index}, clock: clock}
	return &raftpb.Entry{Term: new(term), Index: new(index), Data: append(h.append(nil), payload...)}
}

// told renders an offline log, an entry a line.
func told(t *testing.T, l *OfflineLog) string {
	t.Helper()
	var b strings.Builder
	for e, err := range l.Entries() {
		must(t, err)
		fmt.Fprintf(&b, "%d/%d %s %v", e.Term, e.Index, e.Kind, e.Clock)
		for _, c := range e.Commands {
			fmt.Fprintf(&b, " %q", c)
		}
		if e.Change != "" {
			fmt.Fprintf(&b, ": %s", e.Change)
		}
		if e.Refused != "" {
			b.WriteString(" (refused)")
		}
		if e.Members != nil {
			fmt.Fprintf(&b, ", %d members", len(e.Members))
		}
		if e.Detail != nil {
			fmt.Fprintf(&b, " %s", e.Detail)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

func TestOpenLog(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, _ := openLoaded(t, dir)
	verdictData, err := json.Marshal(verdict{Index: 7, Hash: 5})
	must(t, err)
	two := appendCommand(appendCommand([]byte{2}, []byte("a")), []byte("b"))
	must(t, d.Save(hardState(2, 11), threeMembers(t)), d.Save(hardState(2, 11), []*raftpb.Entry{
		plainEntry(2, 6, kindCommands, 3*time.Second, two),
		plainEntry(2, 7, kindCheck, 2*time.Second, nil),
		plainEntry(2, 8, kindVerdict, 4*time.Second, verdictData),
		changeEntry(t, 2, 9, raftpb.ConfChangeRemoveNode, Member{ID: 2}),
		changeEntry(t, 2, 10, raftpb.ConfChangeAddLearnerNode, Member{ID: 2, PeerURL: peerURL(2)}),
		{Term: new(uint64(2)), Index: new(uint64(11)), Data: []byte("\x00")},
		{Term: new(uint64(2)), Index: new(uint64(12))},
	}))
	if _, err := OpenLog(dir); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "in use by process") {
		t.Errorf("while in use: %v", err)
	}
	kill(d)
	before := digest(t, dir)
	l, err := OpenLog(dir)
	must(t, err)
	want := `1/1 change 0s: add member 1 at http://10.0.0.1:12379 as a voter, 1 members
1/2 change 0s: add member 2 at http://10.0.0.2:12379 as a voter, 2 members
1/3 change 0s: add member 3 at http://10.0.0.3:12379 as a voter, 3 members
`
	got := told(t, l)
	if !strings.HasPrefix(got, want) {
		t.Errorf("got\n%s", got)
	}
	want = `2/6 commands 3s "a" "b"
2/7 check 3s
2/8 verdict 4s {"index":7,"hash":5,"hashes":null}
2/9 change 4s: remove member 2, 2 members
2/10 change 4s: add member 2 at http://10.0.0.2:12379 as a learner (refused), 2 members
2/11 ignored 4s
`
	if !strings.HasSuffix(got, want) {
		t.Errorf("got\n%s\nwant at its end\n%s", got, want)
	}
	if l.Commit != 11 || l.Last != 12 || l.Term != 2 || l.Identity != testID || l.Snapshot.Index != 0 {
		t.Errorf("got %+v", l)
	}
	must(t, l.Restore(func(io.Reader) error { return errors.New("there is no snapshot to restore") }))
	if _, err := OpenDisk(dir, nil); !errors.Is(err, ErrDataDir) {
		t.Errorf("a member may open what is being read: %v", err)
	}
	must(t, l.Close(), l.Close())
	if digest(t, dir) != before {
		t.Error("the directory was changed")
	}
}

// The log begins with the oldest snapshot that is whole: what happened matters, and
// not how soon a member could start.
func TestOpenLogBehindSnapshots(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, _ := openLoaded(t, dir)
	m := &membership{Members: map[uint64]Member{1: {ID: 1}, 3: {ID: 3}}}
	cs := &raftpb.ConfState{Voters: []uint64{1, 3}}
	// As a member that began with another's state: there is nothing before it.
	first := &raftpb.SnapshotMetadata{Term: new(uint64(2)), Index: new(uint64(10)), ConfState: cs}
	must(t, d.Save(hardState(2, 10), nil), d.WriteBody(10, bytes.NewReader(headedBody(t, 2, 10, m, cs, "ten"))), d.SaveSnapshot(first, true), d.Sync())
	for i := uint64(11); i <= 14; i++ {
		must(t, d.Save(hardState(2, i), []*raftpb.Entry{plainEntry(2, i, kindCheck, time.Duration(i), nil)}))
	}
	for _, at := range []uint64{12, 14} {
		meta := &raftpb.SnapshotMetadata{Term: new(uint64(2)), Index: new(at), ConfState: cs}
		must(t, d.WriteBody(at, bytes.NewReader(headedBody(t, 2, at, m, cs, fmt.Sprint("state ", at)))), d.SaveSnapshot(meta, false), d.Sync())
	}
	kill(d)
	begin := func(index uint64, state, first string) {
		t.Helper()
		l, err := OpenLog(dir)
		must(t, err)
		var got []byte
		must(t, l.Restore(func(r io.Reader) (err error) {
			got, err = io.ReadAll(r)
			return err
		}))
		if l.Snapshot.Index != index || string(got) != state || !strings.HasPrefix(told(t, l), first) {
			t.Errorf("from index %d with state %q:\n%s", l.Snapshot.Index, got, told(t, l))
		}
		must(t, l.Close())
	}
	begin(10, "ten", "2/11 check")
	damage(t, d.bodyPath(10), func(b []byte) []byte { b[len(b)-20] ^= 1; return b })
	begin(12, "state 12", "2/13 check")
}

func TestOpenLogRefuses(t *testing.T) {
	for _, dir := range []string{t.TempDir(), filepath.Join(t.TempDir(), "missing")} {
		if _, err := OpenLog(dir); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), dir) {
			t.Errorf("%s: %v", dir, err)
		}
	}
	dir := filepath.Join(t.TempDir(), "data")
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 9), entries(1, 1, 9)))
	kill(d)
	last := lastSegment(t, dir)
	damage(t, last, func(b []byte) []byte { clear(b[records(t, last)[6]:]); return b })
	if _, err := OpenLog(dir); !errors.Is(err, ErrDataDir) {
		t.Errorf("a log that lost its end: %v", err)
	}
	if d, err := peek(dir); err != nil {
		t.Errorf("the lock was kept: %v", err)
	} else {
		must(t, d.Close())
	}
}
