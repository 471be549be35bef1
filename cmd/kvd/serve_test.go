package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestServeAndRestart(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "data")
	args := []string{"--data-dir", dir, "--listen-peer", freeAddress(t)}
	m := start(t, args...)
	m.do("PUT", "/v1/kv/greeting", "hello", http.StatusCreated)
	if got := m.do("GET", "/v1/kv/greeting", "", http.StatusOK); got != "hello" {
		t.Errorf("value = %q, want hello", got)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("data directory: %v, %v; want mode 0700", info, err)
	}
	m.shutdown()

	m = start(t, args...)
	if got := m.do("GET", "/v1/kv/greeting", "", http.StatusOK); got != "hello" {
		t.Errorf("value after a restart = %q, want hello", got)
	}
	m.shutdown()
}

func TestDataDirectoryRefused(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	m := start(t, "--data-dir", dir)
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		args []string
		want []string
	}{
		{"in use", []string{"--data-dir", dir}, []string{dir, "in use", fmt.Sprint(m.cmd.Process.Pid)}},
		{"is a file", []string{"--data-dir", file}, []string{file, "not a directory"}},
		{"below a file", []string{"--data-dir", filepath.Join(file, "data")}, []string{file, "not a directory"}},
	} {
		t.Run(tt.name, func(t *testing.T) { wantRefused(t, tt.args, tt.want) })
	}
	m.do("PUT", "/v1/kv/a", "still here", http.StatusCreated)
	m.shutdown()

	t.Run("of another member", func(t *testing.T) {
		before := listing(t, dir)
		wantRefused(t, []string{"--data-dir", dir, "--id", "2"}, []string{dir, "belongs to member 1 (n1) of cluster", "--id 1"})
		if after := listing(t, dir); !slices.Equal(before, after) {
			t.Errorf("files were %q, now %q", before, after)
		}
	})
}

func wantRefused(t *testing.T, args, want []string) {
	t.Helper()
	code, last := launch(t, args...).wait()
	if code != exitDataDir {
		t.Errorf("exit code = %d, want %d", code, exitDataDir)
	}
	for _, w := range want {
		if !strings.Contains(last, w) {
			t.Errorf("last line = %q, want it to hold %q", last, w)
		}
	}
}

// listing is every file below dir with its size.
func listing(t *testing.T, dir string) []string {
	t.Helper()
	var files []string
	err := filepath.Walk(dir, func(path string, info os.FileInfo, err error) error {
		if err == nil && !info.IsDir() {
			files = append(files, fmt.Sprint(path, info.Size()))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestKilledMemberKeepsItsWrites(t *testing.T) {
	args := []string{"--data-dir", t.TempDir(), "--listen-peer", freeAddress(t)}
	m := start(t, args...)
	m.do("PUT", "/v1/kv/a", "1", http.StatusCreated)
	for range 20 {
		m.do("PUT", "/v1/kv/a", "last", http.StatusNoContent)
	}
	m.signal(syscall.SIGKILL)
	m.wait()
	m = start(t, args...)
	if got := m.do("GET", "/v1/kv/a", "", http.StatusOK); got != "last" {
		t.Errorf("value after kill -9 = %q, want last", got)
	}
	m.shutdown()
}

// A request under way holds up the stop for a while; a second signal does not
// wait for it.
func TestSecondSignal(t *testing.T) {
	m := start(t, "--data-dir", t.TempDir())
	m.do("PUT", "/v1/kv/a", "x", http.StatusCreated)
	conn, err := net.Dial("tcp", strings.TrimPrefix(m.client, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /v1/kv/b HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nhalf")
	m.eventually("a request under way", func() bool {
		_, metrics := m.once("GET", "/metrics", "")
		return strings.Contains(metrics, "in_flight 2")
	}, new("no such metric"))
	begin := time.Now()
	m.signal(syscall.SIGTERM)
	var got string
	m.eventually("stopping", func() bool {
		var status int
		status, got = m.once("GET", "/readyz", "")
		return status != http.StatusOK
	}, &got)
	m.signal(syscall.SIGTERM)
	if code, last := m.wait(); code != exitFatal {
		t.Errorf("exit code = %d, want %d: %s", code, exitFatal, last)
	}
	if took := time.Since(begin); took > drainTimeout {
		t.Errorf("two signals took %v", took)
	}
}

// Nobody reads stderr, and the member serves all the same.
func TestServeWithBlockedStderr(t *testing.T) {
	client := freeAddress(t)
	w := blockedWriter{make(chan struct{})}
	ctx, stop := context.WithCancel(t.Context())
	codec := make(chan int)
	go func() {
		codec <- run(ctx, []string{"serve", "--data-dir", t.TempDir(), "--listen-client", client, "--listen-peer", "127.0.0.1:0", "--tick", testTick, "--log-level", "debug"}, w, w)
	}()
	m := &running{t: t, client: "http://" + client}
	m.do("PUT", "/v1/kv/a", "x", http.StatusCreated)
	stop()
	if code := <-codec; code != exitOK {
		t.Errorf("exit code = %d, want 0", code)
	}
	close(w.release)
}
