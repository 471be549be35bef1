package main

import (
	"bytes"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"kvd/internal/raftnode"
)

// A member with a damaged log says how to replace it, and what it says works
// as it stands.
func TestRemedyAsPrinted(t *testing.T) {
	dir := t.TempDir()
	founders := foundingArgs(t, 3)
	for id, args := range founders {
		founders[id] = append(args, "--data-dir", filepath.Join(dir, fmt.Sprint(id)))
	}
	members := startTogether(t, founders)
	for i := range 50 {
		members[1].do("PUT", fmt.Sprint("/v1/kv/", i), strings.Repeat("x", 500), http.StatusCreated)
	}
	members[3].do("GET", "/v1/kv/49", "", http.StatusOK) // it has all of it
	members[3].signal(syscall.SIGKILL)
	members[3].wait()
	log := filepath.Join(dir, "3", "wal", "0000000000000000-0000000000000000.wal")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	clear(b[8192:8704])
	if err := os.WriteFile(log, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, last := launch(t, founders[3]...).wait()
	if code != exitDataDir {
		t.Fatalf("exit code = %d, want 3: %s", code, last)
	}
	_, commands, ok := strings.Cut(last, "to replace this member: curl -X DELETE ")
	remove, serve, ok2 := strings.Cut(commands, " && kvd serve ")
	if !ok || !ok2 || !strings.HasSuffix(remove, "/v1/members/3") || strings.ContainsAny(serve, "'\\") {
		t.Fatalf("no commands in %s", last)
	}
	req, err := http.NewRequest(http.MethodDelete, remove, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("%s: %s", remove, resp.Status)
	}
	back := start(t, strings.Fields(serve)...)
	if got := back.do("GET", "/v1/kv/49", "", http.StatusOK); got != strings.Repeat("x", 500) {
		t.Errorf("value %q", got)
	}
	waitForVoters(t, members[1], 3)
	if b2, err := os.ReadFile(log); err != nil || !bytes.Equal(b, b2) {
		t.Errorf("the damaged log was changed, %v", err)
	}
}

func TestRemedyText(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b")
	self := raftnode.Member{ID: 3, PeerURL: "http://10.0.0.3:12379", ClientURL: "http://10.0.0.3:12380"}
	other := raftnode.Member{ID: 2, ClientURL: "http://10.0.0.2:12380/"}
	learner := raftnode.Member{ID: 1, ClientURL: "http://10.0.0.1:12380", Learner: true}
	unknown := &raftnode.Unusable{Dir: dir}
	alone := &raftnode.Unusable{Dir: dir, Identity: raftnode.Identity{Member: 3}, Members: []raftnode.Member{self}}
	three := &raftnode.Unusable{Dir: dir, Identity: raftnode.Identity{Member: 3}, Members: []raftnode.Member{learner, other, self}}
	t.Setenv("KVD_ID", "3")
	t.Setenv("KVD_TICK", "50ms")
	cfg := configOf(t, "--cluster", "3=http://10.0.0.3:12379,4=http://10.0.0.4:1", "--insecure", "--allowed-hosts", "it's,me")
	for _, tt := range []struct {
		name  string
		u     *raftnode.Unusable
		serve serveCommand
		want  string
	}{
		{"nothing known", unknown, likelyServe(unknown),
			"to replace this member: curl -X DELETE http://ANY-MEMBER/v1/members/ID && kvd serve --join http://ANY-MEMBER --data-dir '" + dir + ".new'"},
		{"all known", three, likelyServe(three),
			"to replace this member: curl -X DELETE http://10.0.0.2:12380/v1/members/3 && kvd serve --join http://10.0.0.2:12380 --data-dir '" + dir + ".new' --listen-client=10.0.0.3:12380 --listen-peer=10.0.0.3:12379 --insecure"},
		{"as started", three, sameServe(cfg),
			"to replace this member: curl -X DELETE http://10.0.0.2:12380/v1/members/3 && env -u KVD_ID kvd serve --join http://10.0.0.2:12380 --data-dir '" + dir +
				`.new' --listen-peer=10.0.0.3:12379 --advertise-peer=http://10.0.0.3:12379 --insecure=true --allowed-hosts='it'\''s,me'`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := remedy(tt.u, tt.serve); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if got := remedy(alone, serveCommand{}); !strings.HasPrefix(got, "no other member is known") || !strings.Contains(got, "kvd restore FILE") {
		t.Errorf("alone: %s", got)
	}
	alone.Snapshot = "/snap/1"
	if got, want := restoreFrom(alone), "the newest snapshot, without what was written since: kvd restore /snap/1 --data-dir '"+dir+".new'"; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
