package raftnode

import (
	"testing"
	"testing/synctest"
	"time"
)

// load is commands that come to a leader: of clients that send again some time after
// each answer, or at a steady rate.
type load struct {
	clients int
	away    time.Duration // from an answer to the next command
	every   time.Duration // where they come at a rate instead
}

// played is what came of a second of it.
type played struct {
	done, batches int
	wait          time.Duration // of all commands, from their coming to the end of their batch
}

func (o played) latency() time.Duration { return o.wait / time.Duration(max(o.done, 1)) }

// play has a leader whose batches take a time make them for a second, in steps of 10 µs.
func play(ld load, takes time.Duration, gather bool) (o played) {
	const step = 10 * time.Microsecond
	var (
		g           gathering
		open, batch []time.Duration // when their commands came
		coming      []time.Duration // when clients send again
		ends        time.Duration
		epoch       = time.Unix(0, 0)
	)
	for i := range ld.clients {
		coming = append(coming, time.Duration(i)*step)
	}
	for now := time.Duration(0); now < time.Second; now += step {
		kept := coming[:0]
		for _, at := range coming {
			if at <= now {
				open = append(open, now)
			} else {
				kept = append(kept, at)
			}
		}
		coming = kept
		if ld.every > 0 && now%ld.every == 0 {
			open = append(open, now)
		}
		if batch != nil && now >= ends {
			g.end(len(open), epoch.Add(now))
			for i, came := range batch {
				o.done++
				o.wait += now - came
				if ld.clients > 0 {
					coming = append(coming, now+ld.away+time.Duration(i)*step) // answered one by one
				}
			}
			o.batches, batch = o.batches+1, nil
		}
		if batch == nil && len(open) > 0 {
			if more, _ := g.more(len(open), epoch.Add(now)); more > 0 && gather {
				continue
			}
			g.begin(len(open), 0, epoch.Add(now))
			batch, open, ends = open, nil, now+takes
		}
	}
	return o
}

// TestGathering: what waiting for more commands brings, and what it costs where it
// brings nothing.
func TestGathering(t *testing.T) {
	const ms = time.Millisecond
	for _, tt := range []struct {
		name    string
		load    load
		takes   time.Duration
		batches float64 // at most, of what there are without waiting, per command
		latency float64 // at most, of that without waiting
	}{
		{"clients that come back at once are one group", load{clients: 64, away: ms / 10}, ms, 0.75, 1.05},
		{"and those who take as long as a batch", load{clients: 64, away: ms}, ms, 0.75, 1.05},
		{"clients that come back late are not waited for", load{clients: 64, away: 20 * ms}, ms, 1.01, 1.05},
		{"but those are who come within two slow batches", load{clients: 64, away: 20 * ms}, 10 * ms, 0.95, 0.9},
		{"a few clients are not worth it", load{clients: 6, away: ms / 10}, ms, 1.01, 1.01},
		{"a client alone waits for nobody", load{clients: 1, away: ms / 10}, ms, 1.01, 1.01},
		{"a steady rate waits for what was on its way", load{every: ms / 50}, ms, 0.75, 1.7},
		{"a low rate does not wait", load{every: ms / 2}, ms, 1.01, 1.01},
	} {
		without, with := play(tt.load, tt.takes, false), play(tt.load, tt.takes, true)
		each := func(o played) float64 { return float64(o.batches) / float64(o.done) }
		if got := each(with) / each(without); got > tt.batches {
			t.Errorf("%s: %.2f times the batches of no waiting, want at most %.2f", tt.name, got, tt.batches)
		}
		if got := float64(with.latency()) / float64(without.latency()); got > tt.latency {
			t.Errorf("%s: %.2f times the latency of no waiting, want at most %.2f", tt.name, got, tt.latency)
		}
		t.Logf("%s: %d commands in %d batches, %v each; without waiting %d in %d, %v", tt.name,
			with.done, with.batches, with.latency(), without.done, without.batches, without.latency())
	}
}

// TestGatheringHasAnEnd: clients that have all gone away hold up the next one for a
// moment, once.
func TestGatheringHasAnEnd(t *testing.T) {
	var g gathering
	now := time.Unix(0, 0)
	g.begin(64, 0, now)
	now = now.Add(time.Second)
	g.end(0, now)
	more, wait := g.more(1, now)
	if more != 55 || wait != maxGather {
		t.Errorf("waits for %d commands and %v, want 55 and %v", more, wait, maxGather)
	}
	now = now.Add(wait)
	if more, _ := g.more(1, now); more != 0 {
		t.Errorf("at the end of it, waits for %d", more)
	}
	g.begin(1, 0, now)
	g.end(0, now.Add(time.Millisecond))
	if more, _ := g.more(1, now.Add(time.Millisecond)); more != 0 {
		t.Errorf("the next one waits for %d", more)
	}
}

// TestGatheringEndsForOneAlone: after many at once nobody waits, and then one comes. It
// is not noticed before the others could have come, but then, and not at the next tick.
func TestGatheringEndsForOneAlone(t *testing.T) {
	for name, gather := range map[string]func(l *loop[int]) *gathering{
		"commands": func(l *loop[int]) *gathering { return &l.gather },
		"reads":    func(l *loop[int]) *gathering { return &l.reads.gather },
	} {
		synctest.Test(t, func(t *testing.T) {
			l := bareLoop(t)
			g := gather(l)
			g.begin(64, 0, time.Now().Add(-time.Millisecond))
			g.end(0, time.Now())
			l.n.inbox.want(l.wants())
			began := time.Now()
			l.n.inbox.propose(&proposal[int]{})
			l.n.inbox.read(&readRequest{})
			if props, reads := l.wants(); max(props, reads) < minGather {
				t.Fatalf("%s: waits for %d commands and %d readers: the test shows nothing", name, props, reads)
			}
			l.n.inbox.take(&inputs[int]{})
			for len(l.n.inbox.wake) > 0 {
				<-l.n.inbox.wake // of the other kind
			}
			select {
			case <-l.n.inbox.wake:
			case <-time.After(l.n.cfg.Tick):
			}
			if took := time.Since(began); took > maxGather {
				t.Errorf("%s: the loop is woken after %v, want at most %v", name, took, maxGather)
			}
		})
	}
}
