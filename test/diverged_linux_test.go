package test

import (
	"bufio"
	"bytes"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"
)

// A byte that changes in one member's memory, as a bad memory module changes it,
// is found by the comparison of states: the member says so and answers nothing
// more, gets the state anew from the leader, and serves again. The same for the
// leader, which gives up leadership first.
func TestDivergedState(t *testing.T) {
	t.Parallel()
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0x39))
	c, proxies := newBehindProxies(t, 3, "--verify-interval", "1s")
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	slow := func(rate int64) {
		for _, p := range proxies {
			p.there.rate.Store(rate)
			p.back.rate.Store(rate)
		}
	}
	// A state that takes a while to be sent, so that there is time to look.
	putAll(t, c.leader(), 48, strings.Repeat("0123456789abcdef", 1<<12))

	for _, tt := range []struct {
		name string
		who  func() *member
	}{
		{"a follower", func() *member { return c.followers(c.leader())[rng.IntN(2)] }},
		{"the leader", c.leader},
	} {
		var value strings.Builder
		for value.Len() < 240 {
			fmt.Fprintf(&value, "%016x", rng.Uint64())
		}
		c.leader().put("precious", value.String())
		c.waitApplied(10 * time.Second)
		victim := tt.who()
		led := c.leader() == victim
		wantClean(t, c)

		slow(1 << 20) // 3 MB take 3 s
		began := time.Now()
		n := flipInMemory(t, victim, value.String(), 100)
		t.Logf("%s, %s: %d copies were changed", tt.name, victim.name(), n)
		r := victim.call(http.MethodGet, "/v1/kv/precious?consistency=stale", nil)
		if r.status == http.StatusOK && string(r.body) == value.String() {
			t.Fatalf("%s still has the value as it was: what it serves was not changed", victim.name())
		}

		var seen struct{ get, put, ready, apart, metric bool }
		waitFor(t, 60*time.Second, "it is found", func() error {
			if r, err := victim.get("/v1/kv/precious?consistency=stale"); err == nil && r.status == http.StatusServiceUnavailable && r.problem().Code == "diverged" {
				seen.get = true
			}
			if r, err := victim.get("/metrics"); err == nil {
				for line := range strings.Lines(string(r.body)) {
					seen.metric = seen.metric || strings.HasPrefix(line, "kvd_state_diverged") && strings.TrimSpace(line[strings.LastIndexByte(strings.TrimSpace(line), ' ')+1:]) == "1"
				}
			}
			if r, err := victim.get("/readyz"); err == nil && r.status != http.StatusOK && (strings.Contains(string(r.body), "diverge") || strings.Contains(string(r.body), "differs")) {
				seen.ready = true
			}
			// Only the state is at fault, and readyz can leave that out.
			if r, err := victim.get("/readyz?verbose"); err == nil && strings.Contains(string(r.body), "[-]state failed") {
				seen.apart = seen.apart || strings.Contains(string(r.body), "[+]raft ok")
			}
			if seen.get && !seen.put {
				r := victim.call(http.MethodPut, "/v1/kv/other", []byte("x"))
				p := r.problem()
				seen.put = r.status == http.StatusServiceUnavailable && p.Code == "diverged" && p.Outcome == "not_applied"
			}
			if !seen.get || !seen.put || !seen.ready || !seen.apart || !seen.metric {
				return fmt.Errorf("seen %+v", seen)
			}
			return nil
		})
		t.Logf("%s: found %v after the change", victim.name(), time.Since(began).Round(time.Millisecond))
		if led {
			waitFor(t, 10*time.Second, "another leads", func() error {
				s, err := c.followers(victim)[0].status()
				if err == nil && (s.Leader == 0 || s.Leader == victim.id) {
					err = fmt.Errorf("leader %d", s.Leader)
				}
				return err
			})
		}
		for _, m := range c.followers(victim) {
			m.wantValue("precious", value.String())
		}

		slow(0)
		waitFor(t, 30*time.Second, "it serves what the others have", func() error {
			r, err := victim.get("/v1/kv/precious?consistency=stale")
			if err == nil && (r.status != http.StatusOK || string(r.body) != value.String()) {
				err = fmt.Errorf("%d %.300s", r.status, r.body)
			}
			return err
		})
		victim.waitReady(10 * time.Second)
		wantClean(t, c)
	}
}

// wantClean fails the test unless a comparison finds all members equal.
func wantClean(t *testing.T, c *cluster) {
	t.Helper()
	waitFor(t, 20*time.Second, "all members are equal", func() error {
		r, err := post(c.members[0], "/v1/verify", "")
		if err != nil {
			return err
		}
		var v struct {
			Hashes            map[string]string
			Missing, Diverged []uint64
		}
		if err := r.decode(http.StatusOK, &v); err != nil {
			return err
		}
		hashes := map[string]bool{}
		for _, h := range v.Hashes {
			hashes[h] = true
		}
		if len(v.Hashes) != len(c.members) || len(hashes) != 1 || len(v.Missing)+len(v.Diverged) > 0 {
			return fmt.Errorf("%s", r.body)
		}
		return nil
	})
}

// flipInMemory changes a byte in every copy of text that the member has in its
// memory, and returns how many there were.
func flipInMemory(t *testing.T, m *member, text string, at int) int {
	t.Helper()
	pid := m.process().cmd.Process.Pid
	mem, err := os.OpenFile(fmt.Sprintf("/proc/%d/mem", pid), os.O_RDWR, 0)
	if err != nil {
		t.Skipf("SKIPPED: the memory of another process cannot be written here: %v", err)
	}
	defer mem.Close()
	maps, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Skipf("SKIPPED: the memory of another process cannot be read here: %v", err)
	}
	n := 0
	block := make([]byte, 4<<20)
	for lines := bufio.NewScanner(bytes.NewReader(maps)); lines.Scan(); {
		var from, to int64
		var mode string
		fields := strings.Fields(lines.Text())
		if k, _ := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &mode); k != 3 || !strings.HasPrefix(mode, "rw") || len(fields) > 5 && strings.HasPrefix(fields[5], "/") {
			continue // not its own: code and files
		}
		// Blocks overlap, so that no copy lies in two of them unseen.
		for off := from; off < to; off += int64(len(block) - len(text)) {
			b := block[:min(int64(len(block)), to-off)]
			k, err := mem.ReadAt(b, off)
			if k == 0 && err != nil {
				continue // a hole
			}
			b = b[:k]
			for i := bytes.Index(b, []byte(text)); i >= 0; i = bytes.Index(b, []byte(text)) {
				b[i+at] ^= 1
				if _, err := mem.WriteAt(b[i+at:i+at+1], off+int64(i+at)); err != nil {
					t.Skipf("SKIPPED: the memory of another process cannot be written here: %v", err)
				}
				n++
			}
		}
	}
	if n == 0 {
		t.Fatalf("the value is nowhere in the memory of %s", m.name())
	}
	return n
}
