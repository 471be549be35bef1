package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kvd/test/chaos/report"
)

// What is wrong with a command line is said, and nothing is begun.
func TestBadCommands(t *testing.T) {
	full := t.TempDir()
	if err := os.WriteFile(filepath.Join(full, "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		args []string
		says string
	}{
		{"no report", nil, "-report is missing"},
		{"a report that is there", []string{"-report", full}, "is not empty"},
		{"an unknown fault", []string{"-report", t.TempDir(), "-kinds", "30 % loss,rain"}, `no kind of fault "rain"`},
		{"an hour in one run", []string{"-report", t.TempDir(), "-duration", "1h"}, "at most 15m0s"},
		{"two members", []string{"-report", t.TempDir(), "-members", "2"}, "cannot lose one"},
		{"words", []string{"-report", t.TempDir(), "now"}, `what is ["now"]`},
		{"a sum of nothing", []string{"sum", "-report", t.TempDir()}, "no report"},
		{"a sum for nobody", []string{"sum"}, "-report is missing"},
		{"a check of nothing", []string{"check"}, "which directory"},
	} {
		var out, errs bytes.Buffer
		if code := run(t.Context(), test.args, &out, &errs); code != exitError || !strings.Contains(errs.String(), test.says) {
			t.Errorf("%s: exit code %d, %q, want %d and %q", test.name, code, errs.String(), exitError, test.says)
		}
	}
}

// The exit code tells a violation from a run that does not count.
func TestSumExitCodes(t *testing.T) {
	part := func(r report.Report) string {
		dir := t.TempDir()
		if err := r.Write(dir); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	good := report.Report{Runs: 1, Operations: map[string]map[string]int{"put": {"ok": 5}}, Verdict: report.Passed}
	bad := good
	bad.Checks = []report.Check{{Name: "reads", Count: 1, Violations: []string{"stale"}}}
	for _, test := range []struct {
		name string
		min  string
		r    report.Report
		want int
	}{
		{"enough", "10", good, exitPassed},
		{"too little", "11", good, exitDidNotCount},
		{"violated", "11", bad, exitViolated},
	} {
		dir := filepath.Join(t.TempDir(), "sum")
		var out, errs bytes.Buffer
		code := run(t.Context(), []string{"sum", "-min-operations", test.min, "-report", dir, part(good), part(test.r)}, &out, &errs)
		if code != test.want || errs.Len() > 0 {
			t.Errorf("%s: exit code %d, %s, want %d", test.name, code, errs.String(), test.want)
		}
		if got, err := report.Read(dir); err != nil || got.Runs != 2 || got.Total("ok") != 10 {
			t.Errorf("%s: got %+v, %v", test.name, got, err)
		}
	}
}
