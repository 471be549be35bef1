package kvstore

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
)

// watchIndex finds the watchers that a change concerns. Nothing of the state
// depends on it.
//
// A watcher that has seen all there is sits in one group for each of its keys and
// prefixes. The first change that concerns a group calls it: the group leaves the
// index with the revision of that change, and its watchers are told. They sit
// down in new groups once they have seen all there is again; until then they cost
// Apply nothing.
//
// So a group in the index says: up to the store's revision, nothing has happened
// that concerns its watchers and that they have not seen.
type watchIndex struct {
	// Owned by the goroutine that applies.
	noted uint64        // the store's revision when note was called last
	calls []*watchGroup // called and not told yet

	// mu is locked inside Machine.mu's read side, never the other way round. Who has
	// the write side of that needs no mu: nobody else can have it.
	mu       sync.Mutex
	open     int // watchers; guarded by mu
	groups   int // guarded by mu
	keys     map[string]*watchGroup
	prefixes []prefixGroups
	hints    *watchHints // nil before the first group
}

// watchHints count the groups by a hash of their names. Most names that a change
// is looked up by are nobody's, and to see that here costs a third of what it takes
// in a large map.
type watchHints [1 << 16]uint8

// of looks at 16 bytes of a name, the last and those in its middle: where these do
// not tell names apart, the map does.
func (h *watchHints) of(name []byte) *uint8 {
	n := len(name)
	sum := uint64(n)
	if n < 8 {
		for _, b := range name {
			sum = sum<<8 | uint64(b)
		}
	} else {
		const odd = 0x9e3779b97f4a7c15 // 2^64 over the golden ratio
		sum += binary.LittleEndian.Uint64(name[(n-8)/2:]) * odd
		sum ^= binary.LittleEndian.Uint64(name[n-8:])
	}
	return &h[sum*0xff51afd7ed558ccd>>48]
}

// add counts by n, 1 or -1. A count that was full once stays so: it says nothing
// wrong, only less.
func (h *watchHints) add(name string, n int) {
	if c := h.of([]byte(name)); *c < math.MaxUint8 {
		*c = uint8(int(*c) + n)
	}
}

// prefixGroups are the groups of the prefixes of one length.
type prefixGroups struct {
	length int
	groups map[string]*watchGroup
}

// watchGroup are the watchers that wait for a change of one key, or of any key
// with one prefix. When it is called, it is not changed any more.
type watchGroup struct {
	name   string
	prefix bool
	seats  []*watchSeat
	called uint64 // the first revision that concerns it, 0 if there was none; guarded by Machine.mu
}

// watchSeat is a watcher's place in a group.
type watchSeat struct {
	w      *Watcher
	name   string
	prefix bool
	group  *watchGroup // changed by the watcher under watchIndex.mu
	i      int         // where it is in the group; guarded by watchIndex.mu
}

// note calls the groups that the changes since the last time concern. The caller
// has Machine.mu, and calls tell when it has not any more.
func (x *watchIndex) note(s *state) {
	noted := x.noted
	x.noted = s.revision
	switch {
	case x.groups == 0:
		return
	case s.compacted > noted:
		// Nobody can say any more what happened. That all their watchers are
		// behind what can be read is theirs to find out.
		x.callAll(noted + 1)
		return
	}
	i := s.events.n
	for i > 0 && s.events.at(i-1).revision > noted {
		i--
	}
	for ; i < s.events.n && x.groups > 0; i++ {
		e := s.events.at(i)
		x.changed(e.it.kv, e.revision)
	}
}

func (x *watchIndex) changed(key []byte, revision uint64) {
	if len(x.keys) > 0 && *x.hints.of(key) > 0 {
		if g := x.keys[string(key)]; g != nil {
			x.call(g, revision)
		}
	}
	// From the last to the first, since call may take one out.
	for i := len(x.prefixes) - 1; i >= 0; i-- {
		p := &x.prefixes[i]
		if p.length > len(key) || *x.hints.of(key[:p.length]) == 0 {
			continue
		}
		if g := p.groups[string(key[:p.length])]; g != nil {
			x.call(g, revision)
		}
	}
}

func (x *watchIndex) call(g *watchGroup, revision uint64) {
	g.called = revision
	x.remove(g)
	x.calls = append(x.calls, g)
}

func (x *watchIndex) callAll(revision uint64) {
	for _, g := range x.keys {
		x.call(g, revision)
	}
	for _, p := range slices.Clone(x.prefixes) {
		for _, g := range p.groups {
			x.call(g, revision)
		}
	}
}

// tell wakes the watchers of the groups that were called. A watcher that is busy
// finds the word later.
func (x *watchIndex) tell() {
	for _, g := range x.calls {
		for _, seat := range g.seats {
			select {
			case seat.w.calledc <- struct{}{}:
			default:
			}
		}
	}
	clear(x.calls)
	x.calls = x.calls[:0]
}

// sit seats w where it is not, or where it was called away. The caller has the
// read side of Machine.mu, under which w has seen all there is.
func (x *watchIndex) sit(w *Watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range w.seats {
		seat := &w.seats[i]
		if seat.group != nil && seat.group.called == 0 {
			continue
		}
		g := x.group(seat.name, seat.prefix)
		seat.group, seat.i = g, len(g.seats)
		g.seats = append(g.seats, seat)
	}
}

// opened counts a watcher that is not seated yet.
func (x *watchIndex) opened() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open++
}

func (x *watchIndex) count() int {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.open
}

// closed takes w out. The caller has the read side of Machine.mu.
func (x *watchIndex) closed(w *Watcher) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.open--
	for i := range w.seats {
		seat := &w.seats[i]
		g := seat.group
		if g == nil || g.called > 0 {
			continue
		}
		last := g.seats[len(g.seats)-1]
		g.seats[seat.i], last.i = last, seat.i
		g.seats[len(g.seats)-1] = nil
		g.seats = g.seats[:len(g.seats)-1]
		if len(g.seats) == 0 {
			x.remove(g)
		}
	}
	w.seats = nil
}

// group returns the group of that name in the index, a new one if there is none.
func (x *watchIndex) group(name string, prefix bool) *watchGroup {
	groups := x.named(len(name), prefix)
	g := groups[name]
	if g == nil {
		g = &watchGroup{name: name, prefix: prefix}
		groups[name] = g
		x.groups++
		if x.hints == nil {
			x.hints = new(watchHints)
		}
		x.hints.add(name, 1)
	}
	return g
}

func (x *watchIndex) named(length int, prefix bool) map[string]*watchGroup {
	if !prefix {
		if x.keys == nil {
			x.keys = map[string]*watchGroup{}
		}
		return x.keys
	}
	i := x.ofLength(length)
	if i < 0 {
		i = len(x.prefixes)
		x.prefixes = append(x.prefixes, prefixGroups{length, map[string]*watchGroup{}})
	}
	return x.prefixes[i].groups
}

func (x *watchIndex) ofLength(length int) int {
	return slices.IndexFunc(x.prefixes, func(p prefixGroups) bool { return p.length == length })
}

func (x *watchIndex) remove(g *watchGroup) {
	x.groups--
	x.hints.add(g.name, -1)
	if !g.prefix {
		delete(x.keys, g.name)
		return
	}
	// A length that nobody has is not to be looked up with each change.
	i := x.ofLength(len(g.name))
	delete(x.prefixes[i].groups, g.name)
	if len(x.prefixes[i].groups) == 0 {
		x.prefixes = slices.Delete(x.prefixes, i, i+1)
	}
}
