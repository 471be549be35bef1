package test

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// runToEnd runs kvd to its end and returns its exit code and its output.
func runToEnd(t *testing.T, cmd *exec.Cmd) (code int, output string) {
	t.Helper()
	p := start(t, "kvd "+strings.Join(cmd.Args[1:], " "), filepath.Join(t.TempDir(), "log"), cmd)
	return p.exitCode(10 * time.Second), p.output()
}

// Wrong flags end with code 2 and a line that names the flag, before anything
// is written or bound.
func TestBadFlags(t *testing.T) {
	t.Parallel()
	free := func() string { return fmt.Sprintf("127.0.0.1:%d", freePort(t)) }
	four := "1=http://127.0.0.1:1,2=http://127.0.0.1:2,3=http://127.0.0.1:3"
	for _, tt := range []struct {
		name  string
		args  []string
		env   string
		names string // what the message must name
	}{
		{name: "unknown flag", args: []string{"--snapshot-entires", "10"}, names: "--snapshot-entires"},
		{name: "a word that is no flag", args: []string{"now"}, names: "now"},
		{name: "no value", args: []string{"--name"}, names: "--name"},
		{name: "id 0", args: []string{"--id", "0"}, names: "--id"},
		{name: "id no number", args: []string{"--id", "one"}, names: "--id"},
		{name: "id above 64 bits", args: []string{"--id", "18446744073709551616"}, names: "--id"},
		{name: "duration without unit", args: []string{"--tick", "100"}, names: "--tick"},
		{name: "duration with a bad unit", args: []string{"--tick", "100msec"}, names: "--tick"},
		{name: "tick 0", args: []string{"--tick", "0s"}, names: "--tick"},
		{name: "tick below 0", args: []string{"--tick", "-1s"}, names: "--tick"},
		{name: "election of two heartbeats", args: []string{"--election-ticks", "2"}, names: "--election-ticks"},
		{name: "election of no heartbeat", args: []string{"--election-ticks", "0"}, names: "--election-ticks"},
		{name: "no entries between snapshots", args: []string{"--snapshot-entries", "0"}, names: "--snapshot-entries"},
		{name: "no history", args: []string{"--history-revisions", "0"}, names: "--history-revisions"},
		{name: "history of no time", args: []string{"--history-age", "1ms"}, names: "--history-age"},
		{name: "a size with a bad unit", args: []string{"--snapshot-bytes", "64 potatoes"}, names: "--snapshot-bytes"},
		{name: "no value may be written", args: []string{"--max-value-bytes", "0"}, names: "--max-value-bytes"},
		{name: "a quota for nothing", args: []string{"--quota-bytes", "1kB"}, names: "--quota-bytes"},
		{name: "a value larger than an entry", args: []string{"--max-value-bytes", "2TiB"}, names: "--max-value-bytes"},
		{name: "unknown log level", args: []string{"--log-level", "loud"}, names: "--log-level"},
		{name: "unknown log format", args: []string{"--log-format", "xml"}, names: "--log-format"},
		{name: "unknown compat", args: []string{"--compat", "etcd"}, names: "--compat"},
		{name: "no data directory", args: []string{"--data-dir", ""}, names: "--data-dir"},
		{name: "cluster without this member", args: []string{"--id", "4", "--cluster", four}, names: "--id"},
		{name: "cluster with an id twice", args: []string{"--cluster", four + ",2=http://127.0.0.1:4"}, names: "--cluster"},
		{name: "cluster with a URL twice", args: []string{"--cluster", four + ",4=http://127.0.0.1:3"}, names: "--cluster"},
		{name: "cluster without scheme", args: []string{"--cluster", "127.0.0.1:1,127.0.0.1:2"}, names: "--cluster"},
		{name: "cluster half with ids", args: []string{"--cluster", "http://127.0.0.1:1,2=http://127.0.0.1:2"}, names: "--cluster"},
		{name: "join and cluster", args: []string{"--join", "http://127.0.0.1:1", "--cluster", four}, names: "--join"},
		{name: "join that is no URL", args: []string{"--join", "somewhere"}, names: "--join"},
		{name: "listen without port", args: []string{"--listen-client", "127.0.0.1"}, names: "--listen-client"},
		{name: "one port for both", args: []string{"--listen-client", "127.0.0.1:1234", "--listen-peer", "127.0.0.1:1234"}, names: "--listen-peer"},
		{name: "reachable by clients", args: []string{"--listen-client", "0.0.0.0:0", "--advertise-client", "http://127.0.0.1:1"}, names: "--listen-client"},
		{name: "reachable by peers", args: []string{"--listen-peer", "[::]:0", "--advertise-peer", "http://127.0.0.1:1"}, names: "--listen-peer"},
		{name: "reachable on every address", args: []string{"--listen-client", ":0"}, names: "--listen-client"},
		{name: "environment", env: "KVD_TICK=soon", names: "KVD_TICK"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			home := t.TempDir() // also the working directory: the default data directory lies below it
			dir := filepath.Join(home, "here")
			cmd := exec.Command(kvdBinary, append([]string{"serve",
				"--data-dir", dir, "--listen-client", free(), "--listen-peer", free()}, tt.args...)...)
			cmd.Dir = home
			cmd.Env = cleanEnv()
			if tt.env != "" {
				cmd.Env = append(cmd.Env, tt.env)
			}
			code, out := runToEnd(t, cmd)
			if code != 2 {
				t.Errorf("exit code %d, want 2", code)
			}
			if !strings.Contains(out, tt.names) {
				t.Errorf("the message does not name %s: %s", tt.names, out)
			}
			if lines := strings.Count(strings.TrimSpace(out), "\n") + 1; lines != 1 {
				t.Errorf("%d lines, want one:\n%s", lines, out)
			}
			if left := tree(t, home); len(left) > 0 {
				t.Errorf("it wrote %v", left)
			}
		})
	}
}

