package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"kvd/test/daemon"
)

// startLimit is how long a system may take until it answers, also with a large state.
const startLimit = 2 * time.Minute

// system is a number of processes that serve together.
type system interface {
	name() string

	// start starts all members on empty directories below dir and blocks until
	// they serve and one leads.
	start(ctx context.Context, dir string, members int) error

	// settle blocks until every member serves and one leads, and finds out
	// which, after the processes were stopped or started.
	settle(ctx context.Context) error

	// endpoints are the addresses of the members, as host and port; leader is
	// the index of the one that led when the system last settled.
	endpoints() []string
	leader() int

	// processes are those of the members, in order.
	processes() []process
}

// process is one member, as the machine sees it.
type process interface {
	PID() int
	Running() bool
	Signal(s syscall.Signal)
	Kill()
	Start() error
}

// pause stops all processes; they take no more of the machine until resume.
func pause(s system) {
	for _, p := range s.processes() {
		p.Signal(syscall.SIGSTOP)
	}
}

// resume lets paused processes run, and blocks until they serve again.
func resume(ctx context.Context, s system) error {
	for _, p := range s.processes() {
		p.Signal(syscall.SIGCONT)
	}
	return s.settle(ctx)
}

// kill ends all processes.
func kill(s system) {
	for _, p := range s.processes() {
		p.Kill()
	}
}

// memberDirs makes a directory for each member.
func memberDirs(dir string, members int) ([]string, error) {
	var dirs []string
	for i := range members {
		d := filepath.Join(dir, fmt.Sprintf("member%d", i+1))
		if err := os.MkdirAll(d, 0o700); err != nil {
			return nil, err
		}
		dirs = append(dirs, d)
	}
	return dirs, nil
}

// self is a command of this binary, run as a process of its own.
func self(name, log string, args ...string) (*daemon.Process, error) {
	binary, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return &daemon.Process{Name: name, Binary: binary, Args: args, Log: log}, nil
}

// errTooSlow is for what did not happen within its limit.
var errTooSlow = errors.New("not within the limit")

// until calls f every few milliseconds until it returns nil.
func until(ctx context.Context, limit time.Duration, what string, f func(ctx context.Context) error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errTooSlow)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	var last error
	for {
		attempt, cancel := context.WithTimeout(ctx, 2*time.Second)
		err := f(attempt)
		cancel()
		if err == nil {
			return nil
		}
		if _, dead := errors.AsType[*daemon.Ended](err); dead {
			return err
		}
		if ctx.Err() == nil || last == nil {
			last = err // later ones tell of the limit only
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			if context.Cause(ctx) != errTooSlow {
				return fmt.Errorf("%s: %w", what, context.Cause(ctx))
			}
			return fmt.Errorf("%s: %w of %v: %w", what, errTooSlow, limit, last)
		}
	}
}
