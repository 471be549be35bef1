package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// runLimit ends a run that does not end by itself.
const runLimit = 2 * time.Minute

// workshop builds trees, mutated or not, and runs tests of them.
type workshop struct {
	root string
	dir  string // for what is built
	log  io.Writer
}

// tree is the source with a mutant, or as it is.
type tree struct {
	name    string
	dir     string
	overlay string // "": the source as it is
	built   map[string]string
}

// newTree prepares a mutant; nil is the source as it is.
func (w *workshop) newTree(m *Mutant) (*tree, error) {
	t := &tree{name: "unchanged", built: make(map[string]string)}
	if m != nil {
		t.name = m.Name
	}
	t.dir = filepath.Join(w.dir, t.name)
	if err := os.Mkdir(t.dir, 0o755); err != nil {
		return nil, err
	}
	if m == nil {
		return t, nil
	}
	files, err := mutate(w.root, *m)
	if err != nil {
		return nil, err
	}
	t.overlay, err = overlay(w.root, t.dir, files)
	return t, err
}

// build returns the binary of a package's tests, or of ./cmd/kvd, made of a tree.
func (w *workshop) build(ctx context.Context, t *tree, pkg string, tests bool) (string, error) {
	if file, ok := t.built[pkg]; ok {
		return file, nil
	}
	file := filepath.Join(t.dir, filepath.Base(pkg)+".bin")
	args := []string{"build", "-buildvcs=false"}
	if tests {
		args = []string{"test", "-c"}
	}
	if t.overlay != "" {
		args = append(args, "-overlay", t.overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, "-o", file, "./"+pkg)...)
	cmd.Dir = w.root
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("build %s of the tree %s: %w\n%s", pkg, t.name, err, out)
	}
	t.built[pkg] = file
	return file, nil
}

// attempt is one run of a check's tests.
type attempt struct {
	verdict
	took time.Duration
	seed uint64 // of the simulation that failed, or the run's
}

// attempt runs a check's tests on a tree. seeds is how many simulations follow
// one another at most, and more are arguments of the tests. The time does not count what it takes to build.
func (w *workshop) attempt(ctx context.Context, t, unchanged *tree, c Check, seed, seeds uint64, more ...string) (attempt, error) {
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
		"-test.run=" + c.pattern(), "-test.timeout=" + runLimit.String(), "-test.failfast",
		"-test.shuffle=" + strconv.FormatUint(seed, 10),
	}
	args = append(args, more...)
	if c.Layer == Simulation {
		args = append(args, fmt.Sprintf("-seed=%d", seed), fmt.Sprintf("-seeds=%d", seeds))
	}
	cmd := exec.CommandContext(ctx, file, args...)
	cmd.Dir, cmd.Env = filepath.Join(w.root, filepath.FromSlash(c.Package)), env
	cmd.WaitDelay = 10 * time.Second
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	begin := time.Now()
	err = cmd.Run()
	a := attempt{took: time.Since(begin), seed: seed}
	if ctx.Err() != nil {
		return a, context.Cause(ctx)
	}
	exit := 0
	if err != nil {
		failure, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			return a, fmt.Errorf("run %s: %w", file, err)
		}
		exit = failure.ExitCode()
	}
	a.verdict = judge(out.String(), exit)
	if c.Layer == Simulation && a.kind == failed {
		a.seed = failedSeed(out.String(), seed)
	}
	return a, nil
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

// say tells on the way what is done.
func (w *workshop) say(format string, args ...any) {
	fmt.Fprintln(w.log, strings.TrimRight(fmt.Sprintf(format, args...), "\n"))
}
