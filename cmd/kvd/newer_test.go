package main

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"

	"kvd/internal/raftnode"
)

// A committed entry, or a command in one, that only a newer version understands
// ends the member, at every start, with what to do: to skip it would make its
// state another one.
func TestNewerEntryEndsTheMember(t *testing.T) {
	header := append([]byte{1, 1}, make([]byte, 24+8)...) // of a list of commands
	for _, tt := range []struct {
		name string
		data []byte
		says string
	}{
		{"entry", []byte{200}, "entry version 200"},
		{"command", append(header, 1, 1, 200), "version 200"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			args := []string{"--data-dir", dir, "--listen-peer", freeAddress(t)}
			m := start(t, args...)
			m.do("PUT", "/v1/kv/a", "before", http.StatusCreated)
			m.signal(syscall.SIGKILL)
			m.wait()
			appendCommitted(t, dir, tt.data)
			for range 2 {
				m := launch(t, args...)
				code, _ := m.wait()
				if code != exitDataDir {
					t.Errorf("exit code = %d, want 3", code)
				}
				last := m.log[len(m.log)-1]
				for _, text := range []string{dir, tt.says, "upgrade this member", "install the version that the other members run"} {
					if !strings.Contains(last, text) {
						t.Errorf("%q does not say %q", last, text)
					}
				}
			}
		})
	}
}

// appendCommitted adds an entry to the log of a member that does not run.
func appendCommitted(t *testing.T, dir string, data []byte) {
	t.Helper()
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
	entry := &raftpb.Entry{Type: raftpb.EntryNormal.Enum(), Term: new(hs.GetTerm()), Index: &next, Data: data}
	if err := errors.Join(d.Save(hs, []*raftpb.Entry{entry}), d.Close()); err != nil {
		t.Fatal(err)
	}
}
