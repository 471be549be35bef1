package kvstore

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// mayImport is all that this package needs. What is not here can read a clock, a
// coin, a file, an environment or a socket, or has no business in the state.
var mayImport = []string{
	"bufio", "bytes", "cmp", "context", "encoding/binary", "errors", "fmt", "io", "iter", "math",
	"slices", "strconv", "sync", "time", "github.com/cespare/xxhash/v2",
}

// mayHave is what files may have of the rest. Readers wait there, for a revision
// or for events, and the state depends neither on what they see nor on which of
// them is woken first: nothing that Apply changes before it wakes them, and nothing
// that it returns, is taken from there.
var mayHave = map[string][]string{
	"wait.go":       {scheduler},
	"watcher.go":    {scheduler},
	"watchindex.go": {scheduler, hasMap},
}

// TestNothingNondeterministic holds the code to what Apply promises: members
// that apply the same log hold the same state.
func TestNothingNondeterministic(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		fset := token.NewFileSet()
		file, err := parser.ParseFile(fset, name, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range nondeterministic(file) {
			if slices.Contains(mayHave[name], f.what) {
				continue
			}
			t.Errorf("%s: %s", fset.Position(f.pos), f.what)
		}
		checked++
	}
	if checked < 10 {
		t.Fatalf("only %d files were checked", checked)
	}
}

const (
	scheduler = "leaves an order to the scheduler"
	hasMap    = "has a map"
)

type finding struct {
	pos  token.Pos
	what string
}

func nondeterministic(file *ast.File) (found []finding) {
	for _, imp := range file.Imports {
		path, _ := strconv.Unquote(imp.Path.Value)
		if !slices.Contains(mayImport, path) {
			found = append(found, finding{imp.Pos(), "imports " + path})
		}
		if imp.Name != nil {
			found = append(found, finding{imp.Pos(), "gives " + path + " another name"})
		}
	}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.SelectorExpr:
			// Of package time only the type and its units are deterministic, of package
			// context the type.
			x, ok := n.X.(*ast.Ident)
			if ok && x.Name == "time" && !slices.Contains([]string{"Duration", "Second", "Hour"}, n.Sel.Name) ||
				ok && x.Name == "context" && n.Sel.Name != "Context" {
				found = append(found, finding{n.Pos(), "uses " + x.Name + "." + n.Sel.Name})
			}
		case *ast.MapType:
			// Its order differs from run to run. One that is never ranged over
			// would do no harm, but nobody would see the day it is.
			found = append(found, finding{n.Pos(), hasMap})
		case *ast.GoStmt, *ast.SelectStmt:
			found = append(found, finding{n.Pos(), scheduler})
		case *ast.Ident:
			if n.Name == "float64" || n.Name == "float32" {
				found = append(found, finding{n.Pos(), "has a " + n.Name})
			}
		}
		return true
	})
	return found
}

// The check itself must see what it is there for.
func TestNondeterministicIsSeen(t *testing.T) {
	for _, c := range []struct{ name, src string }{
		{"clock", `import "time"; var x = time.Now()`},
		{"sleep", `import "time"; func f() { time.Sleep(1) }`},
		{"renamed clock", `import t "time"; var x = t.Now()`},
		{"coin", `import "math/rand/v2"; var x = rand.Int()`},
		{"environment", `import "os"; var x = os.Getenv("X")`},
		{"log", `import "log"; func f() { log.Print() }`},
		{"network", `import "net"; var x net.Conn`},
		{"map", `func f(m map[string]int) { for range m {} }`},
		{"goroutine", `func f() { go f() }`},
		{"select", `func f(a chan int) { select { case <-a: default: } }`},
		{"float", `var x float64`},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), c.name, "package p; "+c.src, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if len(nondeterministic(file)) == 0 {
			t.Errorf("%s: not seen in %s", c.name, c.src)
		}
	}
}
