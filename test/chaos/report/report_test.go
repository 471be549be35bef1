package report

import (
	"reflect"
	"slices"
	"strings"
	"testing"
)

// good is a report of a run in which nothing was wrong.
func good() *Report {
	return &Report{
		Runs: 1, Seeds: []uint64{7}, Commit: "c", Began: "2026-01-02T00:00:00Z", Seconds: 10, Members: 3,
		Operations: map[string]map[string]int{"put": {"ok": 90, "failed": 5, "unknown": 5}},
		Faults: []Fault{
			{Round: 0, Kind: "a", Shown: true, Before: 100, Recovery: new(3.0), Changes: 1},
			{Round: 0, Kind: "b", Shown: true, Before: 100, Recovery: new(3.0)},
			{Round: 1, Kind: "a", Before: 200, Recovery: new(1.0), Unshown: []string{"no packet"}},
		},
		Skipped: map[string]string{"c": "no root"},
		Checks:  []Check{{Name: "reads", Judged: 4}},
	}
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(r *Report)
		wanted Wanted
		want   Verdict
		reason string
	}{
		{"nothing wrong", func(*Report) {}, Wanted{100, 2, 1}, Passed, ""},
		{"a violation", func(r *Report) { r.Checks[0].Count = 1 }, Wanted{}, Violated, ""},
		{"too many unknown", func(r *Report) { r.Operations["put"]["unknown"] = 6 }, Wanted{}, DidNotCount, "unknown"},
		{"too many refused", func(r *Report) { r.Operations["put"]["failed"], r.Operations["put"]["ok"] = 6, 89 }, Wanted{}, DidNotCount, "surely did not happen"},
		{"too slow before a fault", func(r *Report) { r.Faults[2].Before = 99 }, Wanted{}, DidNotCount, "99 operations/s"},
		{"nothing shown", func(r *Report) { r.Faults = r.Faults[2:] }, Wanted{}, DidNotCount, "no fault was shown"},
		{"no operation", func(r *Report) { r.Operations = nil }, Wanted{}, DidNotCount, "no operation"},
		{"a reason of before", func(r *Report) { r.Reasons = []string{"interrupted"} }, Wanted{}, DidNotCount, "interrupted"},
		{"a violation in a run that does not count", func(r *Report) {
			r.Reasons, r.Checks[0].Count = []string{"interrupted"}, 1
		}, Wanted{}, Violated, "interrupted"},
		{"too few operations", func(*Report) {}, Wanted{Operations: 101}, DidNotCount, "100 operations, want 101"},
		{"too few faults", func(*Report) {}, Wanted{Faults: 3}, DidNotCount, "2 faults that were shown, want 3"},
		{"too few changes", func(*Report) {}, Wanted{Changes: 2}, DidNotCount, "1 changes of the membership, want 2"},
		{"a check of nothing", func(r *Report) { r.Checks[0].Judged = 0 }, Wanted{}, DidNotCount, "reads had nothing to judge"},
		{"a log that does not go back", func(r *Report) { r.Checks = append(r.Checks, Check{Name: "log", Judged: 9, Skipped: 3}) }, Wanted{}, DidNotCount, "first 3 entries"},
		{"one slow recovery", func(r *Report) { r.Faults[2].Recovery = new(3001.0) }, Wanted{}, Passed, ""},
		{"two slow recoveries", func(r *Report) { r.Faults[0].Recovery, r.Faults[2].Recovery = new(3001.0), new(3001.0) }, Wanted{}, Violated, ""},
		{"one very slow recovery", func(r *Report) { r.Faults[2].Recovery = new(6001.0) }, Wanted{}, Violated, ""},
	} {
		r := good()
		test.change(r)
		r.Judge(test.wanted)
		if r.Verdict != test.want || !strings.Contains(strings.Join(r.Reasons, "; "), test.reason) || test.reason == "" && len(r.Reasons) > 0 {
			t.Errorf("%s: got %s because %q, want %s because %q", test.name, r.Verdict, r.Reasons, test.want, test.reason)
		}
	}
}

// What was checked once more counts, and what was not is judged as before.
func TestReplace(t *testing.T) {
	r := Report{
		Operations: map[string]map[string]int{"put": {"ok": 5}},
		Faults:     []Fault{{Kind: "rain", Shown: true, Before: MinRate, Recovery: new(5.0)}},
		Checks: []Check{
			{Name: "answers", Judged: 5},
			{Name: "verdicts", Judged: 3, Count: 1, Violations: []string{"a mistake of the check"}},
		},
	}
	if r.Judge(Wanted{}); r.Verdict != Violated {
		t.Fatalf("verdict %v before", r.Verdict)
	}
	if r.Replace([]Check{{Name: "verdicts", Judged: 3}}); r.Verdict != Passed || len(r.Checks) != 3 {
		t.Errorf("verdict %v of %+v", r.Verdict, r.Checks)
	}
	few := r
	if few.Judge(Wanted{Operations: 6}); few.Verdict != DidNotCount {
		t.Fatalf("verdict %v of too few operations", few.Verdict)
	}
	if few.Replace([]Check{{Name: "verdicts", Judged: 3}}); few.Verdict != DidNotCount {
		t.Errorf("verdict %v of too few operations, after another check", few.Verdict)
	}
	if r.Replace([]Check{{Name: "answers", Judged: 5, Count: 1}}); r.Verdict != Violated || len(r.Checks) != 3 {
		t.Errorf("verdict %v of %+v, want one that is violated", r.Verdict, r.Checks)
	}
}

