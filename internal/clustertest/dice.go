package clustertest

import (
	"math/rand/v2"
	"time"
)

// dice is the randomness of one link, so that what happens to a message does not
// depend on which other link has carried one at the same moment. The caller has mu.
func (n *Network) dice(from, to uint64) *rand.Rand {
	link := [2]uint64{from, to}
	d := n.dices[link]
	if d == nil {
		d = rand.New(rand.NewPCG(n.seed, from<<32|to))
		n.dices[link] = d
	}
	return d
}

// jitter is how long a process takes to come up. No two members tick at the same
// moment, where the order would be the runtime's to choose.
func (m *Member) jitter() time.Duration {
	m.lives++
	return time.Duration(rand.New(rand.NewPCG(m.ID, m.lives)).Int64N(int64(time.Millisecond)))
}
