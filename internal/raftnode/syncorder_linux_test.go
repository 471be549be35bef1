package raftnode

import (
	"bytes"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

const (
	sceneVariable = "KVD_SYNC_SCENE" // tells a child process where to play the scene
	scenery       = "/scene/"        // where its marks seem to be
)

// TestSyncScene does all that a member does to its disk, and says what it has come
// to by names that it looks up and that are not there. TestSyncedBeforePromised
// looks on.
func TestSyncScene(t *testing.T) {
	root := os.Getenv(sceneVariable)
	if root == "" {
		return // it is not its turn
	}
	say := func(name string) { _, _ = os.Stat(scenery + name) }
	d, err := OpenDisk(filepath.Join(root, "above", "data"), nil)
	must(t, err)
	must(t, d.WriteFile("founding", []byte("tokens")))
	say("told")
	n, err := New(singleConfig(), newTestMachine(), d)
	must(t, err)
	must(t, n.Open())
	say("opened")
	must(t, d.Save(hardState(1, 15), entries(1, 1, 200)), n.mem.Append(entries(1, 1, 200)))
	say("saved")
	must(t, d.Save(hardState(2, 15), entries(2, 150, 190)))
	say("replaced")

	w := newWALWriter(n, deafTransport{})
	for _, at := range []uint64{10, 100, 140} { // so that in the end there is something to give up
		must(t, d.WriteBody(at, bytes.NewReader(body(t, 1, at, "state"))))
		if at == 140 {
			say("written")
		}
		must(t, w.recordSnapshot(&snapshotRecord{meta: snapshotMeta(1, at)}))
	}
	say("recorded")

	const at = 500
	must(t, d.WriteBody(at, bytes.NewReader(body(t, 3, at, "other state"))))
	say("received")
	hs := hardState(3, at)
	must(t, w.installSnapshot(&raftpb.Message{
		Type: raftpb.MsgStorageAppend.Enum(), Term: hs.Term, Vote: hs.Vote, Commit: hs.Commit,
		Snapshot: &raftpb.Snapshot{Metadata: snapshotMeta(3, at)},
	}))
	say("installed")
	must(t, d.MarkRemoved())
	say("removed")
	must(t, d.Close())
	_, _, err = Restore(backup(t), filepath.Join(root, "backups", "restored"), "", discard)
	must(t, err)
	say("restored")
}

// TestSyncedBeforePromised holds the system calls of a member against the strictest
// file system that there may be: of a file it keeps what an fsync of this file came
// after, and a name only if one of the directory did. ext4 and xfs keep far more, so
// that real power failures (test/powerfail) do not miss most of these fsyncs.
func TestSyncedBeforePromised(t *testing.T) {
	// It may be there and not be allowed to look on, as in a container.
	if out, err := exec.Command("strace", "-f", "-o", os.DevNull, os.Args[0], "-test.run=^$").CombinedOutput(); err != nil {
		t.Skipf("NOT CHECKED: what is synced before what; it takes strace: %v %s", err, out)
	}
	root, err := filepath.EvalSymlinks(t.TempDir())
	must(t, err)
	trace := filepath.Join(t.TempDir(), "trace")
	cmd := exec.Command("strace", "-f", "-y", "-s", "0", "-o", trace, "-e", "trace=?"+strings.Join(slices.Sorted(maps.Keys(effects)), ",?"),
		os.Args[0], "-test.run=^TestSyncScene$")
	cmd.Env = append(os.Environ(), sceneVariable+"="+root)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	b, err := os.ReadFile(trace)
	must(t, err)
	calls := readTrace(root, string(b))
	for _, rule := range []struct {
		after string // this mark of the scene
		next  string // and before this call; "": at once
		lags  bool   // the watermark, which need not be synced when it is raised
	}{
		{"told", "", false},       // other founders know the token, and count on it
		{"opened", "", false},     // a new directory, whole before the first entry comes
		{"saved", "", true},       // an acknowledgement, or a vote
		{"saved", "log", false},   // what follows takes the place of what the watermark promises
		{"replaced", "", true},    // as saved
		{"written", "", true},     // the body of a snapshot, complete
		{"written", "log", true},  // its record: not of what may not be there
		{"written", "gone", true}, // the log before it: not for what may not be there
		{"recorded", "", true},    // the log is shorter
		{"received", "", true},    // as written
		{"received", "log", true},
		{"received", "gone", true},
		{"installed", "", true}, // an acknowledgement
		{"removed", "", true},   // never again a member
		{"restored", "", true},  // a command that has succeeded
	} {
		lost, ok := lostAfter(calls, rule.after, rule.next)
		if !ok {
			t.Errorf("after %q there is no %q", rule.after, rule.next)
		}
		for _, l := range lost {
			if l != (loss{"data", "above/data/watermark"}) || !rule.lags {
				t.Errorf("after %q, before %q: the %s of %s would be lost", rule.after, rule.next, l.what, l.path)
			}
		}
	}
}

// TestReadTrace: each call counts for the file that it changes, also where another
// thread's came in between, and only if it has succeeded.
func TestReadTrace(t *testing.T) {
	trace := `7 openat(AT_FDCWD</>, "/r/a", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 3</r/a>
7 openat(AT_FDCWD</>, "/r/b", O_RDONLY|O_CLOEXEC) = 4</r/b>
7 openat(AT_FDCWD</>, "/elsewhere/c", O_RDWR|O_CREAT|O_CLOEXEC, 0600) = 5</elsewhere/c>
7 write(3</r/a>, ""..., 10 <unfinished ...>
8 newfstatat(AT_FDCWD</>, "/scene/told", 0xc000, 0) = -1 ENOENT (No such file or directory)
7 <... write resumed>) = 10
8 write(3</r/a>, ""..., 10) = -1 ENOSPC (No space left on device)
8 pwrite64(3</r/wal/0.wal>, ""..., 10, 4096) = 10
8 --- SIGURG {si_signo=SIGURG, si_code=SI_TKILL, si_pid=7, si_uid=0} ---
8 copy_file_range(4</r/b>, NULL, 3</r/a>, NULL, 100, 0) = 100
8 sendfile(3</r/a>, 4</r/b>, NULL, 100) = 100
8 renameat(AT_FDCWD</>, "/r/a", AT_FDCWD</>, "/r/d") = 0
8 fsync(3</r/d>) = 0
`
	want := []call{
		{"name", "a", "a"}, {"mark", "told", ""}, {"data", "a", "a"}, {"data", "a", "a"}, {"data", "a", "b"},
		{"rename", "a", "d"}, {"sync", "d", "d"},
	}
	if got := readTrace("/r", trace); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
