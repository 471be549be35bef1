package archtest

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// call is a package-level function, by import path and name. A name that ends
// in * stands for all that begin so.
type call struct{ path, name string }

// exits are the ways to end a process from below main.
var exits = []call{{"os", "Exit"}, {"log", "Fatal*"}, {"log", "Panic*"}, {"syscall", "Exit"}, {"syscall", "Kill"}}

// clocks are the ways to ask for the time or to wait for it.
var clocks = []call{
	{"time", "Now"}, {"time", "Since"}, {"time", "Until"}, {"time", "After*"}, {"time", "Sleep"},
	{"time", "Tick"}, {"time", "NewTimer"}, {"time", "NewTicker"},
}

// TestNothingInternalExits: only cmd/kvd decides that the process ends, and
// with which code.
func TestNothingInternalExits(t *testing.T) {
	forbid(t, "..", exits)
}

// TestStateMachineHasNoClock: the time that the state goes by comes with the
// log, so that every member sees the same.
func TestStateMachineHasNoClock(t *testing.T) {
	forbid(t, "../kvstore", clocks)
}

// forbid reports every use of one of calls in the Go files below dir, tests
// and their data aside.
func forbid(t *testing.T, dir string, calls []call) {
	t.Helper()
	files := 0
	err := filepath.WalkDir(dir, func(name string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && d.Name() == "testdata" {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			return nil
		}
		files++
		return inspect(name, calls, func(pos token.Position, what string) {
			t.Errorf("%s: %s", pos, what)
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	if files == 0 {
		t.Fatalf("no Go file below %s", dir)
	}
}

// inspect reports each selector in the file that names one of calls.
func inspect(name string, calls []call, report func(pos token.Position, what string)) error {
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
	if err != nil {
		return err
	}
	local := map[string]string{} // the name in this file → import path
	for _, imp := range f.Imports {
		p, err := strconv.Unquote(imp.Path.Value)
		if err != nil {
			return err
		}
		as := path.Base(p)
		if imp.Name != nil {
			as = imp.Name.Name
		}
		local[as] = p
	}
	ast.Inspect(f, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		x, ok := sel.X.(*ast.Ident)
		if !ok {
			return true
		}
		for _, c := range calls {
			if local[x.Name] == c.path && matches(c.name, sel.Sel.Name) {
				report(fset.Position(sel.Pos()), c.path+"."+sel.Sel.Name)
			}
		}
		return true
	})
	return nil
}

func matches(pattern, name string) bool {
	if prefix, ok := strings.CutSuffix(pattern, "*"); ok {
		return strings.HasPrefix(name, prefix)
	}
	return pattern == name
}
