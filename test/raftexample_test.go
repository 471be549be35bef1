package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// raftexample's README, with the processes started by hand: every curl line is
// the README's own but for the port.
func TestRaftexampleReadme(t *testing.T) {
	t.Parallel()
	needCurl(t)
	c := startCluster(t, 3, "--compat=raftexample")
	n1, n2, n3 := c.members[0], c.members[1], c.members[2]

	curl(t, "-L", n1.clientURL+"/my-key", "-XPUT", "-d", "hello")
	for _, m := range c.members { // at once: no waiting, no retry
		wantCurl(t, "hello", "-L", m.clientURL+"/my-key")
	}

	n2.process().signal(syscall.SIGINT) // what `goreman run stop` sends
	if code := n2.process().exitCode(15 * time.Second); code != 0 {
		t.Errorf("member 2, stopped: exit code %d, want 0", code)
	}
	curl(t, "-L", n1.clientURL+"/my-key", "-XPUT", "-d", "foo")
	wantCurl(t, "foo", "-L", n1.clientURL+"/my-key")
	n2.start()
	n2.waitReady(20 * time.Second)
	wantCurl(t, "foo", "-L", n2.clientURL+"/my-key")

	n4 := c.join(4, n1, "--compat=raftexample")
	curl(t, "-L", n1.clientURL+"/4", "-XPOST", "-d", n4.peerURL)
	n4.start()
	n4.waitReady(20 * time.Second)
	wantCurl(t, "foo", "-L", n4.clientURL+"/my-key")
	curl(t, "-L", n4.clientURL+"/my-key", "-XPUT", "-d", "bar")
	wantCurl(t, "bar", "-L", n1.clientURL+"/my-key")

	waitFor(t, 20*time.Second, "member 4 becomes a voter", func() error {
		s, err := n1.status()
		if err == nil && len(s.VoterIDs) != 4 {
			err = fmt.Errorf("voters %v", s.VoterIDs)
		}
		return err
	})
	curl(t, "-L", n1.clientURL+"/3", "-XDELETE")
	if code := n3.process().exitCode(20 * time.Second); code != 5 {
		t.Errorf("member 3, removed: exit code %d, want 5", code)
	}
	for _, m := range []*member{n1, n2, n4} {
		wantCurl(t, "bar", "-L", m.clientURL+"/my-key")
	}
	n3.start() // and it stays out
	if code := n3.process().exitCode(20 * time.Second); code != 5 {
		t.Errorf("member 3, removed and started again: exit code %d, want 5", code)
	}
}

// The same with the shipped Procfile, under goreman, on its fixed ports: as
// `make cluster` does it, in a directory that has the Procfile and ./bin/kvd.
func TestProcfile(t *testing.T) {
	needCurl(t)
	const n1, n2, n3 = "http://127.0.0.1:12380", "http://127.0.0.1:22380", "http://127.0.0.1:32380"
	for _, port := range []int{12379, 22379, 32379, 12380, 22380, 32380} {
		needPort(t, port)
	}
	dir := t.TempDir()
	procfile, err := os.ReadFile(filepath.Join(repoRoot, "Procfile"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "Procfile"), procfile, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(kvdBinary, filepath.Join(dir, "bin", "kvd")); err != nil {
		t.Fatal(err)
	}

	goreman := goremanIn(t, dir)
	log := filepath.Join(dir, "log")
	showOnFailure(t, "goreman", log)
	p := start(t, "goreman", log, goreman("-exit-on-stop=false", "start"))
	// Its children are in process groups of their own: only goreman ends them.
	t.Cleanup(func() {
		p.signal(syscall.SIGTERM)
		p.exitCode(20 * time.Second)
	})
	run := func(args ...string) {
		t.Helper()
		if out, err := goreman(append([]string{"run"}, args...)...).CombinedOutput(); err != nil {
			t.Fatalf("goreman run %v: %v\n%s", args, err, out)
		}
	}

	for _, url := range []string{n1, n2, n3} {
		waitReadyCurl(t, url)
	}
	curl(t, "-L", n1+"/my-key", "-XPUT", "-d", "hello")
	for _, url := range []string{n1, n2, n3} {
		wantCurl(t, "hello", "-L", url+"/my-key")
	}
	run("stop", "kvd2")
	curl(t, "-L", n1+"/my-key", "-XPUT", "-d", "foo")
	run("start", "kvd2")
	waitReadyCurl(t, n2)
	wantCurl(t, "foo", "-L", n2+"/my-key")
}

// goremanIn returns a maker of `go tool goreman` commands for the Procfile in
// dir. go tool passes signals on.
func goremanIn(t *testing.T, dir string) func(args ...string) *exec.Cmd {
	t.Helper()
	env := cleanEnv("GOREMAN_RPC_ADDR=127.0.0.1", fmt.Sprintf("GOREMAN_RPC_PORT=%d", freePort(t)))
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command("go", append([]string{"tool", "goreman", "-basedir", dir}, args...)...)
		cmd.Dir, cmd.Env = repoRoot, env
		return cmd
	}
}

// waitReadyCurl waits until the member at url is ready.
func waitReadyCurl(t *testing.T, url string) {
	t.Helper()
	waitFor(t, 30*time.Second, url+" is ready", func() error {
		return exec.Command("curl", "-sf", "-o", os.DevNull, url+"/readyz").Run()
	})
}

// needCurl skips the test on a machine without curl: its point is the very
// command line that a user types.
func needCurl(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		t.Skipf("not run, there is no curl here: %v", err)
	}
}

// curl runs curl as a user does, quiet, and fails the test on an HTTP error.
func curl(t *testing.T, args ...string) string {
	t.Helper()
	var errs strings.Builder
	cmd := exec.Command("curl", append([]string{"-sS", "--fail-with-body", "--max-time", "20"}, args...)...)
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("curl %s: %v\n%s%s", strings.Join(args, " "), err, errs.String(), out)
	}
	return string(out)
}

// wantCurl fails the test unless curl prints exactly want.
func wantCurl(t *testing.T, want string, args ...string) {
	t.Helper()
	if got := curl(t, args...); got != want {
		t.Fatalf("curl %s: got %q, want %q", strings.Join(args, " "), got, want)
	}
}

// needPort skips the test when a port that the Procfile names is taken.
func needPort(t *testing.T, port int) {
	t.Helper()
	if err := listenable(port); err != nil {
		t.Skipf("not run, port %d of the Procfile is taken here: %v", port, err)
	}
}
