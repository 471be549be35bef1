package check

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A child that wants more memory than it may have ends, and nothing is known then.
// The child is built anew: one with the race detector in it, as this one may be,
// needs far more memory than any limit that is of use.
func TestChildMemory(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "check.test")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go test -c: %v: %s", err, out)
	}
	c := Child{Argv: []string{binary}, Env: []string{asChild + "=1"}, Memory: 128 << 20, PerKey: time.Minute, Timeout: 2 * time.Minute}
	if r := c.Run(t.Context(), writeHistory(t, goodRun(t).h)); r.Count != 0 || r.Judged == 0 {
		t.Errorf("it needs more memory for a small history: %+v", r)
	}
	r := c.Run(t.Context(), writeHistory(t, hardHistory(500)))
	if r.Count != 1 || !strings.Contains(r.Violations[0].What, "memory") {
		t.Errorf("got %+v", r)
	}
}
