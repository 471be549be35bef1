package kvstore

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// generator makes up the log of an episode. Its choices follow the model, so that
// conditions, leases and revisions are often the ones that matter.
type generator struct {
	r     *rand.Rand
	mo    *model
	keys  int  // how many the episode has
	large bool // some values are megabytes
	crowd func(n int) modelCommand
	ahead int // commands of crowd that are still to come
	left  int // commands that are to come behind them

	index uint64
	made  []modelCommand // with an idempotency key, for retries
}

// modelEntry is an entry of the log, and what is done after it to the machines.
type modelEntry struct {
	index uint64
	clock time.Duration
	cmds  []modelCommand
	after modelAction
	seed  uint64 // of what the action chooses
}

func newGenerator(seed uint64, mo *model) *generator {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0)), mo: mo, left: episodeCommands}
	g.keys = 1 << g.r.IntN(8)
	switch {
	case seed >= newSeeds: // those below are always the same, and some of them slow
	case seed%97 == 40: // so many requests that the oldest must go
		g.ahead, g.left, g.crowd = modelRequests-50, 800, func(n int) modelCommand {
			return modelCommand{kind: modelKeepAlive, lease: 1, request: fmt.Sprintf("crowd%d", n)}
		}
	case seed%61 == 20: // more keys and leases than one command ends
		g.ahead, g.left, g.crowd = modelExpireStep+500, 300, func(n int) modelCommand {
			if n%3 == 0 {
				return modelCommand{kind: modelGrant, ttl: MinTTL}
			}
			return modelCommand{kind: modelPut, key: fmt.Appendf(nil, "k/1%d", n), ttl: MinTTL}
		}
	case seed%31 == 30: // values so large that reads come to their limits
		g.large, g.keys, g.left = true, 8, 300
	}
	return g
}

// chance is true once in n times.
func (g *generator) chance(n int) bool { return g.r.IntN(n) == 0 }

// pick returns one of all.
func pick[T any](g *generator, all ...T) T { return all[g.r.IntN(len(all))] }

// entry has mostly a few commands, so that what happens between entries has its
// turn. It returns false when the episode is over.
func (g *generator) entry() (modelEntry, bool) {
	g.index += uint64(1 + g.r.IntN(3)/2)
	if g.ahead > 0 {
		return g.crowded(), true
	}
	e := modelEntry{index: g.index, clock: g.clock(), after: g.action(), seed: g.r.Uint64()}
	n := g.r.IntN(5)
	if g.chance(20) {
		n = g.r.IntN(40)
	}
	for range n {
		e.cmds = append(e.cmds, g.command())
	}
	g.left -= max(1, n)
	return e, g.left >= 0
}

// crowded is an entry of what there must be much of, all at one time.
func (g *generator) crowded() modelEntry {
	e := modelEntry{index: g.index, clock: time.Second}
	for range min(g.ahead, 1_000) {
		c := g.crowd(g.ahead)
		c.encode()
		e.cmds = append(e.cmds, c)
		g.ahead--
	}
	return e
}

// clock goes mostly a little, sometimes past the age of all that is remembered,
// and sometimes an entry's is behind the log's.
func (g *generator) clock() time.Duration {
	now := g.mo.clock
	switch n := g.r.IntN(1_000); {
	case n < 100:
		return now
	case n < 110:
		return now - time.Duration(g.r.Int64N(int64(time.Minute)))
	case n < 118 && (g.crowd != nil || g.large): // all that was remembered would go
		return now
	case n < 115:
		return now + time.Duration(g.r.Int64N(int64(modelRequestAge)*3/2))
	case n < 118 && len(g.mo.requests) > 0: // to where one is forgotten, or beside it
		return pick(g, g.mo.requests...).made + modelRequestAge + time.Duration(g.r.IntN(3)-1)
	case n < 170: // to where something ends, or beside it
		if all := g.mo.deadlines(); len(all) > 0 {
			if d := pick(g, all...).deadline; d < now+time.Hour {
				return d + time.Duration(g.r.IntN(3)-1)
			}
		}
	case n < 200:
		return now + time.Duration(g.r.Int64N(int64(5*time.Second)))
	}
	return now + time.Duration(g.r.Int64N(int64(200*time.Millisecond)))
}

func (g *generator) command() modelCommand {
	if len(g.made) > 0 && g.chance(12) {
		return g.retry()
	}
	c := g.plain()
	if c.kind != modelBad && c.kind != modelExpire && (g.chance(5) || g.large && !g.chance(3)) {
		c.request = g.requestKey()
	}
	c.encode()
	if c.request != "" {
		g.remember(c)
	}
	return c
}

// retry sends a command again, or something else under its idempotency key.
func (g *generator) retry() modelCommand {
	old := pick(g, g.made...)
	if g.chance(2) { // a late one is about as often wanted as an early one
		old = g.made[len(g.made)-1-g.r.IntN(min(len(g.made), 8))]
	}
	if !g.chance(4) {
		return old
	}
	c := old
	switch {
	case c.kind == modelPut && g.chance(2): // the smallest difference
		c.wantPrev = !c.wantPrev
	default:
		if c = g.plain(); c.kind == modelBad || c.kind == modelExpire {
			return old
		}
		c.request = old.request
	}
	c.encode()
	return c
}

// remember keeps some hundred of what was sent last.
func (g *generator) remember(c modelCommand) {
	if g.made = append(g.made, c); len(g.made) > 200 {
		g.made = g.made[100:]
	}
}

func (g *generator) requestKey() string {
	switch g.r.IntN(40) {
	case 0:
		return strings.Repeat("r", MaxIdempotencyKeyBytes)
	case 1:
		return fmt.Sprintf("%d", g.r.IntN(20))
	}
	return fmt.Sprintf("r%x", g.r.Uint32())
}

func (g *generator) plain() modelCommand {
	n := g.r.IntN(1_000)
	switch {
	case n < 5 || g.large && n%10 == 0:
		revision := g.mo.compacted + uint64(g.r.Int64N(int64(g.mo.revision-g.mo.compacted)+3))
		if g.chance(8) {
			revision = pick(g, 0, g.mo.revision+1, 1<<64-1)
		}
		return modelCommand{kind: modelCompact, revision: revision}
	case n < 20:
		start, end := g.span()
		return modelCommand{kind: modelDeleteRange, key: start, end: end}
	case n < 50:
		return g.bad()
	case n < 90:
		return modelCommand{kind: modelGrant, ttl: g.ttl()}
	case n < 110:
		return modelCommand{kind: modelRevoke, lease: g.lease()}
	case n < 150:
		return modelCommand{kind: modelKeepAlive, lease: g.lease()}
	case n < 190:
		return modelCommand{kind: modelExpire}
	case n < 390:
		return modelCommand{kind: modelTxn, txn: g.txn()}
	case n < 560:
		key := g.key()
		return modelCommand{kind: modelDelete, key: key, condition: g.condition(key), wantPrev: g.chance(3)}
	}
	c := modelCommand{
		kind: modelPut, key: g.key(), value: g.value(), contentType: g.contentType(), wantPrev: g.chance(3),
	}
	c.condition = g.condition(c.key)
	c.ttl, c.lease = g.life()
	return c
}
