package daemon

import (
	"bytes"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is one program that is run, once or again and again. Its methods are
// for one goroutine at a time.
type Process struct {
	Name   string // what messages call it
	Binary string
	Args   []string
	Log    string // file with the output of all its runs

	cmd  *exec.Cmd
	done chan struct{} // closed when cmd has ended
}

// Start starts the program, and waits for nothing.
func (p *Process) Start() error {
	log, err := os.OpenFile(p.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer log.Close()
	cmd := exec.Command(p.Binary, p.Args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = childAttributes()
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "KVD_") && !strings.HasPrefix(kv, "ETCD_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = cmd.Wait() // the exit code is read from cmd.ProcessState
	}()
	p.cmd, p.done = cmd, done
	return nil
}

// PID is the id of the latest process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Done is closed when the latest process has ended.
func (p *Process) Done() <-chan struct{} { return p.done }

// ExitCode is that of the latest process, which has ended; -1: it was killed.
func (p *Process) ExitCode() int { return p.cmd.ProcessState.ExitCode() }

// Running reports whether there is a process.
func (p *Process) Running() bool {
	if p.cmd == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Signal sends s to a process that may have ended already.
func (p *Process) Signal(s syscall.Signal) {
	if p.Running() {
		_ = p.cmd.Process.Signal(s)
	}
}

// Kill ends the process at once and waits until it is gone. It may be called again.
func (p *Process) Kill() {
	if p.cmd == nil {
		return
	}
	p.Signal(syscall.SIGKILL)
	<-p.done
}

// Terminate asks the process to end and returns its exit code; -1 when it had to
// be killed.
func (p *Process) Terminate(limit time.Duration) int {
	p.Signal(syscall.SIGTERM)
	select {
	case <-p.done:
	case <-time.After(limit):
		p.Kill()
	}
	return p.ExitCode()
}

// Tail returns the last lines of the log.
func (p *Process) Tail(lines int) string {
	b, err := os.ReadFile(p.Log)
	if err != nil {
		return err.Error()
	}
	all := bytes.Split(bytes.TrimSpace(b), []byte("\n"))
	return string(bytes.Join(all[max(0, len(all)-lines):], []byte("\n")))
}
