package test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// patience is how long the partitions last: moments in the short form, as long
// as outages are in the long one.
type patience struct{ isolated, settle, watched time.Duration }

func partitionPatience() patience {
	if os.Getenv("KVD_PARTITION_LONG") == "1" {
		return patience{isolated: time.Minute, settle: 10 * time.Second, watched: 20 * time.Second}
	}
	return patience{isolated: 5 * time.Second, settle: 4 * time.Second, watched: 5 * time.Second}
}

// A follower that is cut off, without a word to either side, refuses what needs
// a leader in time and goes on answering from its own state. When it comes back
// it disturbs nobody, and is served at once: no connection of before the cut is
// waited for.
func TestIsolatedFollower(t *testing.T) {
	t.Parallel()
	c := startIsolated(t, 3)
	leader := c.leader()
	term := leader.mustStatus().Term
	leader.put("k", "v")
	c.waitApplied(10 * time.Second)
	lonely := c.followers(leader)[0]
	p := partitionPatience()

	w := startWriters(t, "w/", 200, 5*time.Millisecond, goPutters(t, 2, c.followers(lonely)...)...)
	w.waitMore(5*time.Second, 20)
	c.isolate(lonely)
	began := time.Now()
	for i := 0; i == 0 || time.Since(began) < p.isolated; i++ {
		r := lonely.timed(time.Second, http.MethodGet, "/v1/kv/k?timeout=1s", nil)
		if r.status != http.StatusServiceUnavailable && r.status != http.StatusGatewayTimeout {
			t.Errorf("a linearizable GET: got %d %s, want 503 or 504", r.status, r.body)
		}
		r = lonely.timed(0, http.MethodGet, "/v1/kv/k?consistency=stale", nil)
		if r.status != http.StatusOK || string(r.body) != "v" || r.header.Get("Kvd-Staleness") == "" {
			t.Errorf("a stale GET: got %d %s, Kvd-Staleness %q", r.status, r.body, r.header.Get("Kvd-Staleness"))
		}
		r = lonely.timed(time.Second, http.MethodPut, "/v1/kv/lonely?timeout=1s", []byte("x"))
		if i > 0 { // the first may have gone into a connection that looked alive
			wantProblem(t, r, http.StatusServiceUnavailable, "no_leader", "not_applied")
		} else if r.status != http.StatusServiceUnavailable && r.status != http.StatusGatewayTimeout {
			t.Errorf("PUT: got %d %s, want 503 or 504", r.status, r.body)
		}
	}
	w.waitMore(5*time.Second, 20)
	goal := leader.mustStatus().CommitIndex
	if s := lonely.mustStatus(); s.AppliedIndex >= goal {
		t.Fatalf("the lonely member has applied %d of %d: it was not cut off", s.AppliedIndex, goal)
	}
	c.heal()
	healed := time.Now()
	waitFor(t, 4*time.Second, "the member that was cut off catches up", func() error {
		s, err := lonely.status()
		if err == nil && (s.AppliedIndex < goal || s.Leader != leader.id) {
			err = fmt.Errorf("applied %d of %d, leader %d", s.AppliedIndex, goal, s.Leader)
		}
		return err
	})
	t.Logf("cut off for %v, caught up %v after healing", healed.Sub(began).Round(time.Millisecond), time.Since(healed).Round(time.Millisecond))
	if s := c.leader().mustStatus(); s.Leader != leader.id || s.Term != term {
		t.Errorf("leader %d of term %d became leader %d of term %d", leader.id, term, s.Leader, s.Term)
	}
	w.stop()
	w.wantNoneFailed()
	w.wantAll(c.members...)
}

