package archtest

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// pkg is the part of `go list -json` that the tests look at.
type pkg struct {
	ImportPath string
	Name       string
	Doc        string
	Dir        string
	Imports    []string
	Deps       []string
	Standard   bool
}

const (
	module   = "kvd"
	internal = module + "/internal/"
	chaos    = module + "/test/chaos/"
)

// allowed is the import graph: for each package of this module, the packages
// of this module that its code (without tests) may import.
var allowed = map[string][]string{
	module + "/cmd/kvd": {
		internal + "httpapi", internal + "kvstore", internal + "raftnode", internal + "replica", internal + "transport",
		internal + "load", internal + "load/kvdload", module + "/client",
	},
	internal + "http1":     {},
	internal + "httpapi":   {internal + "http1", internal + "kvstore"},
	internal + "kvstore":   {},
	internal + "raftnode":  {},
	internal + "transport": {},
	internal + "replica":   {internal + "httpapi", internal + "kvstore", internal + "raftnode"},
	internal + "clustertest": {
		internal + "httpapi", internal + "kvstore", internal + "raftnode", internal + "replica", internal + "transport",
	},
	internal + "archtest":      {},
	internal + "load":          {},
	internal + "load/httpload": {},
	internal + "load/kvdload":  {internal + "load/httpload"},
	module + "/client":         {},
	module + "/test":           {module + "/client"},
	module + "/test/bare":      {},
	module + "/test/daemon":    {module + "/client"},
	module + "/test/powerfail": {module + "/client", module + "/test/daemon"},
	module + "/test/soak":      {module + "/client", module + "/test/daemon"},
	module + "/test/chaos": {
		chaos + "check", chaos + "cluster", chaos + "fault", chaos + "history", chaos + "load", chaos + "report",
	},
	chaos + "cluster": {},
	chaos + "fault":   {chaos + "cluster"},
	chaos + "load":    {chaos + "history"},
	chaos + "report":  {},
	// What checks a run knows of kvd what its API and its commands tell.
	module + "/test/chaos/history": {},
	module + "/test/chaos/check":   {module + "/test/chaos/history"},
	module + "/test/mutants":       {},
}

// outside says what each package may know of the world: rules over its direct
// imports, and over all that these bring along.
var outside = []struct {
	pkg string
	// transitive widens the rule from the direct imports to all dependencies.
	transitive bool
	forbidden  []string // a prefix of an import path
	except     []string
	why        string
}{
	{internal + "kvstore", true, []string{"go.etcd.io/", "go.uber.org/", "net/http", "github.com/prometheus/"}, nil,
		"the state does not know how it is replicated, served, logged or measured"},
	{internal + "kvstore", false, []string{"math/rand", "crypto/rand", "hash/maphash", "os", "net", "syscall"}, nil,
		"applying a command is deterministic and does no I/O"},
	{internal + "httpapi", true, []string{"go.etcd.io/"}, nil,
		"the API sees narrow interfaces of its own, not raft"},
	{internal + "raftnode", false, []string{"net"}, []string{"net/url"},
		"a member reaches its peers through the Transport interface only"},
	{module + "/client", true, []string{"go.etcd.io/", "go.uber.org/", "github.com/", "google.golang.org/", "golang.org/"}, nil,
		"users' programs get the client and nothing else with it"},
	{internal + "load", false, []string{"net"}, nil,
		"a closed loop does not know what an operation is"},
	{internal + "transport", false, []string{"go.etcd.io/"}, []string{"go.etcd.io/raft/v3/raftpb"},
		"the transport carries messages and decides nothing about raft"},
}

// TestImportGraph holds the packages of this module to the graph in
// ARCHITECTURE.md: imports run one way, and siblings do not know each other.
func TestImportGraph(t *testing.T) {
	for _, p := range listModule(t) {
		ok, known := allowed[p.ImportPath]
		if !known {
			t.Errorf("%s has no row in the import graph", p.ImportPath)
			continue
		}
		for _, imp := range p.Imports {
			if imp != module && !strings.HasPrefix(imp, module+"/") {
				continue
			}
			if !slices.Contains(ok, imp) {
				t.Errorf("%s imports %s, which the import graph does not allow", p.ImportPath, imp)
			}
		}
	}
}

// TestOutsideImports keeps each package away from the libraries that are not
// its business.
func TestOutsideImports(t *testing.T) {
	pkgs := listModule(t)
	for _, rule := range outside {
		i := slices.IndexFunc(pkgs, func(p pkg) bool { return p.ImportPath == rule.pkg })
		if i < 0 {
			t.Errorf("no package %s", rule.pkg)
			continue
		}
		imports := pkgs[i].Imports
		if rule.transitive {
			imports = pkgs[i].Deps
		}
		for _, imp := range imports {
			if under(imp, rule.forbidden) && !under(imp, rule.except) {
				t.Errorf("%s depends on %s: %s", rule.pkg, imp, rule.why)
			}
		}
	}
}

// TestPackageDocs demands a package comment of every package, in the form
// that go doc shows well.
func TestPackageDocs(t *testing.T) {
	for _, p := range listModule(t) {
		want := "Package " + p.Name + " "
		if p.Name == "main" {
			want = "Command "
		}
		if !strings.HasPrefix(p.Doc, want) {
			t.Errorf("the doc of %s begins with %q, want %q", p.ImportPath, p.Doc, want)
		}
	}
}

// under reports whether path is one of prefixes or lies below one of them; a
// prefix that ends in a slash is a tree.
func under(path string, prefixes []string) bool {
	return slices.ContainsFunc(prefixes, func(p string) bool {
		return path == p || strings.HasPrefix(path, strings.TrimSuffix(p, "/")+"/")
	})
}

// listModule describes every package of this module.
func listModule(t *testing.T) []pkg {
	t.Helper()
	cmd := exec.Command("go", "list", "-json=ImportPath,Name,Doc,Dir,Imports,Deps,Standard", module+"/...")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(out); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("read the output of go list: %v", err)
		}
		pkgs = append(pkgs, p)
	}
	if err := cmd.Wait(); err != nil {
		t.Fatalf("go list: %v", err)
	}
	if len(pkgs) == 0 {
		t.Fatal("go list found no package")
	}
	return pkgs
}
