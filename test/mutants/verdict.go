package main

import (
	"regexp"
	"strings"
)

// verdict is what a run of tests came to.
type verdict struct {
	kind   outcome
	test   string // the first that failed
	reason string // what it wrote first, or why the run says nothing
}

type outcome int

const (
	passed outcome = iota
	failed         // as tests fail: this is how a mutant is caught
	broken         // it says nothing about the code under test
)

var (
	failLine  = regexp.MustCompile(`(?m)^\s*--- FAIL: (\S+)`)
	complaint = regexp.MustCompile(`(?m)^\s+\w+_test\.go:\d+: (.*)$`)
	hung      = regexp.MustCompile(`(?m)^\s+running tests:\n\s+(\S+)`)
	crash     = regexp.MustCompile(`(?m)^(?:panic|fatal error): (.*)$`)
)

// complaints is how many lines of a test's output are kept: what it logs and what
// it complains about look the same.
const complaints = 4

// judge reads the output of a test binary that was run without -test.v.
func judge(output string, exit int) verdict {
	if strings.Contains(output, "panic: test timed out after") {
		v := verdict{kind: broken, reason: "it did not end in time"}
		if m := hung.FindStringSubmatch(output); m != nil {
			v.test = m[1]
		}
		return v
	}
	if exit == 0 {
		if strings.Contains(output, "testing: warning: no tests to run") {
			return verdict{kind: broken, reason: "there is no such test"}
		}
		return verdict{kind: passed}
	}
	v := verdict{kind: failed}
	if m := failLine.FindStringSubmatch(output); m != nil {
		v.test = m[1]
	}
	c := crash.FindStringSubmatch(output)
	switch m := complaint.FindAllStringSubmatch(output, complaints); {
	case c != nil:
		v.reason = "panic: " + c[1] // a panic ends the process: it comes with no complaint of its own
	case m != nil && v.test != "":
		var lines []string
		for _, line := range m {
			lines = append(lines, line[1])
		}
		v.reason = strings.Join(lines, "; ")
	case v.test == "":
		v.kind, v.reason = broken, "it ended without a verdict: "+lastLine(output)
	}
	return v
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return s[strings.LastIndexByte(s, '\n')+1:]
}