func TestPercentile(t *testing.T) {
	hundred := make([]float64, 100)
	for i := range hundred {
		hundred[i] = float64(i + 1)
	}
	for _, test := range []struct {
		of      []float64
		p, want float64
	}{
		{nil, 50, 0}, {[]float64{4}, 50, 4}, {[]float64{4}, 99, 4}, {hundred, 50, 50}, {hundred, 99, 99}, {hundred, 100, 100}, {hundred, 0, 1},
	} {
		if got := Percentile(test.of, test.p); got != test.want {
			t.Errorf("%g %% of %d numbers: got %g, want %g", test.p, len(test.of), got, test.want)
		}
	}
}

func TestSum(t *testing.T) {
	a, b := good(), good()
	b.Seeds, b.Verdict, b.Reasons = []uint64{8}, DidNotCount, []string{"interrupted"}
	a.Judge(Wanted{})
	b.Checks = append(b.Checks, Check{Name: "recovery", Judged: 2, Count: 1})
	got, err := Sum([]*Report{a, b}, Wanted{})
	if err != nil {
		t.Fatal(err)
	}
	if got.Runs != 2 || got.Seconds != 20 || got.Total("") != 200 || got.Total("ok") != 180 || got.Changes() != 2 || got.ShownFaults() != 4 {
		t.Errorf("got %+v", got)
	}
	if want := []float64{1, 1, 3, 3}; !slices.Equal(got.Recoveries(), want) {
		t.Errorf("recoveries: got %v, want %v: one a round", got.Recoveries(), want)
	}
	if want := []Check{{Name: "reads", Judged: 8}, {Name: "recovery", Judged: 4}}; !reflect.DeepEqual(got.Checks, want) {
		t.Errorf("checks: got %+v, want %+v", got.Checks, want)
	}
	if got.Verdict != DidNotCount || !slices.Equal(got.Reasons, []string{"seed 8: interrupted"}) {
		t.Errorf("got %s because %q", got.Verdict, got.Reasons)
	}
	b.Reasons = nil
	if got, err := Sum([]*Report{a, b}, Wanted{Operations: 200, Faults: 4, Changes: 2}); err != nil || got.Verdict != Passed {
		t.Errorf("got %q, %v", got.Verdict, err)
	}
	if got, err := Sum([]*Report{a, b}, Wanted{Operations: 201}); err != nil || got.Verdict != DidNotCount {
		t.Errorf("too little was done in both: got %q, %v", got.Verdict, err)
	}
	b.Checks[0].Count, b.Checks[0].Violations = 1, []string{"x"}
	for _, parts := range [][]*Report{{a, b}, {b, a}} {
		got, err := Sum(parts, Wanted{})
		if err != nil || got.Verdict != Violated || got.Checks[0].Count != 1 || !slices.Equal(got.Checks[0].Violations, []string{"x"}) {
			t.Errorf("got %q, %+v, %v", got.Verdict, got.Checks, err)
		}
	}
	b.Commit = "d"
	if _, err := Sum([]*Report{a, b}, Wanted{}); err == nil {
		t.Error("runs of two commits were added up")
	}
	b.Commit, b.Members = "c", 5
	if _, err := Sum([]*Report{a, b}, Wanted{}); err == nil {
		t.Error("runs of three and of five members were added up")
	}
	if _, err := Sum(nil, Wanted{}); err == nil {
		t.Error("no runs were added up")
	}
}

// A report can be read back, and its page says what matters.
func TestWriteRead(t *testing.T) {
	dir, r := t.TempDir(), good()
	r.Judge(Wanted{})
	if err := r.Write(dir); err != nil {
		t.Fatal(err)
	}
	got, err := Read(dir)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, r) {
		t.Errorf("got %+v, want %+v", got, r)
	}
	page := r.Markdown()
	for _, want := range []string{"# Chaos: passed", "seeds 7", "| put | 90 | 5 | 5 |", "3 faults in 2 rounds (1 with two at once), 2 shown", "| a | 2 | 1 | 1 | 3 |",
		"SKIPPED: no root", "Not shown: a at 0 s: no packet", "| reads | 4 | 0 | 0 |", "p50 1 ms, p99 3 ms"} {
		if !strings.Contains(page, want) {
			t.Errorf("the page does not say %q:\n%s", want, page)
		}
	}
}
