package main

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// kvdBinary is the one that `make build` makes.
var kvdBinary = flag.String("kvd", "../bin/kvd", "the binary of kvd")

// TestMain makes this test binary the servers that bench starts, as bench's own is.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && (os.Args[1] == etcdCommand || os.Args[1] == bareCommand) {
		main()
	}
	os.Exit(m.Run())
}

// short are the flags of a run that takes a few seconds.
func short(pattern string, more ...string) []string {
	return append([]string{
		"run", "--kvd", *kvdBinary, "--full", "--run", pattern, "--members", "1", "--keys", "1000",
		"--rounds", "2", "--warm-up", "50ms", "--duration", "300ms",
	}, more...)
}

// children are the processes that this one has started and that run still.
func children(t *testing.T) []string {
	t.Helper()
	stats, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, name := range stats {
		b, err := os.ReadFile(name)
		if err != nil {
			continue // it has ended
		}
		var state string
		var parent int
		if _, err := fmt.Sscan(string(b[bytes.LastIndexByte(b, ')')+1:]), &state, &parent); err != nil {
			t.Fatal(err)
		}
		if parent == os.Getpid() {
			list = append(list, string(b[:bytes.LastIndexByte(b, ')')+1]))
		}
	}
	return list
}

// wantTidy fails if a process or a file is left.
func wantTidy(t *testing.T, dir string) {
	t.Helper()
	if c := children(t); len(c) > 0 {
		t.Errorf("processes are left: %v", c)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) > 0 {
		t.Errorf("files are left: %v, %v", entries, err)
	}
}

// TestRun measures one member of each kind in short turns, by all ways and with
// all kinds of work: everything succeeds, the table has all rows and ratios, and
// nothing is left.
func TestRun(t *testing.T) {
	dir, out := t.TempDir(), t.TempDir()
	json := filepath.Join(out, "report.json")
	var stdout, stderr bytes.Buffer
	// The last takes another shape, with a cluster of its own.
	pattern := `^((put|get)/c(1|64)/leader|(stale|mixed|txn|list)/c64/leader|watch/c1/all/watchers=10|put/c64/leader/keys=4096/value=16384|put/c64/leader/watchers=1000)$`
	if code := run(t.Context(), short(pattern, "--dir", dir, "--json", json), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr.String())
	}
	wantTidy(t, dir)
	table := stdout.String()
	for _, want := range []string{
		"| put/c64/leader/members=1/keys=1000 | kvd wire |", "| put/c64/leader/members=1/keys=1000 | bare |",
		"| get/c64/leader/members=1/keys=1000 | etcd gateway |", "| txn/c64/leader/members=1/keys=1000 | kvd Go |",
		"| list/c64/leader/members=1/keys=1000 | kvd Go to etcd Go |", "| mixed/c64/leader/members=1/keys=1000 | kvd wire to etcd gateway |",
		"| get/c64/leader/members=1/keys=1000 | kvd wire to bare |", "| watch/c1/all/members=1/keys=1000/watchers=10 | kvd wire to etcd Go |",
		"| put/c64/leader/members=1/keys=4096/value=16384 | kvd wire to etcd Go |", "≥ 5, p99 ≤ 0.25",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("%q is not in the table:\n%s", want, table)
		}
	}
	if strings.Contains(table, "failed") || strings.Contains(table, "No ratio") {
		t.Errorf("something failed:\n%s\n%s", table, stderr.String())
	}
	r, err := readReport(json)
	if err != nil {
		t.Fatal(err)
	}
	for _, res := range r.Results {
		for _, s := range res.Series {
			if len(s.Samples) != 2 {
				t.Errorf("%s, %s: %d samples, want 2", res.Name, s.Way, len(s.Samples))
			}
			for _, smp := range s.Samples {
				if smp.Ops == 0 || smp.Latency.P50 <= 0 || smp.Latency.P999 < smp.Latency.P50 || smp.Resident < 1<<20 || smp.Peak < smp.Resident {
					t.Errorf("%s, %s: %+v", res.Name, s.Way, smp)
				}
			}
		}
	}
	checkAgain(t, json, table)
}

// checkAgain makes the table anew, from the report.
func checkAgain(t *testing.T, json, table string) {
	t.Helper()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"table", json}, &stdout, &stderr); code != 0 || stdout.String() != table {
		t.Errorf("the table of the report is another one: exit code %d, %s\n%s\nwant\n%s", code, stderr.String(), stdout.String(), table)
	}
}

// TestStates runs what is measured beside the work, with few keys.
func TestStates(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), short(`^life/keys=100000$`, "--rounds", "1", "--dir", dir), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr.String())
	}
	wantTidy(t, dir)
	for _, fact := range []string{factFill, factResident, factDisk, factSnapshot, factBackup, factAlone, factMeantime, factRestart, factAgain} {
		var row string
		for line := range strings.Lines(stdout.String()) {
			if strings.Contains(line, "| "+fact+" |") {
				row = line
			}
		}
		cells := strings.Split(row, "|")
		if len(cells) != 9 || strings.TrimSpace(cells[3]) == "" || strings.TrimSpace(cells[5]) == "" {
			t.Errorf("%s: row %q", fact, row)
		}
	}
}

