package test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"

	"go.uber.org/goleak"
)

// kvdBinary is the binary under test, set by TestMain.
var kvdBinary string

// repoRoot is the folder of go.mod, Procfile and Makefile, seen from here.
const repoRoot = ".."

func TestMain(m *testing.M) {
	flag.Parse()
	// Most of these tests wait most of the time, for elections and timeouts:
	// more of them can wait at once than there are processors.
	parallel := flag.Lookup("test.parallel")
	if parallel.Value.String() == parallel.DefValue {
		if err := parallel.Value.Set(strconv.Itoa(2 * runtime.GOMAXPROCS(0))); err != nil {
			panic(err)
		}
	}
	os.Exit(run(m))
}

// runTests runs the tests, and fails them when they leave a goroutine behind.
func runTests(m *testing.M) int {
	code := m.Run()
	httpClient.CloseIdleConnections()
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

func run(m *testing.M) int {
	if err := watchSources(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	if kvdBinary = os.Getenv("KVD_TEST_BINARY"); kvdBinary != "" {
		return runTests(m)
	}
	dir, err := os.MkdirTemp("", "kvd-test-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(dir, 0o755); err != nil { // other users run the binary too
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	kvdBinary = filepath.Join(dir, "kvd")
	if err := build(kvdBinary, "./cmd/kvd", os.Getenv("KVD_TEST_RACE") == "1"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return runTests(m)
}

// watchSources opens every directory of sources. `go test` keeps results until a
// file or directory changes that the test has opened; it cannot know that these
// tests build a binary.
func watchSources() error {
	for _, dir := range []string{"cmd", "internal"} {
		err := filepath.WalkDir(filepath.Join(repoRoot, dir), func(_ string, _ os.DirEntry, err error) error { return err })
		if err != nil {
			return err
		}
	}
	_, err := os.Stat(filepath.Join(repoRoot, "go.mod"))
	return err
}

// build compiles the command pkg of this repository into file.
func build(file, pkg string, race bool) error {
	file, err := filepath.Abs(file)
	if err != nil {
		return err
	}
	args := []string{"build", "-buildvcs=false", "-o", file}
	if race {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, pkg)...)
	cmd.Dir = repoRoot
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build %s: %w\n%s", pkg, err, out)
	}
	return nil
}
