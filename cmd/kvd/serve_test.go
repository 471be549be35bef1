package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// testTick makes elections quick; members of tests run in this process.
const testTick = "20ms"

// running is a member that runs in this process, through run.
type running struct {
	t      *testing.T
	stop   context.CancelFunc
	codec  chan int // its exit code
	client string   // URL of its API, once it serves
	lastc  chan string
}

// start runs "kvd serve" and waits until it serves.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := launch(t, args...)
	select {
	case code := <-r.codec:
		t.Fatalf("kvd %q ended with %d before it served: %s", args, code, <-r.lastc)
	case line := <-r.lastc:
		var served struct {
			Client string `json:"client"`
		}
		if err := json.Unmarshal([]byte(line), &served); err != nil || served.Client == "" {
			t.Fatalf("serving line %q: %v", line, err)
		}
		r.client = served.Client
	case <-time.After(30 * time.Second):
		t.Fatal("kvd does not serve")
	}
	return r
}

// launch runs "kvd serve" on ports of the system's choice. The line that says
// "serving", and then the last line, come through lastc.
func launch(t *testing.T, args ...string) *running {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	r := &running{t: t, stop: stop, codec: make(chan int, 1), lastc: make(chan string, 2)}
	logs, stderr := io.Pipe()
	defaults := []string{"serve", "--listen-client", "127.0.0.1:0", "--listen-peer", "127.0.0.1:0", "--tick", testTick, "--log-format", "json"}
	var wg sync.WaitGroup
	wg.Go(func() {
		last, lines := "", bufio.NewScanner(logs)
		for lines.Scan() {
			last = lines.Text()
			if strings.Contains(last, `"msg":"serving"`) {
				r.lastc <- last
			}
		}
		r.lastc <- last
	})
	wg.Go(func() {
		code := run(ctx, append(defaults, args...), io.Discard, stderr)
		_ = stderr.Close()
		r.codec <- code
	})
	t.Cleanup(func() {
		stop()
		wg.Wait()
	})
	return r
}

// wait returns the exit code and the last line on stderr.
func (r *running) wait() (int, string) {
	r.t.Helper()
	select {
	case code := <-r.codec:
		r.codec <- code
		return code, <-r.lastc
	case <-time.After(30 * time.Second):
		r.t.Fatal("kvd does not end")
		return 0, ""
	}
}

// shutdown ends the member as a signal would and wants a clean exit.
func (r *running) shutdown() {
	r.t.Helper()
	r.stop()
	if code, last := r.wait(); code != exitOK {
		r.t.Fatalf("exit code = %d, want 0: %s", code, last)
	}
}

// do sends a request until it is answered with want, which may take an
// election.
func (r *running) do(method, path, body string, want int) string {
	r.t.Helper()
	var got string
	r.eventually(fmt.Sprintf("%s %s → %d", method, path, want), func() bool {
		status, answer := r.once(method, path, body)
		got = fmt.Sprintf("%d %s", status, answer)
		if status == want {
			got = answer
			return true
		}
		return false
	}, &got)
	return got
}

