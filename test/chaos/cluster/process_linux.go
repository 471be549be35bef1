package cluster

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// Process is a child of the run. It is over when Done is closed.
type Process struct {
	Name string
	Done chan struct{}

	cmd *exec.Cmd
}

// StartProcess starts a command with its output appended to the file log, and
// without the KVD_ variables of our own environment.
func StartProcess(name, log string, args ...string) (*Process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdout, cmd.Stderr = f, f
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "KVD_") {
			cmd.Env = append(cmd.Env, kv)
		}
	}
	// It ends with us, should we be killed; and Ctrl-C is for us alone.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	p := &Process{Name: name, Done: make(chan struct{}), cmd: cmd}
	go func() { // ends with the process, which Close of the cluster ends
		defer close(p.Done)
		_ = cmd.Wait() // the exit code is read from cmd.ProcessState
	}()
	return p, nil
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Running tells whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.Done:
		return false
	default:
		return true
	}
}

// Signal sends s to a process that may have ended already.
func (p *Process) Signal(s syscall.Signal) { _ = p.cmd.Process.Signal(s) }

// Exit waits for the end of the process and returns its code; -1 stands for an
// end by a signal, which is returned, too.
func (p *Process) Exit(ctx context.Context, limit time.Duration) (int, syscall.Signal, error) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-p.Done:
		if s, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && s.Signaled() {
			return -1, s.Signal(), nil
		}
		return p.cmd.ProcessState.ExitCode(), 0, nil
	case <-timer.C:
		return 0, 0, fmt.Errorf("%s still runs after %v", p.Name, limit)
	case <-ctx.Done():
		return 0, 0, context.Cause(ctx)
	}
}

// State is the letter by which the system names the state of the process.
func (p *Process) State() (string, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
	if err != nil {
		return "", err
	}
	// It is the field after the name, which stands in parentheses.
	rest := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:]))
	if len(rest) == 0 {
		return "", fmt.Errorf("/proc/%d/stat says nothing", p.PID())
	}
	return rest[0], nil
}
