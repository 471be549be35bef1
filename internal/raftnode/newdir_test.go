package raftnode

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// discard is the state of a snapshot for those who do not need it.
func discard(r io.Reader) error {
	_, err := io.Copy(io.Discard, r)
	return err
}

// backup is a snapshot file of members 1 and 7, learner 9 and the former 12.
func backup(t *testing.T) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "backup")
	m := &membership{
		Members: map[uint64]Member{1: {ID: 1}, 7: {ID: 7}, 9: {ID: 9, Learner: true}},
		Removed: map[uint64]struct{}{12: {}},
	}
	cs := &raftpb.ConfState{Voters: []uint64{1, 7}, Learners: []uint64{9}}
	must(t, os.WriteFile(file, headedBody(t, 5, 80, m, cs, "one\ntwo"), 0o600))
	return file
}

// TestRestoreRuns: a restored member leads a cluster of one, with the state of
// the file.
func TestRestoreRuns(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "restored")
	sf, id, err := Restore(backup(t), dir, "", discard)
	must(t, err)
	if sf.Index != 80 || sf.Cluster != testID.Cluster || id.Cluster == testID.Cluster || id.Member != 13 || id.Name != "n13" {
		t.Errorf("restored %+v as %+v", sf, id)
	}
	for range 2 {
		d, err := OpenDisk(dir, nil)
		must(t, err)
		sm := newTestMachine()
		cfg := singleConfig()
		cfg.Identity, cfg.Founders = id, nil
		n, stop := start(t, cfg, sm, d)
		ctx := within(t, time.Minute)
		if _, err := n.Propose(ctx, []byte("three")); err != nil {
			t.Fatal(err)
		}
		if got := sm.log.cmds[:3]; !reflect.DeepEqual(got, []string{"one", "two", "three"}) {
			t.Errorf("state %q", got)
		}
		for n.Members()[0].PeerURL == "" {
			must(t, n.ReadBarrier(ctx)) // it publishes itself
		}
		if got, m := n.Members(), n.members.Load(); len(got) != 1 || got[0].ID != 13 || got[0].PeerURL != cfg.PeerURL || len(m.Removed) != 4 {
			t.Errorf("members %+v, removed %v", got, m.Removed)
		}
		if st, err := n.Status(ctx); err != nil || st.Term < 6 {
			t.Errorf("status %+v, %v", st, err)
		}
		must(t, stop())
		kill(d)
	}
}

// TestNewDirectoryIsWholeOrNotThere: what fails on the way leaves nothing.
func TestNewDirectoryIsWholeOrNotThere(t *testing.T) {
	home := t.TempDir()
	dir := filepath.Join(home, "new")
	file := backup(t)
	nothingLeft := func(err error) {
		t.Helper()
		if err == nil {
			t.Error("no error")
		}
		if names, err := os.ReadDir(home); err != nil || len(names) > 0 {
			t.Errorf("left behind: %v, %v", names, err)
		}
	}
	_, _, err := Restore(file, dir, "", func(io.Reader) error { return errDisk })
	nothingLeft(err)

	// The file changes between the two times that it is read.
	_, _, err = Restore(file, dir, "", func(r io.Reader) error {
		err := discard(r)
		damage(t, file, func(b []byte) []byte { b[len(b)-14] ^= 1; return b })
		return err
	})
	nothingLeft(err)
	if !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "damaged") {
		t.Errorf("error %v", err)
	}

	// Somebody else was faster.
	file = backup(t)
	_, _, err = Restore(file, dir, "", func(r io.Reader) error {
		return errors.Join(discard(r), os.Mkdir(dir, 0o700), os.WriteFile(filepath.Join(dir, "theirs"), nil, 0o600))
	})
	if names, rerr := os.ReadDir(home); !errors.Is(err, ErrDataDir) || rerr != nil || len(names) != 1 {
		t.Errorf("error %v; left: %v", err, names)
	}
}