// A leader that is cut off is replaced by one election, answers no read from what it
// had, gives up by itself, and follows when it comes back.
func TestIsolatedLeader(t *testing.T) {
	t.Parallel()
	c := startIsolated(t, 3)
	leader := c.leader()
	term := leader.mustStatus().Term
	leader.put("cut", "before")
	w := startWriters(t, "w/", 200, 5*time.Millisecond, goPutters(t, 2, c.members...)...)
	w.waitMore(5*time.Second, 20)
	c.isolate(leader)
	began := time.Now()
	w.waitMore(10*time.Second, 20)
	t.Logf("writes went on %v after the cut", time.Since(began).Round(time.Millisecond))
	next := c.followers(leader)[0]
	next.put("cut", "after")
	r, err := leader.get("/v1/kv/cut?timeout=1s")
	if err == nil {
		err = r.want(http.StatusServiceUnavailable, http.StatusGatewayTimeout)
	}
	if err != nil {
		t.Errorf("a read of the old leader: %v", err)
	}
	waitFor(t, 5*time.Second, "the old leader gives up", func() error {
		s, err := leader.status()
		if err == nil && s.Role == "leader" {
			err = fmt.Errorf("it is %s of term %d", s.Role, s.Term)
		}
		return err
	})
	pause(nil, partitionPatience().isolated/2)
	c.heal()
	healed := time.Now()
	waitFor(t, 4*time.Second, "the old leader follows", func() error {
		s, err := leader.status()
		if err == nil && (s.Leader == 0 || s.Leader == leader.id) {
			err = fmt.Errorf("leader %d", s.Leader)
		}
		return err
	})
	t.Logf("it follows %v after healing", time.Since(healed).Round(time.Millisecond))
	if s := c.leader().mustStatus(); s.Term > term+2 {
		t.Errorf("term %d became %d: more elections than a split vote explains", term, s.Term)
	}
	w.stop()
	w.wantNoneFailed()
	w.wantAll(c.members...)
}

// Cuts between some members only, and in one direction only, leave a majority
// that can work: it settles on a leader and keeps it.
func TestPartialPartitions(t *testing.T) {
	t.Parallel()
	seed := envNumber(t, "KVD_FAULT_SEED", uint64(time.Now().UnixNano()))
	t.Logf("KVD_FAULT_SEED=%d", seed)
	rng := rand.New(rand.NewPCG(seed, 0x50))
	c := startIsolated(t, 3)
	p := partitionPatience()
	type cuts struct {
		name string
		do   func(leader, f, g *member)
	}
	all := []cuts{
		{"leader and a follower", func(l, f, _ *member) { c.cutBoth(l, f) }},
		{"leader to a follower, one way", func(l, f, _ *member) { c.cut(l, f) }},
		{"a follower to the leader, one way", func(l, f, _ *member) { c.cut(f, l) }},
		{"leader to both, one way", func(l, f, g *member) { c.cut(l, f); c.cut(l, g) }},
		{"both to the leader, one way", func(l, f, g *member) { c.cut(f, l); c.cut(g, l) }},
		{"both followers", func(_, f, g *member) { c.cutBoth(f, g) }},
	}
	rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	if os.Getenv("KVD_PARTITION_LONG") != "1" {
		all = all[:2]
	}
	for _, cut := range all {
		leader := c.leader()
		fs := c.followers(leader)
		rng.Shuffle(2, func(i, j int) { fs[i], fs[j] = fs[j], fs[i] })
		founded := leader.mustStatus().Term
		before := time.Now()
		w := startWriters(t, "w/"+strings.ReplaceAll(cut.name, " ", "-")+"/", 200, 5*time.Millisecond, goPutters(t, 3, c.members...)...)
		w.waitMore(5*time.Second, 20)
		cut.do(leader, fs[0], fs[1])
		pause(nil, p.settle)
		from := time.Now()
		term := uint64(0)
		for _, m := range c.members {
			term = max(term, m.mustStatus().Term)
		}
		pause(nil, p.watched)
		to := time.Now()
		silence := longestSilence(w.between(before, to), from, to)
		after := uint64(0)
		for _, m := range c.members {
			after = max(after, m.mustStatus().Term)
		}
		t.Logf("%s: from %v after the cut no write was answered for %v at most; term %d before it, then %d, at the end %d",
			cut.name, p.settle, silence.Round(time.Millisecond), founded, term, after)
		// Without a leader nothing is answered for an election timeout of 1 s at
		// least, and 2 s if the election is a slow one. A machine whose disk others
		// write to is silent for most of a second, too: that is not the network.
		if silence > 2*time.Second {
			t.Errorf("%s: no write was answered for %v, want 2s at most", cut.name, silence)
		}
		if after > term+1 {
			t.Errorf("%s: term %d became %d while nothing changed any more", cut.name, term, after)
		}
		w.stop()
		c.heal()
		c.leader()
		w.wantNoneFailed()
		w.wantAll(c.members...)
	}
}

// longestSilence is the longest time between from and to in which no write was
// acknowledged.
func longestSilence(ws []write, from, to time.Time) time.Duration {
	moments := []time.Time{from, to}
	for _, w := range ws {
		if w.ended.After(from) && w.ended.Before(to) {
			moments = append(moments, w.ended)
		}
	}
	slices.SortFunc(moments, time.Time.Compare)
	var longest time.Duration
	for i, m := range moments[1:] {
		longest = max(longest, m.Sub(moments[i]))
	}
	return longest
}
