package main

import (
	"strings"
	"testing"
	"time"
)

func TestJudge(t *testing.T) {
	cut := time.Unix(1000, 0)
	before, during := cut.Add(-time.Second), cut.Add(time.Millisecond)
	put := func(op int, revision uint64) state { return state{op, 64, revision} }
	none := state{}
	holds := func(op int, revision uint64) found { return found{value("k", op, 64), revision} }
	for _, c := range []struct {
		name     string
		settled  state
		steps    []step
		found    found
		compared int
		lost     int
		fault    string // part of it
		now      state
	}{
		{name: "never written"},
		{name: "as it was", settled: put(3, 7), found: holds(3, 7), now: put(3, 7)},
		{name: "what had survived is gone", settled: put(3, 7), found: found{}, lost: 1, fault: "holds"},
		{name: "the last acknowledged", steps: []step{{put(1, 4), before}, {put(2, 5), before}}, found: holds(2, 5), compared: 2, now: put(2, 5)},
		{name: "an earlier one", steps: []step{{put(1, 4), before}, {put(2, 5), before}}, found: holds(1, 4), compared: 2, lost: 1, fault: "write 1", now: put(1, 4)},
		{name: "none of them", steps: []step{{put(1, 4), before}, {put(2, 5), before}}, found: found{}, compared: 2, lost: 2, fault: "write 0"},
		{name: "back to what was settled", settled: put(1, 2), steps: []step{{put(2, 5), before}}, found: holds(1, 2), compared: 1, lost: 1, fault: "write 1", now: put(1, 2)},
		{name: "another revision", steps: []step{{put(1, 4), before}}, found: holds(1, 3), compared: 1, lost: 1, fault: "revision 3"},
		{name: "a foreign value", steps: []step{{put(1, 4), before}}, found: found{[]byte("x"), 4}, compared: 1, lost: 1, fault: `"x"`},
		{name: "a deletion that held", settled: put(1, 2), steps: []step{{none, before}}, found: found{}, compared: 1},
		{name: "a deletion that did not", settled: put(1, 2), steps: []step{{none, before}}, found: holds(1, 2), compared: 1, lost: 1, fault: "lost", now: put(1, 2)},
		{name: "acknowledged during the cut, there", steps: []step{{put(1, 4), before}, {put(2, 5), during}}, found: holds(2, 5), compared: 1, now: put(2, 5)},
		{name: "acknowledged during the cut, not there", steps: []step{{put(1, 4), before}, {put(2, 5), during}}, found: holds(1, 4), compared: 1, now: put(1, 4)},
		{name: "acknowledged during the cut, another revision", steps: []step{{put(1, 4), before}, {put(2, 5), during}}, found: holds(2, 6), compared: 1, lost: 1, fault: "no write"},
		{name: "unknown, there", steps: []step{{put(1, 4), before}, {put(2, 0), time.Time{}}}, found: holds(2, 9), compared: 1, now: put(2, 9)},
		{name: "unknown, not there", steps: []step{{put(1, 4), before}, {put(2, 0), time.Time{}}}, found: holds(1, 4), compared: 1, now: put(1, 4)},
		{name: "unknown, at an old revision", steps: []step{{put(1, 4), before}, {put(2, 0), time.Time{}}}, found: holds(2, 3), compared: 1, lost: 1, fault: "no write"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := record{key: "k", settled: c.settled, steps: c.steps}
			v := r.judge(c.found, cut)
			if v.compared != c.compared || v.lost != c.lost || v.now != c.now {
				t.Errorf("compared %d, lost %d, now %+v; want %d, %d, %+v", v.compared, v.lost, v.now, c.compared, c.lost, c.now)
			}
			if !strings.Contains(v.fault, c.fault) || (c.fault == "") != (v.fault == "") {
				t.Errorf("fault %q, want %q", v.fault, c.fault)
			}
		})
	}
}

func TestValuesAreOfTheirWrite(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range []string{"a/1", "a/11", "b/1"} {
		for op := range 20 {
			for _, size := range []int{1, 20, 200} {
				seen[string(value(key, op, size))] = true
			}
		}
	}
	// Sizes below the length of the head make the same value.
	if len(seen) < 3*20*2 {
		t.Errorf("%d values are different", len(seen))
	}
	if n := len(value("k", 1, 100)); n != 100 {
		t.Errorf("a value of 100 bytes has %d", n)
	}
}

func TestJobs(t *testing.T) {
	for _, c := range []struct {
		cycles, epoch int
		fs            []string
		forms         []form
	}{
		{500, 25, []string{"ext4", "xfs"}, []form{formOne, formThird, formAll}},
		{10, 25, []string{"ext4"}, []form{formOne, formThird, formAll}},
		{7, 2, []string{"xfs"}, []form{formAll}},
		{1, 1, []string{"xfs"}, []form{formOne, formAll}},
	} {
		cfg := config{cycles: c.cycles, epoch: c.epoch, fs: c.fs, forms: c.forms}
		cycles := map[string]int{}
		seeds := map[uint64]bool{}
		for _, j := range cfg.jobs() {
			if j.cycles < 1 || j.cycles > c.epoch {
				t.Errorf("a job of %d cycles", j.cycles)
			}
			cycles[j.fs] += j.cycles
			seeds[j.seed] = true
		}
		for _, fs := range c.fs {
			if cycles[fs] != c.cycles {
				t.Errorf("%+v: %d cycles on %s", c, cycles[fs], fs)
			}
		}
		if len(seeds) != len(cfg.jobs()) {
			t.Errorf("%+v: %d seeds of %d jobs", c, len(seeds), len(cfg.jobs()))
		}
	}
}
