package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"kvd/client"
)

// benched runs kvd bench against a member, for half a second.
func benched(t *testing.T, ctx context.Context, m *running, args ...string) result {
	t.Helper()
	all := []string{"bench", "--endpoints", m.client, "--clients", "4", "--keys", "250", "--warm-up", "100ms", "--duration", "500ms"}
	return runCommand(ctx, append(all, args...)...)
}

// left is how many keys of kvd bench there are.
func left(t *testing.T, m *running) uint64 {
	t.Helper()
	c, err := client.New(client.Config{Endpoints: []string{m.client}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	n, err := c.Count(t.Context(), &client.ListOptions{Prefix: benchPrefix})
	if err != nil {
		t.Fatal(err)
	}
	return n.Count
}

// TestBench runs every operation of kvd bench against a member: all requests
// succeed, what is printed is of one piece, and no key is left.
func TestBench(t *testing.T) {
	m := start(t, "--data-dir", t.TempDir()+"/data")
	for _, op := range benchOps {
		r := benched(t, t.Context(), m, "--op", op, "--json")
		if r.code != exitOK {
			t.Fatalf("%s: exit code %d: %s", op, r.code, r.stderr)
		}
		var doc benchDocument
		if err := json.Unmarshal([]byte(r.stdout), &doc); err != nil {
			t.Fatalf("%s: %v in %q", op, err, r.stdout)
		}
		var counted int64
		for _, s := range doc.Histogram {
			counted += s.Count
		}
		if doc.Op != op || doc.Operations == 0 || doc.Failed != 0 || counted != doc.Operations || doc.Latency.P50 <= 0 || doc.Latency.Max < doc.Latency.P99 {
			t.Errorf("%s: %+v", op, doc)
		}
		if both := doc.Reads != nil && doc.Writes != nil; both != (op == benchMixed) {
			t.Errorf("%s: reads %+v and writes %+v", op, doc.Reads, doc.Writes)
		}
		if n := left(t, m); n != 0 {
			t.Errorf("%s: %d keys are left", op, n)
		}
	}
}

// TestBenchPrints: what is meant for eyes, and the keys that were to be kept.
func TestBenchPrints(t *testing.T) {
	m := start(t, "--data-dir", t.TempDir()+"/data")
	r := benched(t, t.Context(), m, "--keep", "--consistency", "stale", "--read-percent", "50")
	for _, want := range []string{"mixed, 4 clients at 1 endpoint(s), 250 keys", "operations/s", "reads", "writes", "p99.9", "below", "####"} {
		if r.code != exitOK || !strings.Contains(r.stdout, want) {
			t.Errorf("exit code %d, %q is not in:\n%s%s", r.code, want, r.stdout, r.stderr)
		}
	}
	if n := left(t, m); n != 250 || !strings.Contains(r.stderr, "the keys are below "+benchPrefix) {
		t.Errorf("%d keys are left, want 250; stderr:\n%s", n, r.stderr)
	}
}

// TestBenchInterrupted: Ctrl-C ends the loop, prints what there is by then, and
// deletes the keys.
func TestBenchInterrupted(t *testing.T) {
	m := start(t, "--data-dir", t.TempDir()+"/data")
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	time.AfterFunc(2*time.Second, func() { cancel(fmt.Errorf("%w: test", errSignal)) })
	begin := time.Now()
	r := benched(t, ctx, m, "--duration", "10m", "--op", "get")
	if r.code != exitOK || !strings.Contains(r.stdout, "operations/s") || time.Since(begin) > time.Minute {
		t.Errorf("exit code %d after %v:\n%s%s", r.code, time.Since(begin), r.stdout, r.stderr)
	}
	if n := left(t, m); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

// TestBenchFails: requests that fail make another exit code, and leave no keys.
func TestBenchFails(t *testing.T) {
	m := start(t, "--data-dir", t.TempDir()+"/data", "--max-value-bytes", "1KiB")
	r := benched(t, t.Context(), m, "--value-bytes", "2KiB")
	if r.code != exitFatal || !strings.Contains(r.stderr, "413 too_large") {
		t.Errorf("exit code %d: %s", r.code, r.stderr)
	}
	if n := left(t, m); n != 0 {
		t.Errorf("%d keys are left", n)
	}
}

func TestBenchRefusesNonsense(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"--clients 0", "--clients: 0 is not within 1 to 20000"},
		{"--keys 0", "--keys: 0 is not within"},
		{"--op shout", `--op: "shout" is no operation`},
		{"--read-percent 101", "--read-percent: 101 is more than 100"},
		{"--op get --read-percent 10", "use --op mixed"},
		{"--op put --consistency stale", "--consistency: is for gets"},
		{"--consistency eventual", `--consistency: "eventual" is none`},
		{"--duration 0s", "the loop must have a length"},
		{"--warm-up -1s", "the loop must have a length"},
		{"--value-bytes 1GiB", "--value-bytes: 1073741824 is more"},
		{"--endpoints ,", "--endpoints: names no member"},
		{"--endpoints 127.0.0.1:12380", "is not a URL such as"},
		{"--endpoints https://127.0.0.1:12380", "does not begin with http://"},
		{"--endpoints http://127.0.0.1:12380/v1", "must be scheme, host and port"},
		{"--endpoints http://127.0.0.1", "must be scheme, host and port"},
		{"now", `unexpected argument "now"`},
	} {
		r := runCommand(t.Context(), append([]string{"bench"}, strings.Fields(c.args)...)...)
		if r.code != exitUsage {
			t.Errorf("%s: exit code %d, want %d", c.args, r.code, exitUsage)
		}
		r.wantOneLine(t, c.want)
	}
}

// TestBenchUnreachable: a cluster that is not there is told soon.
func TestBenchUnreachable(t *testing.T) {
	ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("too slow"))
	defer cancel()
	r := runCommand(ctx, "bench", "--endpoints", "http://127.0.0.1:1")
	if r.code != exitFatal {
		t.Errorf("exit code %d, want %d", r.code, exitFatal)
	}
	r.wantOneLine(t, "first request: ", "refused")
}
