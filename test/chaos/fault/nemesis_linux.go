package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"kvd/test/chaos/cluster"
)

// Nemesis hurts a cluster again and again. It deals the kinds like cards, so
// that each comes once before any comes twice, and two at once a third of the
// time. The same seed deals the same kinds.
type Nemesis struct {
	c     *cluster.Cluster
	rng   *rand.Rand
	kinds []Kind
	deck  []Kind

	// Healed is called each time as soon as all is undone; what was begun, such
	// as a change of members, may not have ended. It must not block.
	Healed func()
}

// NewNemesis makes one that knows these kinds.
func NewNemesis(c *cluster.Cluster, seed uint64, kinds []Kind) *Nemesis {
	return &Nemesis{c: c, rng: rand.New(rand.NewPCG(seed, 0xfa)), kinds: kinds, Healed: func() {}}
}

// deal draws the kinds of one round.
func (n *Nemesis) deal() []Kind {
	if len(n.deck) == 0 {
		n.deck = slices.Clone(n.kinds)
		n.rng.Shuffle(len(n.deck), func(i, j int) { n.deck[i], n.deck[j] = n.deck[j], n.deck[i] })
	}
	first := n.deck[0]
	n.deck = n.deck[1:]
	if n.rng.IntN(3) == 0 {
		if i := slices.IndexFunc(n.deck, first.goesWith); i >= 0 {
			second := n.deck[i]
			n.deck = slices.Delete(n.deck, i, i+1)
			// A network that hurts comes last: it can spare whom the other fault hits,
			// unless that hits all.
			if (first.class == network) != (second.class == whole || first.class == whole) {
				first, second = second, first
			}
			return []Kind{first, second}
		}
	}
	return []Kind{first}
}

// Round hurts the cluster once, and heals it. The error is of the run itself: it
// cannot go on. The wounds say the rest.
func (n *Nemesis) Round(ctx context.Context) ([]*Wound, error) {
	var wounds []*Wound
	var avoid []*cluster.Member
	hold := time.Duration(0)
	kinds := n.deal()
	for i, k := range kinds {
		// Each has a source of its own: how much one draws must not change what
		// the next one does.
		rng := rand.New(rand.NewPCG(n.rng.Uint64(), 0))
		w := &Wound{Kind: k.Name, ctx: ctx, c: n.c, rng: rng, avoid: avoid, alone: len(kinds) == 1, Began: time.Now()}
		switch {
		case k.class == whole:
			w.avoid = nil
		case i == 0 && len(kinds) == 2 && kinds[1].leader:
			if l, err := n.c.Leader(ctx); err == nil {
				w.avoid = []*cluster.Member{l} // it is for the other one
			}
		}
		w.hold = w.between(500*time.Millisecond, 3500*time.Millisecond)
		if err := k.hurt(w); err != nil {
			w.Unshown = append(w.Unshown, err.Error())
		}
		wounds, avoid, hold = append(wounds, w), append(avoid, w.hit...), max(hold, w.hold)
	}
	cluster.Pause(ctx, hold)
	for _, w := range wounds {
		w.examine()
	}
	var err error
	for _, w := range slices.Backward(wounds) {
		if e := w.heal(); e != nil {
			err = errors.Join(err, fmt.Errorf("heal %s: %w", w, e))
		}
	}
	now := time.Now()
	for _, w := range wounds {
		w.Healed = now
	}
	n.Healed()
	for _, w := range wounds {
		if e := w.end(); e != nil {
			w.Unshown = append(w.Unshown, e.Error())
		}
	}
	return wounds, err
}
