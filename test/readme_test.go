package test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// README's table of flags is that of the binary: none is missing, none is gone.
func TestReadmeFlags(t *testing.T) {
	t.Parallel()
	help, err := exec.Command(kvdBinary, "serve", "--help").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, help)
	}
	readme, err := os.ReadFile(filepath.Join(repoRoot, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	flag := regexp.MustCompile("--[a-z-]+")
	var has, tells []string
	_, flags, _ := strings.Cut(string(help), "\nFlags:\n")
	for line := range strings.Lines(flags) {
		if l := strings.TrimSpace(line); strings.HasPrefix(l, "--") {
			has = append(has, flag.FindString(l))
		}
	}
	for line := range strings.Lines(string(readme)) {
		if strings.HasPrefix(line, "| `--") {
			tells = append(tells, flag.FindString(line))
		}
	}
	if !slices.Equal(has, tells) {
		t.Errorf("kvd serve --help has\n%v, README.md\n%v", has, tells)
	}
}
