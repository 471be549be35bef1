package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/importer"
	"go/parser"
	"go/token"
	"go/types"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// goPackage is the part of `go list -json` that is looked at.
type goPackage struct {
	ImportPath string
	Dir        string
	Export     string // what a compiler needs of it
	GoFiles    []string
}

// compiled lists the packages of the module and all that they import.
func compiled(t *testing.T, root string) []goPackage {
	t.Helper()
	cmd := exec.Command("go", "list", "-export", "-deps", "-json=ImportPath,Dir,Export,GoFiles", "./internal/...", "./cmd/...")
	cmd.Dir, cmd.Stderr = root, os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	var all []goPackage
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatalf("read the output of go list: %v", err)
		}
		all = append(all, p)
	}
}

// TestMutantsCompile: every edit still has the one place it was made for, and
// leaves a package that compiles. A mutant that does not would be caught by
// nobody, and show nothing.
func TestMutantsCompile(t *testing.T) {
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	byDir, export := make(map[string]goPackage), make(map[string]string)
	for _, p := range compiled(t, root) {
		byDir[p.Dir], export[p.ImportPath] = p, p.Export
	}
	fset := token.NewFileSet()
	imports := importer.ForCompiler(fset, "gc", func(path string) (io.ReadCloser, error) { return os.Open(export[path]) })
	check := func(dir string, changed map[string][]byte) error {
		p, ok := byDir[dir]
		if !ok {
			return fmt.Errorf("no package in %s", dir)
		}
		var files []*ast.File
		for _, name := range p.GoFiles {
			name = filepath.Join(dir, name)
			var src any // nil: what the file holds
			if text, ok := changed[name]; ok {
				src = text
			}
			f, err := parser.ParseFile(fset, name, src, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			files = append(files, f)
		}
		_, err := (&types.Config{Importer: imports}).Check(p.ImportPath, fset, files, nil)
		return err
	}
	for _, m := range catalog() {
		files, err := mutate(root, m)
		if err != nil {
			t.Error(err)
			continue
		}
		changed, dirs := make(map[string][]byte), make(map[string]bool)
		for name, text := range files {
			name = filepath.Join(root, filepath.FromSlash(name))
			changed[name] = text
			dirs[filepath.Dir(name)] = true
		}
		for dir := range dirs {
			if err := check(dir, changed); err != nil {
				t.Errorf("mutant %s: %v", m.Name, err)
			}
		}
	}
}

// TestCatalog: mutants are described as they should be, and the tests that are
// to catch them exist.
func TestCatalog(t *testing.T) {
	if err := validate(catalog()); err != nil {
		t.Error(err)
	}
	root, err := moduleRoot()
	if err != nil {
		t.Fatal(err)
	}
	known := make(map[string]map[string]bool)
	for _, m := range catalog() {
		for _, c := range m.Checks {
			if c.Layer.isProgram() {
				continue
			}
			if known[c.Package] == nil {
				known[c.Package] = testsIn(t, filepath.Join(root, filepath.FromSlash(c.Package)))
			}
			for name := range strings.FieldsSeq(c.Tests) {
				if !known[c.Package][name] {
					t.Errorf("mutant %s: %s has no %s", m.Name, c.Package, name)
				}
			}
		}
	}
}

// testsIn returns the names of the tests in a directory.
func testsIn(t *testing.T, dir string) map[string]bool {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	names := make(map[string]bool)
	for _, file := range files {
		f, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && strings.HasPrefix(fn.Name.Name, "Test") {
				names[fn.Name.Name] = true
			}
		}
	}
	return names
}
