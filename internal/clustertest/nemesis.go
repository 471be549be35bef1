package clustertest

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// nemesis does harm, one thing at a time, and undoes some of it.
type nemesis struct {
	*sim
	rng *rand.Rand
}

func (n *nemesis) run(until time.Time) {
	for time.Now().Before(until) {
		time.Sleep(time.Duration(n.rng.IntN(900)) * time.Millisecond)
		n.act()
	}
}

// act does one thing. What is done to a member is done to the leader as often as
// to all others together.
func (n *nemesis) act() {
	members := n.c.Members()
	m := members[n.rng.IntN(len(members))]
	if l := n.leader(); l != nil && n.rng.IntN(2) == 0 {
		m = l
	}
	var ids []uint64
	for _, x := range members {
		ids = append(ids, x.ID)
	}
	switch pick := n.rng.IntN(40); {
	case pick < 12:
		n.undo(pick, members)
	case pick < 20:
		n.process(pick, m, members)
	case pick < 29:
		n.network(pick, m.ID, ids)
	case pick < 35:
		n.disk(pick, m)
	case pick < 37:
		// Not of two at once: when it is the most that are damaged, nobody knows
		// what is right.
		damaged := slices.ContainsFunc(members, func(x *Member) bool { return x != m && x.Node() != nil && x.Altered() })
		if m.Node() != nil && !damaged && m.Flip("z") {
			n.did("flip a bit", "of member %d", m.ID)
		}
	case pick < 39:
		rate := 0.98 + n.rng.Float64()*(fastest-0.98)
		n.did("clock rate", "of member %d: %.4f", m.ID, rate)
		m.clock.set(rate)
	default:
		d := time.Duration(n.rng.IntN(5000)) * time.Millisecond
		n.did("clock stands still", "of member %d for %v", m.ID, d)
		m.clock.stand(d)
	}
}

// process ends or stops members.
func (n *nemesis) process(pick int, m *Member, members []*Member) {
	switch pick {
	case 12, 13:
		n.did("crash", "of member %d", m.ID)
		m.Crash()
	case 14:
		n.did("crash of all", "")
		for _, x := range members {
			x.Crash()
		}
		for _, x := range members {
			n.revive(x)
		}
	case 15:
		n.did("crash of some", "")
		for _, x := range members {
			if n.rng.IntN(2) == 0 {
				x.Crash()
			}
		}
	case 16, 17:
		n.did("shutdown", "of member %d", m.ID)
		m.Shutdown()
	default:
		d := time.Duration(n.rng.IntN(6000)) * time.Millisecond
		n.did("pause", "of member %d for %v", m.ID, d)
		m.Pause()
		time.AfterFunc(d, m.Resume)
	}
}

// network spoils links.
func (n *nemesis) network(pick int, id uint64, ids []uint64) {
	net, other := n.c.Net, ids[n.rng.IntN(len(ids))]
	switch pick {
	case 20, 21:
		n.did("isolation", "of member %d", id)
		net.Isolate(id, ids...)
	case 22:
		n.did("partition", "")
		var sides [2][]uint64
		for _, x := range ids {
			side := n.rng.IntN(2)
			sides[side] = append(sides[side], x)
		}
		for _, x := range sides[0] {
			net.Isolate(x, sides[1]...)
		}
	case 23:
		n.did("cut", "between %d and %d", id, other)
		net.Isolate(id, other)
	case 24:
		n.did("one-way cut", "from %d to %d", id, other)
		net.SetLink(id, other, Link{Cut: true})
	case 25:
		n.did("member that is not heard", "%d", id)
		for _, x := range ids {
			net.SetLink(id, x, Link{Cut: true})
		}
	case 26:
		l := Link{
			Drop: n.rng.Float64() * 0.3, Duplicate: n.rng.Float64() * 0.3,
			MaxDelay: time.Duration(1+n.rng.IntN(200)) * time.Millisecond,
		}
		n.did("bad links", "%+v", l)
		net.SetDefault(l)
	case 27:
		l := Link{Drop: n.rng.Float64() * 0.9, MinDelay: 50 * time.Millisecond, MaxDelay: 600 * time.Millisecond, Duplicate: 0.2}
		n.did("very bad link", "from %d to %d: %+v", id, other, l)
		net.SetLink(id, other, l)
	default:
		n.did("slow link", "from %d to %d", id, other)
		net.SetLink(id, other, Link{MaxDelay: time.Millisecond, BytesPerSecond: 2000 + n.rng.IntN(50_000), QueueBytes: 20_000})
		if n.rng.IntN(2) == 0 {
			net.CutSnapshots(1 + n.rng.IntN(3))
		}
	}
}

// disk makes a disk fail, fill, stall or slow down.
func (n *nemesis) disk(pick int, m *Member) {
	switch at := 1 + n.rng.IntN(20); pick {
	case 29:
		n.did("disk failure", "of member %d at write %d", m.ID, at)
		m.Disk.FailAfter(at)
	case 30:
		n.did("full disk", "of member %d at write %d", m.ID, at)
		m.Disk.FullAfter(at)
	case 31:
		n.did("disk short of space", "of member %d", m.ID)
		m.Disk.SetFree(uint64(n.rng.IntN(2 * diskReserve)))
	case 32, 33:
		d := time.Duration(n.rng.IntN(5000)) * time.Millisecond
		n.did("disk stall", "of member %d for %v", m.ID, d)
		m.Disk.Stall()
		time.AfterFunc(d, m.Disk.Unstall)
	default:
		most := time.Duration(1+n.rng.IntN(150)) * time.Millisecond
		n.did("slow disk", "of member %d: %v", m.ID, most)
		m.Disk.SetLatency(func(r *rand.Rand) time.Duration { return time.Duration(r.Int64N(int64(most))) })
	}
}

// undo makes some of it good again.
func (n *nemesis) undo(pick int, members []*Member) {
	if pick < 4 {
		n.did("restart", "of all that have ended")
		for _, x := range members {
			n.revive(x)
		}
		return
	}
	if pick < 8 {
		n.did("good network", "")
		n.c.Net.Heal()
		return
	}
	n.healAll(members)
}

// healAll makes everything good.
func (s *sim) healAll(members []*Member) {
	s.did("heal", "%s", fmt.Sprint(len(members)))
	s.c.Net.Heal()
	s.c.Net.CutSnapshots(0)
	for _, m := range members {
		m.Resume()
		m.clock.good()
		m.Disk.Heal()
		m.Disk.SetLatency(ordinaryLatency)
		s.revive(m)
	}
}
