package test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestBigSnapshot has a state of 500 MB: its snapshot is written on the leader,
// and sent to and installed by a new member. The leader stays, no write waits much
// longer than without, and the new member needs at most twice the state. It
// wants the machine for itself.
func TestBigSnapshot(t *testing.T) {
	if os.Getenv("KVD_BENCH_SNAPSHOT") == "" {
		t.Skip("a benchmark: make bench-snapshot runs it")
	}
	megabytes := int(envNumber(t, "KVD_BENCH_MEGABYTES", 500))
	seconds := time.Duration(envNumber(t, "KVD_BENCH_SECONDS", 15)) * time.Second
	const size, atOnce = 4 << 10, 120
	// No snapshot but those that are asked for.
	c := startCluster(t, 3, "--snapshot-bytes", "64GiB", "--snapshot-entries", "100000000")
	leader := c.leader()

	keys := megabytes * 1_000_000 / (size + 20)
	began := time.Now()
	fillState(t, leader, keys, atOnce, size)
	state := int64(keys) * (size + 20)
	t.Logf("%d keys, %d MB, written in %.1f s; the leader has %s resident", keys, state/1e6, time.Since(began).Seconds(), residentText(leader))
	c.waitApplied(60 * time.Second)
	first := leader.mustStatus()

	w := (&writers{t: t, prefix: "load/", size: 512, every: 5 * time.Millisecond, keys: 100}).start(onePutters(8, leader)...)
	pause(nil, 3*time.Second) // connections, caches
	// Without, before and after it all: this machine may do other things.
	var p99 time.Duration
	without := func() {
		from := time.Now()
		pause(nil, seconds)
		ws := w.between(from, time.Now())
		p99 = max(p99, percentile(ws, 0.99))
		t.Logf("without: %d writes, p50 %v, p99 %v, longest %v", len(ws), percentile(ws, 0.5), percentile(ws, 0.99), longest(ws))
	}
	without()

	// phase runs f under the load.
	type during struct {
		what string
		ws   []write
	}
	var phases []during
	phase := func(what string, f func()) {
		t.Helper()
		from := time.Now()
		f()
		took := time.Since(from)
		pause(nil, time.Second) // what it leaves behind: garbage, a log to compact
		ws := w.between(from, time.Now())
		phases = append(phases, during{what, ws})
		s := leader.mustStatus()
		t.Logf("%s: took %.1f s; %d writes, p50 %v, p99 %v, longest %v; leader %s resident",
			what, took.Seconds(), len(ws), percentile(ws, 0.5), percentile(ws, 0.99), longest(ws), residentText(leader))
		if s.Leader != first.Leader || s.Term != first.Term {
			t.Errorf("%s: leader %d of term %d became leader %d of term %d", what, first.Leader, first.Term, s.Leader, s.Term)
		}
	}
	snapshot := func(m *member) {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		defer cancel()
		r, err := send(ctx, http.MethodPost, m.clientURL+"/v1/snapshots?timeout=2m", nil)
		if err == nil {
			err = r.want(http.StatusCreated)
		}
		if err != nil {
			t.Fatalf("snapshot of %s: %v", m.name(), err)
		}
	}
	phase("writing the leader's snapshot", func() { snapshot(leader) })
	phase("writing the followers' snapshots", func() {
		for _, m := range c.followers(leader) {
			snapshot(m)
		}
	})
	// The log behind a snapshot is kept for a while, and reaches back to the
	// snapshot before: with two, nobody new can begin without one.
	pause(nil, time.Second)
	snapshot(leader)
	fresh := c.join(4, leader)
	if nice, err := exec.LookPath("nice"); err == nil {
		// Another machine's processors would do its work: here it shall not take
		// those of the others.
		fresh.via = []string{nice, "-n", "19"}
	}
	phase("sending it to a new member, and installing it", func() {
		fresh.start()
		fresh.waitReady(3 * time.Minute)
		wantVoters(t, leader, 4)
	})
	s := fresh.mustStatus()
	if s.SnapshotIndex == 0 {
		t.Error("the new member has received no snapshot")
	}
	without()
	w.stop()
	for _, p := range phases {
		slow := 0
		for _, x := range p.ws {
			if x.took() > 4*p99 {
				slow++
				t.Logf("%s: a write of %v began at %s", p.what, x.took(), x.began.UTC().Format("15:04:05.000"))
			}
		}
		t.Logf("%s: the longest write took %.1f × the p99 without", p.what, float64(longest(p.ws))/float64(p99))
		if slow > 0 {
			t.Errorf("%s: %d of %d writes took more than 4 × %v, the longest %v", p.what, slow, len(p.ws), p99, longest(p.ws))
		}
	}
	w.wantNoneFailed()
	w.wantAll(c.members...)
	if peak, ok := peakMemory(fresh.process()); ok {
		t.Logf("peak memory of the new member: %d MB, %.2f × the state", peak/1e6, float64(peak)/float64(state))
		if peak > 2*state {
			t.Errorf("peak memory of the new member is %d MB, want at most twice the state of %d MB", peak/1e6, state/1e6)
		}
	}
	if peak, ok := peakMemory(leader.process()); ok {
		t.Logf("peak memory of the leader: %d MB, %.2f × the state", peak/1e6, float64(peak)/float64(state))
	}
}

// fillState writes keys with values of size bytes, many in one transaction.
func fillState(t *testing.T, m *member, keys, atOnce, size int) {
	t.Helper()
	batches := make(chan int)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for n := range batches {
				var body strings.Builder
				body.WriteString(`{"then":[`)
				for i := n; i < min(n+atOnce, keys); i++ {
					if i > n {
						body.WriteByte(',')
					}
					key := fmt.Sprintf("state/%014d", i)
					fmt.Fprintf(&body, `{"put":{"key":%q,"value":%q}}`, key, strings.Repeat(key, size/len(key)+1)[:size])
				}
				body.WriteString(`]}`)
				if r, err := post(m, "/v1/txn?timeout=10s", body.String()); err != nil {
					t.Error(err)
				} else if err := r.want(http.StatusOK); err != nil {
					t.Error(err)
				}
			}
		})
	}
	for n := 0; n < keys && !t.Failed(); n += atOnce {
		batches <- n
	}
	close(batches)
	wg.Wait()
	if t.Failed() {
		t.FailNow()
	}
}

// onePutters write to one member, and each write once.
func onePutters(n int, m *member) []putter {
	put := func(ctx context.Context, key string, value []byte) error {
		r, err := send(ctx, http.MethodPut, m.clientURL+"/v1/kv/"+key, value)
		if err != nil {
			return err
		}
		return r.want(http.StatusCreated, http.StatusNoContent)
	}
	ps := make([]putter, n)
	for i := range ps {
		ps[i] = put
	}
	return ps
}

func residentText(m *member) string {
	rss, ok := residentMemory(m.process())
	if !ok {
		return "an unknown amount"
	}
	return fmt.Sprintf("%d MB", rss/1e6)
}
