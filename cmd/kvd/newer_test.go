package main

import (
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"kvd/internal/raftnode"
)

// A committed entry that only a newer version understands ends the member, at
// every start, with what to do: to skip it would make its state another one.
func TestNewerEntryEndsTheMember(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	args := []string{"--data-dir", dir, "--listen-peer", freeAddress(t)}
	m := start(t, args...)
	m.do("PUT", "/v1/kv/a", "before", http.StatusCreated)
	m.signal(syscall.SIGKILL)
	m.wait()

	d, err := raftnode.OpenDisk(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := d.Identity()
	rec, err := d.Load(id)
	if err != nil {
		t.Fatal(err)
	}
	next := rec.Entries[len(rec.Entries)-1].GetIndex() + 1
	hs := proto.Clone(rec.HardState).(*raftpb.HardState)
	hs.Commit = &next
	entry := &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Term: new(hs.GetTerm()), Index: &next, Data: []byte{200}}
	if err := d.Save(hs, []*raftpb.Entry{entry}); err != nil {
		t.Fatal(err)
	}
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		m := launch(t, args...)
		code, _ := m.wait()
		last := m.log[len(m.log)-1]
		if code != exitDataDir {
			t.Errorf("exit code = %d, want 3", code)
		}
		for _, text := range []string{dir, "entry version 200", "upgrade this member", "install the version that the other members run"} {
			if !strings.Contains(last, text) {
				t.Errorf("%q does not say %q", last, text)
			}
		}
	}
}