// TestOneSystem: a goal whose other side did not run is no ratio, and that is said.
func TestOneSystem(t *testing.T) {
	dir := t.TempDir()
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), short(`^put/c64/leader$`, "--systems", systemKvd, "--dir", dir), &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, stderr.String())
	}
	if out := stdout.String(); !strings.Contains(out, "No ratio where both sides were not measured") || strings.Contains(out, " to etcd Go | ") {
		t.Errorf("the table has a ratio, or does not say why not:\n%s", out)
	}
}

// TestInterrupted: a run that is cut short leaves no process and no file, and
// prints what it has.
func TestInterrupted(t *testing.T) {
	dir := t.TempDir()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout bytes.Buffer
	w := &trigger{on: "get/c1/leader", f: cancel}
	begin := time.Now()
	code := run(ctx, short(`^(put|get)/c1/leader$`, "--rounds", "1", "--duration", "8s", "--systems", "kvd,bare", "--dir", dir), &stdout, w)
	if code != 1 || !w.fired || time.Since(begin) > 2*time.Minute {
		t.Errorf("exit code %d after %v:\n%s", code, time.Since(begin), w.String())
	}
	wantTidy(t, dir)
	if !strings.Contains(stdout.String(), "| put/c1/leader/members=1/keys=1000 | kvd wire |") {
		t.Errorf("what was measured is not printed:\n%s", stdout.String())
	}
}

// trigger calls f when a text has been written to it.
type trigger struct {
	bytes.Buffer
	on    string
	f     func()
	fired bool
}

func (w *trigger) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte(w.on)) {
		w.fired = true
		w.f()
	}
	return w.Buffer.Write(p)
}

// TestBadFlags: nothing is started for a command line that makes no sense.
func TestBadFlags(t *testing.T) {
	for _, args := range [][]string{
		{"run", "--kvd", *kvdBinary, "--run", "("},
		{"run", "--kvd", *kvdBinary, "--run", "no such scenario"},
		{"run", "--kvd", *kvdBinary, "--systems", "consul"},
		{"run", "--kvd", *kvdBinary, "--rounds", "0"},
		{"run", "--kvd", *kvdBinary, "--members", "10"},
		{"run", "--kvd", "/nowhere/kvd"},
		{"run", "--no-such-flag"},
		{"table"},
		{"shout"},
	} {
		var stderr bytes.Buffer
		if code := run(t.Context(), args, io.Discard, &stderr); code != 2 || !strings.HasPrefix(stderr.String(), "bench: ") {
			t.Errorf("%q: exit code %d, %q; want 2", args, code, stderr.String())
		}
	}
}

// made is a report of one scenario with these throughputs, by way.
func made(invocation string, work work, rates map[string][]float64) *report {
	res := result{Name: work.name(), work: work}
	for _, w := range ways() {
		s := series{Way: w.name, System: w.system}
		for i, v := range rates[w.name] {
			s.Samples = append(s.Samples, sample{Round: i + 1, PerSecond: v, Ops: 1, Latency: latency{P99: 1e6 / v}})
		}
		if s.Samples != nil {
			res.Series = append(res.Series, s)
		}
	}
	return &report{Schema: schema, Invocation: invocation, Results: []result{res}}
}

