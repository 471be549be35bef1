package test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// process is a child of the test. It is over when done is closed; the test's
// cleanup sees to that.
type process struct {
	t    testing.TB
	name string
	log  string // file with its output; later processes of the same name append to it
	cmd  *exec.Cmd
	done chan struct{}
}

// start runs cmd with its output appended to the file log, and without the
// KVD_ variables of the test's own environment.
func start(t testing.TB, name, log string, cmd *exec.Cmd) *process {
	t.Helper()
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	cmd.Stdout, cmd.Stderr = f, f
	if cmd.Env == nil {
		cmd.Env = cleanEnv()
	}
	cmd.SysProcAttr = childAttributes(cmd.SysProcAttr)
	p := &process{t: t, name: name, log: log, cmd: cmd, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", name, err)
	}
	go func() {
		defer close(p.done)
		_ = cmd.Wait() // the exit code is read from cmd.ProcessState
	}()
	t.Cleanup(func() {
		if p.running() {
			p.signal(syscall.SIGKILL)
		}
		<-p.done
	})
	return p
}

// cleanEnv is the environment without what steers kvd or these tests.
func cleanEnv(add ...string) []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "KVD_") {
			env = append(env, kv)
		}
	}
	return append(env, add...)
}

func (p *process) running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// signal sends s to a process that may have ended already.
func (p *process) signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// exitCode waits for the end of the process and returns its code; -1 stands for
// an end by a signal.
func (p *process) exitCode(limit time.Duration) int {
	p.t.Helper()
	select {
	case <-p.done:
		return p.cmd.ProcessState.ExitCode()
	case <-time.After(limit):
		p.t.Fatalf("%s still runs after %v", p.name, limit)
		return 0
	}
}

// output is what the process, and those before it under its name, has logged.
func (p *process) output() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	return string(b)
}

// showOnFailure prints what matters of a log when the test has failed. Call it
// before the process is started: cleanups run backwards.
func showOnFailure(t testing.TB, name, log string) {
	t.Cleanup(func() {
		if !t.Failed() {
			return
		}
		b, err := os.ReadFile(log)
		if err != nil {
			return
		}
		if dir := os.Getenv("KVD_TEST_LOGS"); dir != "" {
			keep := filepath.Join(dir, strings.ReplaceAll(t.Name()+" "+name, "/", " ")+".log")
			if err := os.WriteFile(keep, b, 0o600); err != nil {
				t.Logf("keep the log of %s: %v", name, err)
			}
		}
		const lines = 40
		all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
		from := max(0, len(all)-lines)
		// A crash is told by the lines it begins with, not by its last.
		if i := slices.IndexFunc(all, func(l []byte) bool {
			return bytes.HasPrefix(l, []byte("panic:")) || bytes.HasPrefix(l, []byte("fatal error:")) || bytes.Contains(l, []byte("DATA RACE"))
		}); i >= 0 {
			from = max(0, i-5)
		}
		t.Logf("from the log of %s:\n%s", name, bytes.Join(all[from:min(len(all), from+lines)], []byte("\n")))
	})
}
