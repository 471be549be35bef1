package check

import (
	"slices"
	"testing"
	"time"

	"kvd/test/chaos/history"
)

// All checks, from the files of a run.
func TestFiles(t *testing.T) {
	dumps := []string{dumpFileOf(t, 1, 0, 3, 0), dumpFileOf(t, 2, 1, 3, 0)}
	file := func(value string) string {
		h := &history.History{}
		for i, v := range []string{"v1", "v2", value} {
			h.Ops = append(h.Ops, &history.Op{ID: int64(i), Kind: history.Put, Key: "k", Value: v, Start: int64(i) * 10, End: int64(i)*10 + 5,
				Outcome: history.OK, Hit: true, Revision: uint64(i) + 1})
		}
		return writeHistory(t, h)
	}
	child := Child{Argv: testArgv, Env: []string{asChild + "=1"}, Memory: 1 << 30, Timeout: time.Minute}
	run := func(value string) (wrong, all []string) {
		results, err := Files(t.Context(), file(value), dumps, Options{}, child)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			all = append(all, r.Check)
			if r.Count > 0 {
				wrong = append(wrong, r.Check)
			}
		}
		return wrong, all
	}
	wrong, all := run("v3")
	want := []string{"log", "verdicts", "replay", "order", "writes", "reads", "idempotency", "transactions", "increments", "watches", "leases", "hashes", "linearizability"}
	if !slices.Equal(all, want) {
		t.Errorf("checks %q, want %q", all, want)
	}
	if !slices.Equal(wrong, []string{"hashes"}) { // nobody has compared any
		t.Errorf("violations of %q", wrong)
	}
	if wrong, _ := run("v4"); !slices.Contains(wrong, "writes") {
		t.Errorf("a lost write: violations of %q", wrong)
	}
	if _, err := Files(t.Context(), "nowhere", dumps, Options{}, child); err == nil {
		t.Error("no history is no error")
	}
}
