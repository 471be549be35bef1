package test

import (
	"fmt"
	"testing"
	"time"
)

// TestSlowPeer writes for half a minute while one follower sits behind a link
// that carries a sixteenth of it. The leader does not gather what it cannot
// send, and nobody else waits. When the link is as fast as others again, the
// follower catches up.
func TestSlowPeer(t *testing.T) {
	t.Parallel()
	seconds := envNumber(t, "KVD_SLOW_SECONDS", 12)
	const (
		size, clients = 64 << 10, 4
		every         = 30 * time.Millisecond // about 8 MB/s
		link          = 512 << 10             // bytes a second: slow, and not so slow that nothing gets through
		// What may be on its way to one follower is 64 MB, and the collector lets
		// the heap grow to twice what lives. Much more would be what waits.
		growth = 192 << 20
	)
	// Neither the state nor the history grows, so what grows is what waits.
	c, proxies := newBehindProxies(t, 3, "--history-bytes", "1MiB", "--history-revisions", "100", "--snapshot-bytes", "8MiB")
	slow := c.members[2]
	p := proxies[slow]
	fast := c.followers(slow)
	for _, m := range c.members {
		m.start()
	}
	c.waitReady()
	for c.leader() == slow { // it hands over when it stops
		slow.term()
		slow.start()
		slow.waitReady(20 * time.Second)
	}
	leader := c.leader()
	term := leader.mustStatus().Term

	w := (&writers{t: t, prefix: "slow/", size: size, every: every, keys: 32}).start(goPutters(t, clients, fast...)...)
	pause(nil, 3*time.Second)
	began := time.Now()
	p.there.rate.Store(link)
	start, ok := residentMemory(leader.process())
	if !ok {
		t.Skip("SKIPPED: this system does not tell how much memory a process has")
	}
	peak := start
	for time.Since(began) < time.Duration(seconds)*time.Second {
		pause(nil, 250*time.Millisecond)
		rss, _ := residentMemory(leader.process())
		peak = max(peak, rss)
	}
	behind := leader.mustStatus().CommitIndex - slow.mustStatus().AppliedIndex
	ended := time.Now()
	before, during := w.between(began.Add(-2*time.Second), began), w.between(began, ended)
	sent := int64(len(during)) * size
	t.Logf("%d MB written in %d s; the follower is %d entries behind; the leader had %d MB resident before, and up to %d MB",
		sent>>20, seconds, behind, start>>20, peak>>20)
	t.Logf("writes took %v (p50) and %v (p99) before, %v and %v beside the slow link", percentile(before, 0.5), percentile(before, 0.99), percentile(during, 0.5), percentile(during, 0.99))
	if behind < 20 {
		t.Errorf("the follower is %d entries behind: its link was not slow", behind)
	}
	if waiting := sent - link*int64(seconds); waiting < growth*3/4 {
		t.Logf("THIS SHOWS LITTLE: only %d MB were written, this machine does too much else", sent>>20)
	}
	if peak-start > growth {
		t.Errorf("the leader's memory grew by %d MB", (peak-start)>>20)
	}
	if b, d := percentile(before, 0.5), percentile(during, 0.5); d > 3*b+100*time.Millisecond {
		t.Errorf("half of the writes took more than %v beside a slow link, %v without", d, b)
	}

	p.there.rate.Store(0)
	goal := leader.mustStatus().CommitIndex
	healed := time.Now()
	waitFor(t, 20*time.Second, "the follower catches up", func() error {
		s, err := slow.status()
		if err == nil && s.AppliedIndex < goal {
			err = fmt.Errorf("applied %d of %d", s.AppliedIndex, goal)
		}
		return err
	})
	t.Logf("caught up %v after the link was fast again", time.Since(healed).Round(time.Millisecond))
	if s := c.leader().mustStatus(); s.Leader != leader.id || s.Term != term {
		t.Errorf("leader %d of term %d became leader %d of term %d", leader.id, term, s.Leader, s.Term)
	}
	w.stop()
	w.wantNoneFailed()
	w.wantAll(c.members...)
}
