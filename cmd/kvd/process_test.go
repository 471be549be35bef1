package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"kvd/test/daemon"
)

// testTick makes elections quick.
const testTick = "20ms"

// running is a member in a process of its own: this test binary, as kvd.
type running struct {
	t      *testing.T
	cmd    *exec.Cmd
	client string      // URL of its API, once it serves
	linec  chan string // the line that says "serving", and the last one
	done   chan struct{}
	log    []string // what it has logged; to be read once done is closed
}

// start runs "kvd serve" and waits until it serves.
func start(t *testing.T, args ...string) *running {
	t.Helper()
	r := launch(t, args...)
	r.waitServing(args)
	return r
}

// startTogether starts members that found a cluster: none serves before all run.
func startTogether(t *testing.T, argsByID map[int][]string) map[int]*running {
	t.Helper()
	members := map[int]*running{}
	for id, args := range argsByID {
		members[id] = launch(t, args...)
	}
	for id, m := range members {
		m.waitServing(argsByID[id])
	}
	return members
}

func (r *running) waitServing(args []string) {
	t := r.t
	t.Helper()
	select {
	case line := <-r.linec:
		var served struct {
			Client string `json:"client"`
		}
		if err := json.Unmarshal([]byte(line), &served); err != nil || served.Client == "" {
			t.Fatalf("kvd %q does not serve: %s", args, line)
		}
		r.client = served.Client
	case <-time.After(30 * time.Second):
		t.Fatalf("kvd %q neither serves nor ends", args)
	}
}

// launch runs "kvd serve" on ports of the system's choice.
func launch(t *testing.T, args ...string) *running {
	t.Helper()
	defaults := []string{"serve", "--listen-client", "127.0.0.1:0", "--listen-peer", "127.0.0.1:0", "--tick", testTick, "--log-format", "json"}
	cmd := exec.Command(os.Args[0], append(defaults, args...)...)
	cmd.Env = append(os.Environ(), asKVD+"=1")
	// Its other end closes when this process ends, however that comes about.
	if _, err := cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, cmd: cmd, linec: make(chan string, 2), done: make(chan struct{})}
	go func() {
		defer close(r.done)
		last, lines := "", bufio.NewScanner(stderr)
		for lines.Scan() {
			last = lines.Text()
			r.log = append(r.log, last)
			if strings.Contains(last, `"msg":"serving"`) {
				r.linec <- last
			}
		}
		_ = cmd.Wait() // the exit code tells
		r.linec <- last
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // unless it has ended
		<-r.done
		if t.Failed() {
			t.Logf("log of kvd %q:\n%s", args, strings.Join(r.log[max(0, len(r.log)-60):], "\n"))
		}
	})
	return r
}

// signal sends a signal.
func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

// wait returns the exit code and the last line on stderr.
func (r *running) wait() (int, string) {
	r.t.Helper()
	select {
	case <-r.done:
		return r.cmd.ProcessState.ExitCode(), <-r.linec
	case <-time.After(30 * time.Second):
		r.t.Fatal("kvd does not end")
		return 0, ""
	}
}

// shutdown stops the member and wants a clean exit.
func (r *running) shutdown() {
	r.t.Helper()
	r.signal(syscall.SIGTERM)
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

// freeAddress is a loopback address that stays free until the test listens there.
func freeAddress(t *testing.T) string {
	t.Helper()
	port, err := daemon.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("127.0.0.1:%d", port)
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
