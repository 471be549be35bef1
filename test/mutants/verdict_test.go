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
		{"it passes", "PASS\n", 0, verdict{Kind: passed}},
		{"no such test", "testing: warning: no tests to run\nPASS\n", 0, verdict{Kind: broken, Reason: "there is no such test"}},
		{"it fails", aFailure, 1, verdict{failed, "TestX", "seed 4; got 1, want 2"}},
		{"it panics", "panic: index out of range [recovered]\n\ngoroutine 7 [running]:\n", 2, verdict{failed, "", "panic: index out of range [recovered]"}},
		{"it panics in a test", "--- FAIL: TestX (0.01s)\npanic: no\n", 2, verdict{failed, "TestX", "panic: no"}},
		{"it deadlocks", "fatal error: all goroutines are asleep - deadlock!\n", 2, verdict{failed, "", "panic: all goroutines are asleep - deadlock!"}},
		{"it takes too long", "panic: test timed out after 2m0s\n\trunning tests:\n\t\tTestX (2m0s)\n\t\tTestX/3 (2m0s)\n", 2, verdict{broken, "TestX", "it did not end in time"}},
		{"it fails and takes too long", aFailure + "panic: test timed out after 2m0s\n", 2, verdict{Kind: broken, Reason: "it did not end in time"}},
		{"it does not begin", "go: cannot build\nno binary\n", 1, verdict{Kind: broken, Reason: "it ended without a verdict: no binary"}},
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

// TestJudgeProgram: a program catches a mutant when it says what is wrong, and not by
// being slow or unable.
func TestJudgeProgram(t *testing.T) {
	for _, tt := range []struct {
		name, output string
		exit         int
		want         verdict
	}{
		{"it passes", "powerfail: PASSED\n", 0, verdict{Kind: passed}},
		{"writes are lost", "\nVIOLATION ext4 one, seed 1: 3 lost\n  w1/02\nVIOLATION xfs\n", 1, verdict{Kind: failed, Reason: "ext4 one, seed 1: 3 lost"}},
		{"a promise is broken", "# Chaos: violated\n\n**recovery**: slow\n\n**linearizable**: r1\n", 1, verdict{Kind: failed, Reason: "linearizable: r1"}},
		{"it was slow", "# Chaos: violated\n\n**recovery**: slow\n", 1, verdict{Kind: broken, Reason: "it ended without a verdict: **recovery**: slow"}},
		{"it does not count", "# Chaos: did not count\n", 3, verdict{Kind: broken, Reason: "it ended without a verdict: # Chaos: did not count"}},
		{"it cannot be had", "powerfail: NOT RUN\n  root\n", 3, verdict{Kind: broken, Reason: "it ended without a verdict: root"}},
	} {
		if got := judgeProgram(tt.output, tt.exit); got != tt.want {
			t.Errorf("%s: %+v, want %+v", tt.name, got, tt.want)
		}
	}
}
