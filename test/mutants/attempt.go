package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A run that does not end by itself is ended.
const (
	testLimit    = 8 * time.Minute // a hundred simulations on a busy machine
	programLimit = 10 * time.Minute
)

// attempt is one run of a check.
type attempt struct {
	verdict
	Seconds float64 `json:"seconds"` // without building
	Seed    uint64  `json:"seed"`    // of the simulation that failed, or the run's
}

// attempt runs a check on a tree. seeds is how many simulations follow one another
// at most, and more are arguments of the tests.
func (w *workshop) attempt(ctx context.Context, t, unchanged *tree, c Check, seed, seeds uint64, more ...string) (attempt, error) {
	if c.Layer.isProgram() {
		return w.attemptProgram(ctx, t, unchanged, c, seed)
	}
	testsOf, env := t, os.Environ()
	if c.Layer == Binary {
		// The program has the bug; its tests are compiled once.
		kvd, err := w.build(ctx, t, "cmd/kvd", false)
		if err != nil {
			return attempt{}, err
		}
		testsOf = unchanged
		env = append(env, "KVD_TEST_BINARY="+kvd, "KVD_FAULT_SEED="+strconv.FormatUint(seed, 10))
	}
	file, err := w.build(ctx, testsOf, c.Package, true)
	if err != nil {
		return attempt{}, err
	}
	args := []string{
		"-test.run=" + c.pattern(), "-test.timeout=" + testLimit.String(), "-test.failfast",
		"-test.shuffle=" + strconv.FormatUint(seed, 10),
	}
	args = append(args, more...)
	if c.Package == clusters {
		args = append(args, fmt.Sprintf("-seed=%d", seed), fmt.Sprintf("-seeds=%d", seeds))
	}
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Dir, cmd.Env = filepath.Join(w.root, filepath.FromSlash(c.Package)), env
	out, exit, took, err := execute(ctx, cmd)
	if err != nil {
		return attempt{}, err
	}
	a := attempt{verdict: judge(out, exit), Seconds: took.Seconds(), Seed: seed}
	if c.Layer == Simulation && a.Kind == failed {
		a.Seed = failedSeed(out, seed)
	}
	return a, nil
}

// attemptProgram runs a program of this module against kvd of the tree.
func (w *workshop) attemptProgram(ctx context.Context, t, unchanged *tree, c Check, seed uint64) (attempt, error) {
	kvd, err := w.build(ctx, t, "cmd/kvd", false)
	if err != nil {
		return attempt{}, err
	}
	file, err := w.build(ctx, unchanged, c.Package, false)
	if err != nil {
		return attempt{}, err
	}
	dir, err := os.MkdirTemp(t.dir, "run-")
	if err != nil {
		return attempt{}, err
	}
	defer os.RemoveAll(dir)
	args := append(strings.Split(c.Tests, ", "), fmt.Sprintf("-seed=%d", seed))
	if c.Layer == Chaos {
		args = append(args, "-binary="+kvd, "-report="+dir)
	} else {
		args = append(args, "-kvd="+kvd)
	}
	limited, cancel := context.WithTimeout(ctx, programLimit)
	defer cancel()
	cmd := exec.CommandContext(limited, file, args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // it takes away what it has made
	cmd.Dir = w.root
	out, exit, took, err := execute(ctx, cmd)
	if err != nil {
		return attempt{}, err
	}
	a := attempt{verdict: judgeProgram(out, exit), Seconds: took.Seconds(), Seed: seed}
	if limited.Err() != nil {
		a.verdict = verdict{Kind: broken, Reason: "it did not end in time"}
	}
	return a, nil
}

// execute runs a command to its end, or until ctx is over, which is an error.
func execute(ctx context.Context, cmd *exec.Cmd) (output string, exit int, took time.Duration, err error) {
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = 30 * time.Second
	begin := time.Now()
	err = cmd.Run()
	took = time.Since(begin)
	if ctx.Err() != nil {
		return "", 0, took, context.Cause(ctx)
	}
	failure, ok := errors.AsType[*exec.ExitError](err)
	if err != nil && !ok && !errors.Is(err, context.DeadlineExceeded) {
		return "", 0, took, fmt.Errorf("run %s: %w", cmd.Path, err)
	}
	if ok {
		exit = failure.ExitCode()
	}
	return out.String(), exit, took, nil
}

var simulationFailed = regexp.MustCompile(`--- FAIL: ` + simulationTest + `/(\d+)`)

// failedSeed is the seed of the simulation that failed; each is a subtest.
func failedSeed(output string, first uint64) uint64 {
	if m := simulationFailed.FindStringSubmatch(output); m != nil {
		if seed, err := strconv.ParseUint(m[1], 10, 64); err == nil {
			return seed
		}
	}
	return first
}
