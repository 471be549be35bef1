package check

import (
	"strings"
	"testing"
	"time"
)

// A child that wants more memory than it may have ends, and nothing is known then.
func TestChildMemory(t *testing.T) {
	c := Child{Argv: testArgv, Env: []string{asChild + "=1"}, Memory: 128 << 20, PerKey: time.Minute, Timeout: 2 * time.Minute}
	if r := c.Run(t.Context(), writeHistory(t, goodRun(t).h)); r.Count != 0 || r.Judged == 0 {
		t.Errorf("it needs more memory for a small history: %+v", r)
	}
	r := c.Run(t.Context(), writeHistory(t, hardHistory(500)))
	if r.Count != 1 || !strings.Contains(r.Violations[0].What, "memory") {
		t.Errorf("got %+v", r)
	}
}
