package test

import (
	"testing"
	"time"
)

// TestRollingRestart restarts three members one after the other by SIGTERM
// while 16 clients write: no request of a client that repeats what it may
// repeat fails, nothing is left in doubt, and each restart costs one election
// at most.
func TestRollingRestart(t *testing.T) {
	rounds := envNumber(t, "KVD_ROLLING_ROUNDS", 1)
	c := startCluster(t, 3)
	term := c.leader().mustStatus().Term
	puts := goPutters(t, 12, c.members...)
	for i := range 4 {
		k := i % 3
		puts = append(puts, plainPutter(i, append(append([]*member{}, c.members[k:]...), c.members[:k]...)...))
	}
	w := startWriters(t, "rolling/", 100, 0, puts...)
	began := time.Now()
	for range rounds {
		for _, m := range c.members {
			w.waitMore(10*time.Second, 100)
			led := c.leader() == m
			asked := time.Now()
			if code := m.term(); code != 0 {
				t.Errorf("%s: exit code %d after SIGTERM, want 0", m.name(), code)
			}
			ended := time.Since(asked)
			w.waitMore(10*time.Second, 100) // the two others serve
			m.start()
			m.waitReady(20 * time.Second)
			c.waitApplied(10 * time.Second)
			s := c.leader().mustStatus()
			t.Logf("%s (leader: %v): ended after %v, the longest write since took %v, term %d became %d", m.name(), led, ended.Round(time.Millisecond),
				longest(w.between(asked.Add(-time.Second), time.Now())).Round(time.Millisecond), term, s.Term)
			if s.Term > term+1 {
				t.Errorf("%s: its restart took %d elections, want one at most", m.name(), s.Term-term)
			}
			term = s.Term
		}
	}
	w.waitMore(10*time.Second, 100)
	w.stop()
	all := w.between(began, time.Now())
	t.Logf("%d writes in %.1f s, p99 %v, longest %v", len(all), time.Since(began).Seconds(), percentile(all, 0.99), longest(all))
	w.wantNoneFailed()
	w.wantAll(c.members...)
}
