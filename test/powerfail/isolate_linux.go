package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"syscall"
)

// insideVariable tells the program that it has its own mount namespace.
const insideVariable = "POWERFAIL_ISOLATED"

func isolated() bool { return os.Getenv(insideVariable) != "" }

// isolate runs this program again in a mount namespace of its own, whose mounts go
// with its last process.
func isolate(args []string, stdout, stderr io.Writer) int {
	signal.Ignore(os.Interrupt) // the terminal sends it to both
	cmd := exec.Command("/proc/self/exe", args...)
	cmd.Env = append(os.Environ(), insideVariable+"=1")
	cmd.Stdout, cmd.Stderr = stdout, stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGTERM}
	if err := cmd.Start(); err != nil {
		fmt.Fprintln(stderr, "powerfail: NOT RUN, this does not count: no mount namespace:", err)
		return exitNoCount
	}
	terms := make(chan os.Signal, 1)
	signal.Notify(terms, syscall.SIGTERM)
	go func() {
		for s := range terms {
			_ = cmd.Process.Signal(s)
		}
	}()
	err := cmd.Wait()
	signal.Stop(terms)
	close(terms)
	if e, ok := errors.AsType[*exec.ExitError](err); ok && e.ExitCode() >= 0 {
		return e.ExitCode()
	}
	if err != nil {
		fmt.Fprintln(stderr, "powerfail: this does not count:", err)
		return exitNoCount
	}
	return exitPassed
}
