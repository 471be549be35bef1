package main

import "testing"

// TestJudge: only a test that fails, or a panic of the code under test, catches
// a mutant. A time limit, a build or a pattern that matches nothing does not.
func TestJudge(t *testing.T) {
	const aFailure = "--- FAIL: TestX (0.01s)\n    --- FAIL: TestX/3 (0.01s)\n        x_test.go:5: seed 4\n        x_test.go:7: got 1, want 2\nFAIL\n"
	for _, tt := range []struct {
		name, output string
		exit         int
		want         verdict
	}{
		{"it passes", "PASS\n", 0, verdict{kind: passed}},
		{"no such test", "testing: warning: no tests to run\nPASS\n", 0, verdict{kind: broken, reason: "there is no such test"}},
		{"it fails", aFailure, 1, verdict{failed, "TestX", "seed 4; got 1, want 2"}},
		{"it panics", "panic: index out of range [recovered]\n\ngoroutine 7 [running]:\n", 2, verdict{failed, "", "panic: index out of range [recovered]"}},
		{"it panics in a test", "--- FAIL: TestX (0.01s)\npanic: no\n", 2, verdict{failed, "TestX", "panic: no"}},
		{"it deadlocks", "fatal error: all goroutines are asleep - deadlock!\n", 2, verdict{failed, "", "panic: all goroutines are asleep - deadlock!"}},
		{"it takes too long", "panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestX (2m0s)\n\t\tTestX/3 (2m0s)\n", 2, verdict{broken, "TestX", "it did not end in time"}},
		{"it fails and takes too long", aFailure + "panic: test timed out after 2m0s\n", 2, verdict{kind: broken, reason: "it did not end in time"}},
		{"it does not begin", "go: cannot build\nno binary\n", 1, verdict{kind: broken, reason: "it ended without a verdict: no binary"}},
	} {
		if got := judge(tt.output, tt.exit); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
	output := "--- FAIL: TestSimulation (1.00s)\n    --- FAIL: TestSimulation/2000017 (0.10s)\n"
	if got := failedSeed(output, 2_000_001); got != 2_000_017 {
		t.Errorf("the seed that failed is %d", got)
	}
}
