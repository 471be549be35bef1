package test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

// TestFaults loads three members with 16 clients while members are killed,
// frozen and restarted, and then demands that the history is linearizable and
// that every acknowledged write is there on every member.
func TestFaults(t *testing.T) {
	seconds := envNumber(t, "KVD_FAULT_SECONDS", 12)
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)

	// Short ticks for short elections; few entries between snapshots, so that
	// restarts begin from snapshots taken under load.
	c := startCluster(t, 3, "--tick", "50ms", "--snapshot-entries", "2000")
	firstTerm := c.leader().mustStatus().Term

	const clients, groups = 16, 4
	h := &history{began: time.Now()}
	done := make(chan struct{})
	var wg sync.WaitGroup
	var gs [groups]group
	for i := range gs {
		gs[i].id = i
	}
	for i := range clients {
		cl := &client{
			t: t, id: i, to: slices.Concat(c.members[i%3:], c.members[:i%3]), g: &gs[i%groups], h: h,
			http: newClient(), rng: rand.New(rand.NewPCG(seed, uint64(i+1))),
		}
		wg.Go(func() { cl.run(done) })
	}
	end := time.AfterFunc(time.Duration(seconds)*time.Second, sync.OnceFunc(func() { close(done) }))
	// However this ends, the clients end first: they use t.
	defer wg.Wait()
	defer func() {
		if end.Stop() {
			close(done)
		}
	}()
	n := newNemesis(t, c, seed)
	n.run(done)
	wg.Wait()
	lasted := h.now()

	c.waitReady()
	c.waitApplied(30 * time.Second)
	acknowledged := readBack(t, c, h)
	h.checkLinearizable(t)

	good, bad := map[outcome]int{}, 0
	for _, o := range h.ops {
		good[o.outcome]++
		if o.outcome == unknown && o.kind != opGet {
			bad++
		}
	}
	lastTerm := c.leader().mustStatus().Term
	t.Logf("%d operations in %.0f s: %v; %d acknowledged writes; %d faults: %v; terms %d to %d",
		len(h.ops), lasted.Seconds(), good, acknowledged, n.total(), n.count, firstTerm, lastTerm)
	if want := int(seconds) / 6; n.total() < want {
		t.Errorf("only %d faults happened, want %d", n.total(), want)
	}
	if want := int(seconds) * 100; good[ok] < want {
		t.Errorf("only %d operations were answered, want %d", good[ok], want)
	}
	if bad*20 > len(h.ops) {
		t.Errorf("%d of %d operations have an unknown outcome, want at most 5 %%", bad, len(h.ops))
	}
	if lastTerm == firstTerm {
		t.Error("no fault brought a new term")
	}
}

// readBack reads every key from every member and compares it with the newest
// acknowledged write; the reads join the history. It returns the number of
// acknowledged writes.
func readBack(t *testing.T, c *cluster, h *history) int {
	t.Helper()
	acknowledged := 0
	seen := map[uint64]*op{}
	for key, ops := range h.byKey() {
		var newest *op
		doubtful := false // a write without an answer may have come later
		for _, o := range ops {
			if o.kind == opGet || o.outcome == notApplied {
				continue
			}
			if o.outcome == unknown {
				doubtful = true
				continue
			}
			if !o.hit {
				continue
			}
			acknowledged++
			if twin := seen[o.rev]; twin != nil || o.rev == 0 {
				t.Errorf("two writes have revision %d:\n%v\n%v", o.rev, twin, o)
			}
			seen[o.rev] = o
			if newest == nil || o.rev > newest.rev {
				newest = o
			}
		}
		for _, m := range c.members {
			o := &op{client: -1, key: key, kind: opGet, call: h.now()}
			r := m.call(http.MethodGet, "/v1/kv/"+key, nil)
			o.ret = h.now()
			(&client{t: t}).note(o, r)
			h.ops = append(h.ops, o)
			if err := compare(o, newest, doubtful); err != nil {
				t.Errorf("%s on %s: %v\n%s", key, m.name(), err, listing(ops[max(0, len(ops)-20):]))
			}
			stale := m.call(http.MethodGet, "/v1/kv/"+key+"?consistency=stale", nil)
			if stale.status != r.status || string(stale.body) != string(r.body) && r.status == http.StatusOK {
				t.Errorf("%s on %s: its own state has %d %s, a linearizable read %d %s",
					key, m.name(), stale.status, stale.body, r.status, r.body)
			}
		}
	}
	return acknowledged
}

// compare holds the last state of a key against its newest acknowledged write,
// which is nil when there is none.
func compare(last, newest *op, doubtful bool) error {
	var want op
	if newest != nil {
		want = *newest
	}
	same := last.hit == (newest != nil && want.kind != opDelete)
	if last.hit && same {
		same = last.rev == want.rev && last.got == want.value
	}
	switch {
	case same:
		return nil
	case !doubtful:
		return fmt.Errorf("found %q at %d, acknowledged was %v", last.got, last.rev, newest)
	case last.hit && last.rev <= want.rev:
		return fmt.Errorf("found %q at %d, older than what was acknowledged: %v", last.got, last.rev, newest)
	}
	return nil
}

// envNumber reads a number from the environment.
func envNumber(t testing.TB, name string, otherwise uint64) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(cmp.Or(os.Getenv(name), strconv.FormatUint(otherwise, 10)), 10, 64)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}
