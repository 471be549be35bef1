package test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// What kvd must reach of a bare net/http handler's rate, on the leader of three
// members on the same machine.
const (
	minGetRatio = 0.5
	minPutRatio = 0.25
)

// TestWrkRatios loads the leader of three members and a bare handler with wrk
// in turn, three times, and compares the medians. It wants the machine for
// itself.
func TestWrkRatios(t *testing.T) {
	if os.Getenv("KVD_BENCH_WRK") == "" {
		t.Skip("a benchmark: make bench-wrk runs it")
	}
	if _, err := exec.LookPath("wrk"); err != nil {
		t.Fatalf("wrk is missing: install it from https://github.com/wg/wrk or your system's packages: %v", err)
	}
	rounds := int(envNumber(t, "KVD_BENCH_ROUNDS", 3))
	seconds := int(envNumber(t, "KVD_BENCH_SECONDS", 8))

	bare := startBare(t)
	c := startCluster(t, 3)
	leader := c.leader()
	term := leader.mustStatus().Term
	value := strings.Repeat("v", 128)
	for i := range 1000 {
		leader.put(fmt.Sprintf("bench/%026d", i), value)
	}
	loads := []struct {
		name, script, url string
		rates             []float64
	}{
		{name: "GET, bare handler", script: "get.lua", url: bare},
		{name: "GET, kvd leader", script: "get.lua", url: leader.clientURL},
		{name: "PUT, bare handler", script: "put.lua", url: bare},
		{name: "PUT, kvd leader", script: "put.lua", url: leader.clientURL},
	}
	for round := range rounds {
		for i := range loads {
			l := &loads[i]
			wrk(t, l.script, l.url, 1) // to warm up: connections, caches, heap
			r := wrk(t, l.script, l.url, seconds)
			l.rates = append(l.rates, r.perSecond)
			t.Logf("round %d: %-18s %8.0f/s  p50 %6.2f ms  p99 %6.2f ms", round+1, l.name, r.perSecond, r.p50, r.p99)
		}
	}
	if s := leader.mustStatus(); s.Leader != leader.id || s.Term != term {
		t.Errorf("the leader changed under load: now %d in term %d", s.Leader, s.Term)
	}
	for _, tt := range []struct {
		what      string
		bare, kvd int
		atLeast   float64
	}{{"GET", 0, 1, minGetRatio}, {"PUT", 2, 3, minPutRatio}} {
		b, k := median(loads[tt.bare].rates), median(loads[tt.kvd].rates)
		t.Logf("%s: kvd %.0f/s (%.0f to %.0f), bare %.0f/s (%.0f to %.0f), ratio %.2f, want %.2f", tt.what,
			k, slices.Min(loads[tt.kvd].rates), slices.Max(loads[tt.kvd].rates),
			b, slices.Min(loads[tt.bare].rates), slices.Max(loads[tt.bare].rates), k/b, tt.atLeast)
		if k/b < tt.atLeast {
			t.Errorf("%s: ratio %.2f, want at least %.2f", tt.what, k/b, tt.atLeast)
		}
	}
}

// startBare starts the bare handler as a process of its own, as kvd is one.
func startBare(t *testing.T) (url string) {
	t.Helper()
	dir := t.TempDir()
	binary, log := filepath.Join(dir, "bare"), filepath.Join(dir, "log")
	if err := build(binary, "./test/bare", false); err != nil {
		t.Fatal(err)
	}
	addr := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	p := start(t, "the bare handler", log, exec.Command(binary, addr))
	waitFor(t, 10*time.Second, "the bare handler serves", func() error {
		if out := p.output(); !strings.Contains(out, "serving") {
			return fmt.Errorf("it says %q", out)
		}
		return nil
	})
	return "http://" + addr
}

// wrkResult is what one run of wrk measured; times are in milliseconds.
type wrkResult struct {
	perSecond, p50, p99 float64
}

// wrk loads url from 64 connections. Any request that fails fails the test.
func wrk(t *testing.T, script, url string, seconds int) wrkResult {
	t.Helper()
	out, err := exec.Command("wrk", "--threads", "2", "--connections", "64", "--duration", fmt.Sprintf("%ds", seconds),
		"--script", filepath.Join("testdata", script), url).CombinedOutput()
	if err != nil {
		t.Fatalf("wrk: %v\n%s", err, out)
	}
	_, line, _ := strings.Cut(string(out), "RESULT ")
	var requests, micros, failed, p50, p99 float64
	if _, err := fmt.Sscan(line, &requests, &micros, &failed, &p50, &p99); err != nil {
		t.Fatalf("wrk printed no result: %v\n%s", err, out)
	}
	if failed > 0 {
		t.Errorf("%.0f of %.0f requests to %s failed\n%s", failed, requests, url, out)
	}
	return wrkResult{perSecond: requests / micros * 1e6, p50: p50 / 1e3, p99: p99 / 1e3}
}

// median is the middle one of an odd number of values.
func median(values []float64) float64 {
	return slices.Sorted(slices.Values(values))[len(values)/2]
}
