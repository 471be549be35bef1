package test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// wantRefusal runs cmd and demands exit code 3 and a message with all of says.
func wantRefusal(t *testing.T, cmd *exec.Cmd, says ...string) {
	t.Helper()
	code, out := runToEnd(t, cmd)
	if code != 3 {
		t.Errorf("exit code %d, want 3: %.2000s", code, out)
	}
	for _, s := range says {
		if !strings.Contains(out, s) {
			t.Errorf("the message does not say %q: %s", s, out)
		}
	}
}

// A directory belongs to one member of one cluster, and is refused to others.
func TestForeignDirectory(t *testing.T) {
	t.Parallel()
	m := startCluster(t, 1, "--name", "first").members[0]
	m.put("k", "v")
	cluster := m.mustStatus().ClusterID
	other := startCluster(t, 1).members[0]
	if code := m.term(); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	before := readTree(t, m.dir)
	bare := m.command()
	bare.Args = bare.Args[:len(bare.Args)-len(m.args)] // without --cluster and --name

	with := func(args ...string) *exec.Cmd { return exec.Command(kvdBinary, slices.Concat(bare.Args[1:], args)...) }
	for _, tt := range []struct {
		name string
		args []string
	}{
		{"id", []string{"--id", "2"}},
		{"name", []string{"--name", "second"}},
		{"founding list", []string{"--cluster", "1=" + m.peerURL + ",2=http://127.0.0.1:1"}},
		{"join of another cluster", []string{"--join", other.clientURL}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			wantRefusal(t, with(tt.args...), "belongs to member 1", "cluster "+cluster, m.dir)
		})
	}
	sameTree(t, m.dir, before)

	m.start()
	m.waitReady(15 * time.Second)
	m.wantValue("k", "v")
}

// A second process on a directory is refused, and the first does not notice.
func TestDirectoryInUse(t *testing.T) {
	t.Parallel()
	m := startCluster(t, 1).members[0]
	m.put("k", "v")
	second := newMember(t, 1)
	second.dir = m.dir
	wantRefusal(t, second.command(), "in use", m.dir)
	m.put("k", "w")
	m.wantValue("k", "w")
	if !m.process().running() {
		t.Error("the first process has ended")
	}
}

// What is no directory, or cannot be written, is refused with its path and the
// system's reason.
func TestUnusableDirectory(t *testing.T) {
	t.Parallel()
	home := t.TempDir()
	openUp(t, home)
	file := filepath.Join(home, "file")
	if err := os.WriteFile(file, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	locked := filepath.Join(home, "locked")
	if err := os.Mkdir(locked, 0o500); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, dir string
		path      string // that is at fault
		says      string
		nobody    bool // root may write anywhere: run as somebody else
	}{
		{"a file", file, file, "not a directory", false},
		{"below a file", filepath.Join(file, "data"), file, "not a directory", false},
		{"read-only", locked, locked, "permission denied", true},
		{"below a read-only one", filepath.Join(locked, "data"), locked, "permission denied", true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := newMember(t, 1)
			m.dir = tt.dir
			cmd := m.command()
			if tt.nobody && os.Getuid() == 0 {
				cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
				cmd.Dir = home
			}
			wantRefusal(t, cmd, tt.path, tt.says)
		})
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "mine" {
		t.Errorf("the file was touched: %q, %v", b, err)
	}
}

// openUp lets other users reach dir.
func openUp(t *testing.T, dir string) {
	t.Helper()
	for d := dir; d != os.TempDir() && d != filepath.Dir(d); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
}

// The directory and its files are the user's alone.
func TestDirectoryModes(t *testing.T) {
	t.Parallel()
	m := startCluster(t, 1, "--snapshot-entries", "5").members[0]
	for i := range 20 {
		m.put(fmt.Sprint(i), "v")
	}
	waitFor(t, 10*time.Second, "a snapshot", func() error {
		s, err := m.status()
		if err == nil && s.SnapshotIndex == 0 {
			err = fmt.Errorf("snapshot at %d", s.SnapshotIndex)
		}
		return err
	})
	if code := m.term(); code != 0 {
		t.Fatalf("exit code %d, want 0", code)
	}
	for _, name := range append(tree(t, m.dir), m.dir) {
		info, err := os.Stat(name)
		if err != nil {
			t.Fatal(err)
		}
		if mode := info.Mode().Perm(); mode&0o077 != 0 {
			t.Errorf("%s has mode %v", name, mode)
		}
	}
}

// A crash in the middle of a write leaves a torn tail: the member starts, warns
// once, keeps a copy, and has everything it acknowledged.
func TestTornTail(t *testing.T) {
	t.Parallel()
	const keys = 50
	for _, tt := range []struct {
		name string
		tear func(t *testing.T, file string, end int64)
	}{
		{"half a record", func(t *testing.T, file string, end int64) {
			// The length says 4,000 bytes; the sectors behind the first were
			// never written.
			overwrite(t, file, end, append([]byte{0xa0, 0x0f, 0, 0, 0, 0, 0, 0}, strings.Repeat("a", 600)...))
		}},
		{"garbage", func(t *testing.T, file string, end int64) {
			overwrite(t, file, end, []byte(strings.Repeat("\xa5\x5a\x00\xff", 64)))
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := startCluster(t, 1).members[0]
			for i := range keys {
				m.put(fmt.Sprint(i), strings.Repeat("v", 100+i))
			}
			m.kill()
			files := walFiles(t, m.dir)
			file := files[len(files)-1]
			tt.tear(t, file, dataEnd(t, file))

			m.start()
			m.waitReady(15 * time.Second)
			for i := range keys {
				m.wantValue(fmt.Sprint(i), strings.Repeat("v", 100+i))
			}
			warnings := 0
			for line := range strings.Lines(m.process().output()) {
				if strings.Contains(line, "WARN") && strings.Contains(line, "repair") {
					warnings++
				}
			}
			if warnings != 1 {
				t.Errorf("%d warnings about a repair, want 1", warnings)
			}
			broken, err := filepath.Glob(file + "*broken*")
			if err != nil || len(broken) == 0 {
				t.Errorf("no copy of the torn file is kept: %v, %v", broken, err)
			}
			if err := m.call(http.MethodPut, "/v1/kv/after", []byte("x")).want(http.StatusCreated); err != nil {
				t.Error(err)
			}
			m.kill()
			m.start()
			m.waitReady(15 * time.Second)
			m.wantValue("after", "x")
		})
	}
}
