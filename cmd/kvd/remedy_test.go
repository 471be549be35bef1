package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kvd/internal/raftnode"
)

// A member with a damaged log says how to replace it, and what it says works
// as it stands, also where the directory does not even tell whose it is: then
// the command line does.
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

	zeroSector := func(b []byte) []byte { clear(b[8192:8704]); return b }
	empty := func([]byte) []byte { return nil }
	// An address of another member is in the log, or in --join.
	next, args := replaceAsPrinted(t, members[3], founders[3], zeroSector, 3, "")
	waitForVoters(t, members[1], 3)
	replaceAsPrinted(t, members[2], founders[2], empty, 2, members[1].client)
	waitForVoters(t, members[1], 3)
	var self struct{ ID uint64 }
	if err := json.Unmarshal([]byte(next.do("GET", "/v1/status", "", http.StatusOK)), &self); err != nil {
		t.Fatal(err)
	}
	replaceAsPrinted(t, next, append(args, "--id", fmt.Sprint(self.ID)), empty, self.ID, "")
	waitForVoters(t, members[1], 3)
}

// replaceAsPrinted kills a member, damages its log, and does what the next
// start with the same flags says. via stands for ANY-MEMBER where that is said.
func replaceAsPrinted(t *testing.T, m *running, args []string, damage func([]byte) []byte, id uint64, via string) (*running, []string) {
	t.Helper()
	m.signal(syscall.SIGKILL)
	m.wait()
	log := filepath.Join(args[slices.Index(args, "--data-dir")+1], "wal", "0000000000000000-0000000000000000.wal")
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	b = damage(b)
	if err := os.WriteFile(log, b, 0o600); err != nil {
		t.Fatal(err)
	}
	code, last := launch(t, args...).wait()
	if code != exitDataDir {
		t.Fatalf("exit code = %d, want 3: %s", code, last)
	}
	if via != "" {
		if !strings.Contains(last, " (ANY-MEMBER is ") {
			t.Fatalf("nothing says what ANY-MEMBER is: %s", last)
		}
		last = strings.ReplaceAll(last, "http://ANY-MEMBER/", via+"/")
		last = strings.ReplaceAll(last, "--join http://ANY-MEMBER ", "--join "+via+" ")
	}
	_, commands, ok := strings.Cut(last, ": curl --fail-with-body -X DELETE ")
	remove, serve, ok2 := strings.Cut(commands, " && kvd serve ")
	if !ok || !ok2 || !strings.HasSuffix(remove, fmt.Sprint("/v1/members/", id)) || strings.ContainsAny(serve, "'\\") {
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
	serveArgs := strings.Fields(serve)
	back := start(t, serveArgs...)
	if got := back.do("GET", "/v1/kv/49", "", http.StatusOK); got != strings.Repeat("x", 500) {
		t.Errorf("value %q", got)
	}
	if b2, err := os.ReadFile(log); err != nil || !bytes.Equal(b, b2) {
		t.Errorf("the damaged log was changed, %v", err)
	}
	return back, serveArgs
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
	former := raftnode.Member{ID: 2, PeerURL: self.PeerURL, ClientURL: self.ClientURL}
	successor := &raftnode.Unusable{Dir: dir, Identity: raftnode.Identity{Member: 4}, Members: []raftnode.Member{former, learner}}
	headless := &raftnode.Unusable{Dir: dir, Members: three.Members} // of a snapshot
	founder := configOf(t, "--cluster", "3=http://10.0.0.3:12379,4=http://10.0.0.4:1", "--insecure")
	t.Setenv("KVD_ID", "") // as if it were not set
	joined := configOf(t, "--join", "http://10.0.0.9:12380/", "--advertise-peer", "http://10.0.0.3:12379")
	t.Setenv("KVD_ID", "3")
	joinedAs := configOf(t, "--join", "http://10.0.0.9:12380/")
	cfg := configOf(t, "--cluster", "3=http://10.0.0.3:12379,4=http://10.0.0.4:1", "--insecure", "--allowed-hosts", "it's,me")
	for _, tt := range []struct {
		name  string
		u     *raftnode.Unusable
		serve serveCommand
		want  string
	}{
		{"nothing known", unknown, likelyServe(unknown),
			"if this was the only member of its cluster, begin again from a snapshot, if you have one: kvd restore FILE --data-dir '" + dir + ".new'; if not, " +
				"replace it (ANY-MEMBER is the host and port at which another one serves clients, ID is its id, as GET /v1/members tells there): " +
				"curl --fail-with-body -X DELETE http://ANY-MEMBER/v1/members/ID && kvd serve --join http://ANY-MEMBER --data-dir '" + dir + ".new'"},
		{"the command line knows a founder", unknown, serveCommand{id: sameServe(founder).id, cluster: sameServe(founder).cluster},
			"to replace this member (ANY-MEMBER is the host and port at which another one serves clients): " +
				"curl --fail-with-body -X DELETE http://ANY-MEMBER/v1/members/3 && kvd serve --join http://ANY-MEMBER --data-dir '" + dir + ".new'"},
		{"the command line knows another", unknown, sameServe(joined),
			"to replace this member (ID is its id, as GET /v1/members tells there): " +
				"curl --fail-with-body -X DELETE http://10.0.0.9:12380/v1/members/ID && kvd serve --join http://10.0.0.9:12380 --data-dir '" + dir + ".new' --advertise-peer=http://10.0.0.3:12379"},
		{"the command line knows both", unknown, sameServe(joinedAs),
			"to replace this member: curl --fail-with-body -X DELETE http://10.0.0.9:12380/v1/members/3 && env -u KVD_ID kvd serve --join http://10.0.0.9:12380 --data-dir '" + dir + ".new'"},
		{"a predecessor at the same address is nobody", successor, serveCommand{peerURL: self.PeerURL},
			"to replace this member: curl --fail-with-body -X DELETE http://10.0.0.1:12380/v1/members/4 && kvd serve --join http://10.0.0.1:12380 --data-dir '" + dir + ".new'"},
		{"nor one of the same clients", successor, serveCommand{clientURL: self.ClientURL},
			"to replace this member: curl --fail-with-body -X DELETE http://10.0.0.1:12380/v1/members/4 && kvd serve --join http://10.0.0.1:12380 --data-dir '" + dir + ".new'"},
		{"a snapshot has the address", headless, sameServe(joined),
			"to replace this member: curl --fail-with-body -X DELETE http://10.0.0.2:12380/v1/members/3 && kvd serve --join http://10.0.0.2:12380 --data-dir '" + dir + ".new' --advertise-peer=http://10.0.0.3:12379"},
		{"all known", three, likelyServe(three),
			"to replace this member: curl --fail-with-body -X DELETE http://10.0.0.2:12380/v1/members/3 && kvd serve --join http://10.0.0.2:12380 --data-dir '" + dir + ".new' --listen-client=10.0.0.3:12380 --listen-peer=10.0.0.3:12379 --insecure"},
		{"as started", three, sameServe(cfg),
			"to replace this member: curl --fail-with-body -X DELETE http://10.0.0.2:12380/v1/members/3 && env -u KVD_ID kvd serve --join http://10.0.0.2:12380 --data-dir '" + dir +
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
