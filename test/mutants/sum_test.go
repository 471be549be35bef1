package main

import (
	"path/filepath"
	"strings"
	"testing"
)

// TestSum: of each layer the last run counts, and only with the check that the
// catalog has now; who is caught is judged anew.
func TestSum(t *testing.T) {
	m := durability[0]
	file := func(name string, runs int, kind outcome, checks ...Check) string {
		f := finding{Mutant: m.Name}
		for _, c := range checks {
			tr := trial{Check: c, Caught: kind == failed}
			for range runs {
				tr.Attempts = append(tr.Attempts, attempt{verdict: verdict{Kind: kind}})
			}
			f.Trials = append(f.Trials, tr)
		}
		path := filepath.Join(t.TempDir(), name)
		if err := (&report{Runs: 2, Seeds: 9, Mutants: []finding{f}}).save(path); err != nil {
			t.Fatal(err)
		}
		return path
	}
	bad, good := file("bad", 1, passed, m.Checks...), file("good", 2, failed, m.Checks[0])
	other := file("other", 2, failed, scripted("TestOther"))
	for _, tt := range []struct {
		files []string
		want  Layer
	}{
		{[]string{bad}, ""}, {[]string{bad, good}, m.Checks[0].Layer}, {[]string{good, bad}, ""},
		{[]string{bad, other}, ""}, {[]string{file("once", 1, failed, m.Checks[0])}, ""},
	} {
		r, err := sum(tt.files)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.Mutants[0].By; got != tt.want || len(r.Mutants) != len(catalog()) {
			t.Errorf("%v: caught by %q, want %q; %d mutants", tt.files, got, tt.want, len(r.Mutants))
		}
		if row := "| `" + m.Name + "` |"; !strings.Contains(r.markdown(), row) {
			t.Errorf("no row %s", row)
		}
	}
}
