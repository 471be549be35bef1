package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"go.etcd.io/raft/v3"
)

// bugClasses is how many rows docs/bug-classes.md has.
const bugClasses = 56

// TestBugClasses holds docs/bug-classes.md to its numbers, each once and in
// order, and to tests that exist.
func TestBugClasses(t *testing.T) {
	tests := findTests(t)
	next := 1
	for _, row := range tableRows(t, "bug-classes.md") {
		if len(row) != 4 {
			t.Errorf("row %q has %d cells", row, len(row))
			continue
		}
		if row[0] != strconv.Itoa(next) {
			t.Errorf("row %s stands where %d should", row[0], next)
		}
		next++
		if row[1] == "" || row[2] == "" {
			t.Errorf("row %s says too little", row[0])
		}
		checkTests(t, tests, "bug-classes.md, row "+row[0], row[3], true)
	}
	if next != bugClasses+1 {
		t.Errorf("bug-classes.md has %d rows, want %d", next-1, bugClasses)
	}
}

// TestGuarantees holds docs/guarantees.md to tests that exist: every promise
// names one.
func TestGuarantees(t *testing.T) {
	tests := findTests(t)
	for _, row := range tableRows(t, "guarantees.md") {
		checkTests(t, tests, "guarantees.md, "+row[0], row[len(row)-1], true)
	}
}

// TestRaftPage holds docs/raft.md to the library that is linked: no field of
// its Config and no method of its Node or RawNode is missing, none has gone,
// and each has a test, or is off for a reason.
func TestRaftPage(t *testing.T) {
	tests := findTests(t)
	config := make(map[string]bool)
	for _, f := range reflect.VisibleFields(reflect.TypeFor[raft.Config]()) {
		config["Config."+f.Name] = true
	}
	methods := make(map[string]bool)
	for _, typ := range []reflect.Type{reflect.TypeFor[raft.Node](), reflect.TypeFor[*raft.RawNode]()} {
		for m := range typ.Methods() {
			methods[m.Name] = true
		}
	}
	seen := make(map[string]bool)
	for _, row := range tableRows(t, "raft.md") {
		if len(row) != 3 {
			t.Errorf("row %q has %d cells", row, len(row))
			continue
		}
		name := strings.Trim(row[0], "`")
		if seen[name] {
			t.Errorf("%s stands there twice", name)
		}
		seen[name] = true
		if !config[name] && !methods[name] {
			t.Errorf("raft has no %s", name)
		}
		if len(row[1]) < 20 {
			t.Errorf("%s: %q says too little", name, row[1])
		}
		checkTests(t, tests, "raft.md, "+name, row[2], row[2] != "off")
	}
	for _, want := range []map[string]bool{config, methods} {
		for name := range want {
			if !seen[name] {
				t.Errorf("raft.md does not mention %s", name)
			}
		}
	}
}

// reference is a test as the pages name it.
var reference = regexp.MustCompile("`([a-z]+)\\.((?:Test|Fuzz|Example)[A-Za-z0-9_]*)`")

// checkTests checks that all tests that a cell names exist, and that it names
// one if it must.
func checkTests(t *testing.T, tests map[string]bool, where, cell string, must bool) {
	t.Helper()
	found := reference.FindAllStringSubmatch(cell, -1)
	if must && len(found) == 0 {
		t.Errorf("%s names no test", where)
	}
	if rest := strings.Trim(reference.ReplaceAllString(cell, ""), ", "); rest != "" && rest != "off" {
		t.Errorf("%s: %q is no test", where, rest)
	}
	for _, f := range found {
		if !tests[f[1]+"."+f[2]] {
			t.Errorf("%s names %s.%s, which does not exist", where, f[1], f[2])
		}
	}
}

// tableRows returns the rows of all tables of a page, without their heads.
func tableRows(t *testing.T, page string) [][]string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "docs", page))
	if err != nil {
		t.Fatal(err)
	}
	var rows [][]string
	body := false // past the line below the head
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSpace(line)
		switch {
		case !strings.HasPrefix(line, "|"):
			body = false
		case strings.HasPrefix(line, "|--") || strings.HasPrefix(line, "| --"):
			body = true
		case body:
			cells := strings.Split(strings.Trim(line, "|"), "|")
			for i := range cells {
				cells[i] = strings.TrimSpace(cells[i])
			}
			rows = append(rows, cells)
		}
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no table", page)
	}
	return rows
}

// findTests returns the tests of this module, by the directory they are in and
// their name, whatever system they are built for.
func findTests(t *testing.T) map[string]bool {
	t.Helper()
	tests := make(map[string]bool)
	err := filepath.WalkDir(filepath.Join("..", ".."), func(name string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || strings.HasPrefix(d.Name(), ".") && len(d.Name()) > 2):
			return filepath.SkipDir
		case d.IsDir() || !strings.HasSuffix(name, "_test.go"):
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		for _, decl := range f.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil {
				tests[filepath.Base(filepath.Dir(name))+"."+fn.Name.Name] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return tests
}
