package kvstore

import (
	"bytes"
	"fmt"
	"time"
)

// key is one of the episode's, some of which are no text.
func (g *generator) key() []byte {
	switch n := g.r.IntN(g.keys); {
	case n == 5:
		return []byte{0}
	case n == 6:
		return []byte("\xff\xff")
	case n == 7:
		return []byte("k")
	default:
		return fmt.Appendf(nil, "k/%d", n)
	}
}

// value is short, so that two are often equal.
func (g *generator) value() []byte {
	switch {
	case g.large && g.chance(2):
		return bytes.Repeat([]byte{'v'}, pick(g, 1<<19, 1<<20, 3<<20))
	case g.chance(3):
		return []byte(pick(g, "", "a", "b", "aa", "\x00\xff"))
	}
	return bytes.Repeat([]byte{byte('a' + g.r.IntN(26))}, g.r.IntN(48))
}

func (g *generator) contentType() string { return pick(g, "", "", "text/plain", "application/json") }

func (g *generator) ttl() time.Duration {
	switch g.r.IntN(20) {
	case 0:
		return MaxTTL
	case 1, 2:
		return time.Minute
	case 3, 4, 5:
		return MinTTL
	}
	return MinTTL + time.Duration(g.r.Int64N(int64(4*time.Second)))
}

// life is mostly none: a TTL, a lease, or neither.
func (g *generator) life() (time.Duration, LeaseID) {
	switch g.r.IntN(6) {
	case 0:
		return g.ttl(), 0
	case 1:
		if id := g.lease(); g.mo.alive(id) || g.chance(4) {
			return 0, id
		}
	}
	return 0, 0
}

// lease is mostly one that was granted not long ago.
func (g *generator) lease() LeaseID {
	switch {
	case g.chance(20):
		return modelLeaseID(g.mo.granted + 1) // the next
	case g.chance(50) || g.mo.granted == 0:
		return LeaseID(1 + g.r.Uint64N(1<<63))
	case g.chance(10):
		return modelLeaseID(1 + g.r.Uint64N(g.mo.granted))
	}
	return modelLeaseID(g.mo.granted - g.r.Uint64N(min(g.mo.granted, 5)))
}

func (g *generator) condition(key []byte) Condition {
	c := Condition{Kind: ConditionKind(max(0, g.r.IntN(9)-5))}
	if c.Kind == IfRevision {
		old, _ := g.mo.now(string(key))
		c.Revision = g.near(old.ModRevision)
	}
	return c
}

// near is mostly n itself.
func (g *generator) near(n uint64) uint64 {
	switch g.r.IntN(8) {
	case 0:
		return n + 1
	case 1:
		return max(n, 1) - 1
	}
	return n
}

// span is mostly a short one.
func (g *generator) span() (start, end []byte) {
	switch g.r.IntN(20) {
	case 0:
		return nil, nil
	case 1:
		return []byte("l"), []byte("a")
	case 2:
		return nil, []byte{}
	}
	start = g.key()
	switch g.r.IntN(3) {
	case 0:
		return start, PrefixEnd(start)
	case 1:
		return append(start, 0), g.key()
	}
	return start, append(bytes.Clone(start), '5')
}