func (r *running) once(method, path, body string) (int, string) {
	req, err := http.NewRequest(method, r.client+path, strings.NewReader(body))
	if err != nil {
		r.t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(answer)
}

// eventually polls until done; last is what it saw.
func (r *running) eventually(what string, done func() bool, last *string) {
	r.t.Helper()
	deadline := time.After(30 * time.Second)
	poll := time.NewTicker(20 * time.Millisecond)
	defer poll.Stop()
	for !done() {
		select {
		case <-deadline:
			r.t.Fatalf("%s: not reached, last seen: %s", what, *last)
		case <-poll.C:
		}
	}
}

// freeAddress is a loopback address that was free a moment ago.
func freeAddress(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// foundingArgs are the flags of n members that found a cluster, by id.
func foundingArgs(t *testing.T, n int) map[int][]string {
	t.Helper()
	addresses := make([]string, n)
	for i := range addresses {
		addresses[i] = freeAddress(t)
	}
	args := map[int][]string{}
	for i, a := range addresses {
		args[i+1] = []string{"--id", fmt.Sprint(i + 1), "--cluster", "http://" + strings.Join(addresses, ",http://"), "--listen-peer", a}
	}
	return args
}

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
		{"in use", []string{"--data-dir", dir}, []string{dir, "in use", fmt.Sprint(os.Getpid())}},
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

// A cluster's life: founded by three, joined by a fourth that adds itself and
// a fifth that was added before, left by the third.
func TestClusterGrowsAndShrinks(t *testing.T) {
	dir := t.TempDir()
	place := func(id int, args ...string) []string {
		return append([]string{"--data-dir", filepath.Join(dir, fmt.Sprint(id)), "--compat=raftexample"}, args...)
	}
	members, founders := map[int]*running{}, foundingArgs(t, 3)
	for id, args := range founders {
		members[id] = start(t, place(id, args...)...)
	}
	members[1].do("PUT", "/my-key", "hello", http.StatusNoContent)

	four := place(4, "--join", members[2].client, "--name", "fourth", "--listen-peer", freeAddress(t))
	members[4] = start(t, four...)
	peer5 := freeAddress(t)
	members[1].do("POST", "/5", "http://"+peer5, http.StatusNoContent)
	members[5] = start(t, place(5, "--id", "5", "--join", members[4].client, "--listen-peer", peer5)...)
	for id, m := range members {
		if got := m.do("GET", "/my-key", "", http.StatusOK); got != "hello" {
			t.Errorf("member %d has %q, want hello", id, got)
		}
	}
	waitForVoters(t, members[1], 5)
	if list := members[5].do("GET", "/v1/members", "", http.StatusOK); !strings.Contains(list, `"name":"fourth"`) || !strings.Contains(list, members[5].client) {
		t.Errorf("members = %s, want names and client URLs", list)
	}

	members[1].do("DELETE", "/3", "", http.StatusNoContent)
	if code, last := members[3].wait(); code != exitRemoved || !strings.Contains(last, "member 3 (n3) was removed") {
		t.Errorf("removed member ended with %d: %s", code, last)
	}
	code, last := launch(t, place(3, founders[3]...)...).wait()
	if code != exitRemoved {
		t.Errorf("removed member, started again, ended with %d: %s", code, last)
	}

	members[4].shutdown()
	members[1].do("PUT", "/my-key", "again", http.StatusNoContent)
	members[4] = start(t, four...) // --join is ignored now
	if got := members[4].do("GET", "/my-key", "", http.StatusOK); got != "again" {
		t.Errorf("restarted member has %q, want again", got)
	}
	for _, id := range []int{1, 2, 4, 5} {
		members[id].shutdown()
	}
}

func waitForVoters(t *testing.T, m *running, n int) {
	t.Helper()
	var list string
	m.eventually(fmt.Sprintf("%d voters", n), func() bool {
		_, list = m.once("GET", "/v1/members", "")
		return bytes.Count([]byte(list), []byte(`"role":"voter"`))+strings.Count(list, `"role":"leader"`) == n
	}, &list)
}

// A member that stops hands its leadership on, and finishes what it has begun.
func TestStopUnderLoad(t *testing.T) {
	members := map[int]*running{}
	for id, args := range foundingArgs(t, 3) {
		members[id] = start(t, append(args, "--data-dir", t.TempDir())...)
	}
	var status struct {
		Leader int `json:"leader"`
	}
	members[1].do("PUT", "/v1/kv/a", "0", http.StatusCreated)
	if err := json.Unmarshal([]byte(members[1].do("GET", "/v1/status", "", http.StatusOK)), &status); err != nil || status.Leader == 0 {
		t.Fatalf("leader %d, %v", status.Leader, err)
	}
	leader := members[status.Leader]

	var wg sync.WaitGroup
	var mu sync.Mutex
	answers := map[int]int{}
	for range 8 {
		wg.Go(func() {
			for {
				status, _ := leader.once("PUT", "/v1/kv/a", "x")
				mu.Lock()
				answers[status]++
				mu.Unlock()
				if status == 0 {
					return // it listens no more
				}
			}
		})
	}
	begin := time.Now()
	leader.shutdown()
	wg.Wait()
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("stopping took %v", took)
	}
	// Before the stop 204, from then on 503; a transfer under way refuses
	// what reaches it, and knows that it does.
	delete(answers, http.StatusNoContent)
	delete(answers, http.StatusServiceUnavailable)
	delete(answers, 0)
	if len(answers) > 0 {
		t.Errorf("answers while stopping, by status: %v; want 204 and 503 alone", answers)
	}
}
