package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

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

// say tells on the way what is done.
func (w *workshop) say(format string, args ...any) {
	fmt.Fprintln(w.log, strings.TrimRight(fmt.Sprintf(format, args...), " \n:"))
}