// A routable address is refused with the ways out, and taken with --insecure.
func TestRoutableAddress(t *testing.T) {
	t.Parallel()
	port := freePort(t)
	code, out := runToEnd(t, exec.Command(kvdBinary, "serve", "--data-dir", filepath.Join(t.TempDir(), "d"),
		"--listen-client", fmt.Sprintf("0.0.0.0:%d", port), "--advertise-client", fmt.Sprintf("http://127.0.0.1:%d", port)))
	if code != 2 {
		t.Errorf("exit code %d, want 2", code)
	}
	for _, way := range []string{"127.0.0.1", "--insecure"} {
		if !strings.Contains(out, way) {
			t.Errorf("the refusal does not name %s: %s", way, out)
		}
	}
	m := newMember(t, 1, "--insecure")
	m.start("--listen-client", "0.0.0.0"+m.clientAddr()[strings.LastIndexByte(m.clientAddr(), ':'):], "--advertise-client", m.clientURL)
	m.waitReady(15 * time.Second)
}

// Every flag can come from the environment; the command line wins.
func TestEnvironment(t *testing.T) {
	t.Parallel()
	m := newMember(t, 1)
	cmd := exec.Command(kvdBinary, "serve", "--name", "from-flag")
	cmd.Env = cleanEnv("KVD_ID=7", "KVD_NAME=from-env", "KVD_DATA_DIR="+m.dir,
		"KVD_LISTEN_CLIENT="+m.clientAddr(), "KVD_LISTEN_PEER="+m.peerAddr(), "KVD_MAX_VALUE_BYTES=3", "KVD_LOG_FORMAT=json")
	m.proc = start(t, m.name(), m.log, cmd)
	m.waitReady(15 * time.Second)
	if s := m.mustStatus(); s.ID != 7 || s.Name != "from-flag" {
		t.Errorf("got id %d, name %q, want 7 and from-flag", s.ID, s.Name)
	}
	wantProblem(t, m.call("PUT", "/v1/kv/k", []byte("long")), 413, "too_large", "not_applied")
}

// A busy port ends with code 4, and the data directory is not even made.
func TestPortInUse(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"--listen-client", "--listen-peer"} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		m := newMember(t, 1)
		code, out := runToEnd(t, m.command(flag, l.Addr().String()))
		if code != 4 {
			t.Errorf("%s: exit code %d, want 4", flag, code)
		}
		if !strings.Contains(out, "address in use") || !strings.Contains(out, flag) {
			t.Errorf("%s: the message says neither what nor where: %s", flag, out)
		}
		if _, err := os.Stat(m.dir); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: the data directory was touched: %v", flag, err)
		}
	}
}

// tree lists everything below dir.
func tree(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, _ fs.DirEntry, err error) error {
		if err == nil && name != dir {
			names = append(names, name)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
