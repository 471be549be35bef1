package raftnode

import "time"

// gathering decides when the next batch is made, or the next request to the leader.
//
// A batch costs the members of a cluster as much as many commands do. When one is
// committed, its clients are about to send again, while others wait already. To propose
// those at once makes two groups of clients that take turns: twice as many batches, each
// half the size. So those who wait are joined by those who come back, if they do so
// before long. Nobody waits for the end of another's batch then, which makes up for it.
//
// How many there are shows in those of a batch, and those who have come until its end.
// The more are waited for, the more come: where commands do not come from clients that
// wait for an answer, that would go on. So it counts how many there are when a batch is
// made without waiting, as one is now and then, and half as many again, who were on
// their way. Clients that come back later than is good are waited for in vain; after each
// time, more batches are made without waiting.
type gathering struct {
	began   time.Time // the batch under way
	size    int       // of it
	free    bool      // it was made without waiting
	clients int       // as batches have shown
	most    int       // that they can have shown

	target int       // commands that are worth waiting for; 0: do not wait
	until  time.Time // and how long

	waited int // batches since the last that was free
	skip   int // that are free from now on
	missed int // times in a row that commands were waited for in vain
}

const (
	minGather     = 8                    // clients, to be worth it
	maxGather     = 4 * time.Millisecond // the wait, whatever a batch takes
	gatherRound   = 64                   // batches; then one shows how many clients there are
	maxGatherSkip = 1 << 10              // batches, before commands are waited for again
)

// begin tells that a batch is made, while open commands are left for the next.
func (g *gathering) begin(size, open int, now time.Time) {
	if g.target > 0 {
		if g.missed = min(g.missed+1, 16); size+open >= g.target {
			g.missed = 0
		}
		if g.waited++; g.waited == gatherRound {
			g.skip = 1
		}
		g.skip = max(g.skip, min(1<<g.missed-1, maxGatherSkip))
	}
	g.free = g.target == 0
	g.began, g.size, g.target = now, size, 0
}

// end tells that the batch has come to its end, while open commands wait.
func (g *gathering) end(open int, now time.Time) {
	g.clients = g.size + open
	if g.free {
		g.most, g.waited = g.clients*3/2, 0
	}
	g.clients = min(g.clients, g.most)
	if g.skip > 0 {
		g.skip--
		return
	}
	if g.clients >= minGather {
		g.target = g.clients - g.clients/8 // some always go elsewhere
		g.until = now.Add(min(3*now.Sub(g.began), maxGather))
	}
}

// more says how many commands besides the open ones to wait for, and for how long at
// most; 0: for none.
func (g *gathering) more(open int, now time.Time) (int, time.Duration) {
	if open >= g.target || !now.Before(g.until) {
		return 0, 0
	}
	return g.target - open, g.until.Sub(now)
}
