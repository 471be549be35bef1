package main

import (
	"regexp"
	"strings"
)

// verdict is what a run of tests came to.
type verdict struct {
	Kind   outcome `json:"outcome"`
	Test   string  `json:"test,omitempty"`   // the first that failed
	Reason string  `json:"reason,omitempty"` // what it wrote first, or why the run says nothing
}

type outcome string

const (
	passed outcome = "passed"
	failed outcome = "failed"       // as tests fail: this is how a mutant is caught
	broken outcome = "said nothing" // about the code under test
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
		v := verdict{Kind: broken, Reason: "it did not end in time"}
		if m := hung.FindStringSubmatch(output); m != nil {
			v.Test = m[1]
		}
		return v
	}
	if exit == 0 {
		if strings.Contains(output, "testing: warning: no tests to run") {
			return verdict{Kind: broken, Reason: "there is no such test"}
		}
		return verdict{Kind: passed}
	}
	v := verdict{Kind: failed}
	if m := failLine.FindStringSubmatch(output); m != nil {
		v.Test = m[1]
	}
	c := crash.FindStringSubmatch(output)
	switch m := complaint.FindAllStringSubmatch(output, complaints); {
	case c != nil:
		v.Reason = "panic: " + c[1] // a panic ends the process: it comes with no complaint of its own
	case m != nil && v.Test != "":
		var lines []string
		for _, line := range m {
			lines = append(lines, line[1])
		}
		v.Reason = strings.Join(lines, "; ")
	case v.Test == "":
		v.Kind, v.Reason = broken, "it ended without a verdict: "+lastLine(output)
	}
	return v
}

// violation is a line of the power-failure program, or of a chaos run.
var violation = regexp.MustCompile(`(?m)^(?:VIOLATION |\*\*([\w -]+)\*\*: )(.*)$`)

// judgeProgram reads what a program wrote that ends with 1 when it has found
// something. That a cluster took long to recover is not held against it: other work
// on the machine does that too.
func judgeProgram(output string, exit int) verdict {
	if exit == 0 {
		return verdict{Kind: passed}
	}
	if exit == 1 {
		for _, m := range violation.FindAllStringSubmatch(output, -1) {
			if m[1] != "recovery" {
				return verdict{Kind: failed, Reason: strings.TrimPrefix(m[1]+": "+m[2], ": ")}
			}
		}
	}
	return verdict{Kind: broken, Reason: "it ended without a verdict: " + lastLine(output)}
}

func lastLine(s string) string {
	s = strings.TrimSpace(s)
	return strings.TrimSpace(s[strings.LastIndexByte(s, '\n')+1:])
}