// TestRatio: a ratio is the median of the rounds' ratios, and there is none of
// sides that were not measured in the same rounds of one invocation.
func TestRatio(t *testing.T) {
	w := with(kindPut, 64, atLeader)
	a := made("A", w, map[string][]float64{wayKvdWire: {10, 40, 30}, wayEtcdGo: {5, 10, 10}, wayKvdGo: {10, 20}, wayBare: {1, 0, 1}})
	b := made("B", w, map[string][]float64{wayEtcdGo: {5, 10, 10}})
	of := func(r *report, way string) side {
		s, err := r.side(&r.Results[0], way)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	got, err := ratio(of(a, wayKvdWire), of(a, wayEtcdGo), throughput)
	if want := (spread{3, 2, 4}); err != nil || got != want {
		t.Errorf("ratio %v, %v; want %v", got, err, want)
	}
	for name, pair := range map[string][2]side{
		"another invocation": {of(a, wayKvdWire), of(b, wayEtcdGo)},
		"fewer rounds":       {of(a, wayKvdGo), of(a, wayEtcdGo)},
		"nothing done":       {of(a, wayKvdWire), of(a, wayBare)},
	} {
		if r, err := ratio(pair[0], pair[1], throughput); !errors.Is(err, errNotPaired) {
			t.Errorf("%s: ratio %v, %v; want a refusal", name, r, err)
		}
	}
	if _, err := b.side(&b.Results[0], wayKvdWire); !errors.Is(err, errNotPaired) {
		t.Errorf("a side that did not run: %v", err)
	}
	none := made("", w, map[string][]float64{wayKvdWire: {1}, wayEtcdGo: {1}})
	if _, err := ratio(of(none, wayKvdWire), of(none, wayEtcdGo), throughput); !errors.Is(err, errNotPaired) {
		t.Errorf("a report that does not say of which invocation it is: %v", err)
	}
	f := fact{Values: map[string][]float64{systemKvd: {1, 1}, systemEtcd: {2}}}
	if _, err := f.ratio(); !errors.Is(err, errNotPaired) {
		t.Errorf("a fact with fewer rounds of one side: %v", err)
	}
}

// TestKeys: all keys have the length that the requests have room for, and each
// its own.
func TestKeys(t *testing.T) {
	seen := map[string]bool{}
	for _, n := range []int{0, 1, 9, 10, 99_999, 1_000_000, 123_456_789} {
		k := key(n)
		if len(k) != keyBytes || seen[k] {
			t.Errorf("key %d is %q", n, k)
		}
		seen[k] = true
	}
	c, d := newChooser(1, 0, 10), newChooser(1, 0, 10)
	drawn := map[string]bool{}
	for range 200 {
		k := string(c.next())
		if k != string(d.next()) {
			t.Fatal("the same seed draws other keys")
		}
		drawn[k] = true
	}
	if len(drawn) != 10 {
		t.Errorf("%d different keys of 10 were drawn", len(drawn))
	}
}

// TestScenarios: no two have the same name, each has ways that exist, and the
// goals are about ways that take part.
func TestScenarios(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range scenarios() {
		if seen[s.name()] {
			t.Errorf("%s is there twice", s.name())
		}
		seen[s.name()] = true
		known := map[string]bool{}
		for _, w := range ways() {
			known[w.name] = true
		}
		for _, w := range s.ways {
			if !known[w] {
				t.Errorf("%s: no way %q", s.name(), w)
			}
		}
		for _, g := range s.goals {
			if !strings.Contains(fmt.Sprint(s.ways), g.Of) || !strings.Contains(fmt.Sprint(s.ways), g.To) {
				t.Errorf("%s: the goal is about %s and %s", s.name(), g.Of, g.To)
			}
		}
	}
}

// TestCharts draws a report with three numbers of clients and two of keys, and
// one with nothing to draw.
func TestCharts(t *testing.T) {
	var r *report
	for i, clients := range []int{1, 64, 256} {
		rate := float64(1000 * (i + 1))
		next := made("A", with(kindPut, clients, atLeader), map[string][]float64{wayKvdWire: {rate, 2 * rate}, wayEtcdGo: {rate / 5, rate / 4}})
		if r == nil {
			r = next
		} else {
			r.Results = append(r.Results, next.Results...)
		}
	}
	few := with(kindPut, 64, atLeader)
	few.Keys = 10_000
	r.Results = append(r.Results, made("A", few, map[string][]float64{wayKvdWire: {1}}).Results...)
	dir := t.TempDir()
	path := filepath.Join(dir, "report.json")
	if err := r.save(path); err != nil {
		t.Fatal(err)
	}
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"chart", path, "--out", dir}, &stdout, &stderr); code != 0 {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	for name, circles := range map[string]int{"throughput-clients": 6, "p99-clients": 6, "throughput-keys": 2, "p99-keys": 2} {
		b, err := os.ReadFile(filepath.Join(dir, name+".svg"))
		if err != nil {
			t.Errorf("%v; stdout:\n%s", err, stdout.String())
			continue
		}
		if got := bytes.Count(b, []byte("<circle")); got != circles {
			t.Errorf("%s has %d points, want %d", name, got, circles)
		}
		if bytes.Contains(b, []byte("NaN")) || bytes.Contains(b, []byte("Inf")) {
			t.Errorf("%s has coordinates that are no numbers", name)
		}
		for d := xml.NewDecoder(bytes.NewReader(b)); ; {
			if _, err := d.Token(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				t.Errorf("%s: %v", name, err)
				break
			}
		}
	}
	if n := strings.Count(stdout.String(), "\n"); n != 4 {
		t.Errorf("%d charts, want 4:\n%s", n, stdout.String())
	}
	alone := made("A", few, map[string][]float64{wayKvdWire: {1}})
	if err := alone.save(path); err != nil {
		t.Fatal(err)
	}
	if code := run(t.Context(), []string{"chart", path, "--out", dir}, io.Discard, &stderr); code != 1 {
		t.Errorf("exit code %d for a report with nothing to draw, want 1", code)
	}
}

// TestUntil: what never happens is too slow, and the last reason is told; the end
// of the context is something else.
func TestUntil(t *testing.T) {
	reason := errors.New("not yet")
	err := until(t.Context(), 50*time.Millisecond, "it", func(context.Context) error { return reason })
	if !errors.Is(err, errTooSlow) || !errors.Is(err, reason) {
		t.Errorf("error %v, want %v with %v", err, errTooSlow, reason)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err = until(ctx, time.Hour, "it", func(context.Context) error { cancel(); return reason })
	if errors.Is(err, errTooSlow) || !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
}
