package clustertest

import (
	"encoding/binary"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// checked is the state machine of a member, watched: equal index means equal
// state, and nothing is applied that a majority of disks could forget.
type checked struct {
	*kvstore.Machine
	m    *Member
	node *raftnode.Node[kvstore.Result]
	gate *gate

	// owned by the goroutine that applies
	voters []uint64 // as applied when this life last looked

	mu      sync.Mutex // held while the state is changed behind its back, and while it is scanned
	flips   int        // bits changed so far
	altered bool       // it was, and has not been replaced since
	forgets bool       // it will be: of the next entry with commands, all are left out
}

// Flip changes one bit of a key's value in the memory of a member that runs.
func (m *Member) Flip(key string) bool {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.Get([]byte(key))
	if !ok || len(it.Value) == 0 {
		return false
	}
	flipBit(&it.Value[0], s.flips%8) // not the same twice: that would undo it
	s.flips++
	s.altered = true
	s.Revision() // whoever reads the state from now on has waited for this
	return true
}

// Unflip undoes the last Flip of a key: the fault was of the moment.
func (m *Member) Unflip(key string) {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	it, ok := s.Get([]byte(key))
	if !ok || s.flips == 0 || !s.altered {
		panic(fmt.Sprintf("member %d: no bit of %q is flipped", m.ID, key))
	}
	s.flips--
	flipBit(&it.Value[0], s.flips%8)
	s.altered = false
	s.Revision() // as in Flip
}

// flipBit is what a faulty memory does: it waits for nobody, and the race
// detector is not to see it.
//
//go:norace
//go:noinline
func flipBit(b *byte, bit int) { *b ^= 1 << bit }

// Forget makes a member that runs leave out the next entry that has commands, as
// a fault in the code that applies them would.
func (m *Member) Forget() {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.forgets = true
}

// Altered says that the member's state was changed by Flip or Forget.
func (m *Member) Altered() bool {
	m.mu.Lock()
	s := m.checked
	m.mu.Unlock()
	return s.wasAltered()
}

func (s *checked) Digest() func(func() error) (uint64, error) {
	scan := s.Machine.Digest()
	return func(pause func() error) (uint64, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		return scan(pause)
	}
}

func (s *checked) Restore(r io.Reader) error {
	before := s.Revision()
	err := s.Machine.Restore(r)
	if now := s.Revision(); err == nil && now < before && !s.wasAltered() && s.node.Diverged() == nil {
		s.m.c.violated(fmt.Sprintf("member %d went back from revision %d to %d with a snapshot", s.m.ID, before, now))
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.altered = s.altered && err != nil
	return err
}

func (s *checked) wasAltered() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.altered
}

// apply applies an entry, or what is left of it, and tells whether the state that
// it leads to can be compared with others.
func (s *checked) apply(index uint64, clock time.Duration, cmds [][]byte) ([]kvstore.Result, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.forgets && len(cmds) > 0 {
		s.forgets, s.altered = false, true
		_, err := s.Machine.Apply(index, clock, nil)
		return slices.Repeat([]kvstore.Result{{Code: kvstore.NotFound}}, len(cmds)), false, err
	}
	res, err := s.Machine.Apply(index, clock, cmds)
	return res, !s.altered, err
}

// entry is what is known of an index of the log: which commands it holds, and what
// the state is after them.
type entry struct{ commands, state uint64 }

var commandsSeed = maphash.MakeSeed()

func (s *checked) Apply(index uint64, clock time.Duration, cmds [][]byte) ([]kvstore.Result, error) {
	s.gate.pass()
	time.Sleep(time.Duration(s.m.applyDelay.Load()))
	var h maphash.Hash
	h.SetSeed(commandsSeed)
	_ = binary.Write(&h, binary.LittleEndian, int64(clock))
	for _, cmd := range cmds {
		_ = binary.Write(&h, binary.LittleEndian, int64(len(cmd)))
		h.Write(cmd)
	}
	e := entry{commands: h.Sum64()}
	before := s.Revision()
	res, equal, err := s.apply(index, clock, cmds)
	if t := s.m.c.truth; t != nil && err == nil {
		t.record(s.Machine, before, clock) // a bit that has flipped elsewhere changes nothing of this
	}
	if equal && err == nil {
		_, e.state = s.Hash()
		s.check(index, clock, before, e)
	}
	return res, err
}

// check compares an entry that was applied, and the state after it, with what
// others have made of it.
func (s *checked) check(index uint64, clock time.Duration, before uint64, e entry) {
	c := s.m.c
	if now := s.Revision(); now < before {
		c.violated(fmt.Sprintf("member %d went back from revision %d to %d at index %d", s.m.ID, before, now, index))
	}
	// Or else leases that were granted by then end late when it leads.
	if reckons := s.node.Clock(); reckons < clock {
		c.violated(fmt.Sprintf("member %d reckons that the log's clock is %v when it applies index %d, which is stamped %v", s.m.ID, reckons, index, clock))
	}
	c.trace.add(traceApply, s.m.ID, index, e.state)
	durable := s.durable(index)
	c.mu.Lock()
	defer c.mu.Unlock()
	if was, ok := c.applied[index]; ok && was != e {
		what := "differs from another"
		if was.commands != e.commands {
			what = "applies other commands than another"
		}
		c.broken = append(c.broken, fmt.Sprintf("member %d %s at index %d", s.m.ID, what, index))
	}
	c.applied[index] = e
	if durable != "" {
		c.broken = append(c.broken, durable)
	}
}

// durable says what is wrong when an entry is applied that no majority has on its
// disks. The leader that committed it may have gone by the voters before the last
// change.
func (s *checked) durable(index uint64) string {
	var voters []uint64
	for _, mb := range s.node.Members() {
		if !mb.Learner {
			voters = append(voters, mb.ID)
		}
	}
	if !slices.Equal(voters, s.voters) {
		s.m.c.succeeded(s.voters, voters)
		s.voters = voters
	}
	term, known := s.m.Disk.term(index)
	if !known {
		return "" // a snapshot that others have acknowledged covers it
	}
	var holders []uint64
	for _, m := range s.m.c.Members() {
		if m.Disk.holdsEntry(index, term) {
			holders = append(holders, m.ID)
		}
	}
	if len(voters) == 0 || enough(voters, voters, holders) {
		return ""
	}
	before := s.m.c.before(voters)
	if slices.ContainsFunc(before, func(before []uint64) bool { return enough(before, voters, holders) }) {
		return ""
	}
	return fmt.Sprintf("member %d applied index %d of term %d, which is durable on %v: no majority of %v, nor of any set since one of %v", s.m.ID, index, term, holders, voters, before)
}

// enough reports whether holders are a majority of the voters at some time, from one set
// of them to another. A member that applies several changes at once has not seen the sets
// between: whoever is in both was a voter all the time, others may have been.
func enough(before, voters, holders []uint64) bool {
	always := common(before, voters)
	held := len(common(always, holders))
	perhaps := slices.Concat(without(before, always), without(voters, always))
	more := len(common(perhaps, holders))
	return 2*(held+more) > len(always)+more
}

// common are those of a that are in b.
func common(a, b []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(a), func(id uint64) bool { return !slices.Contains(b, id) })
}

// without are those of a that are not in b.
func without(a, b []uint64) []uint64 {
	return slices.DeleteFunc(slices.Clone(a), func(id uint64) bool { return slices.Contains(b, id) })
}

// succeeded notes that one set of voters has followed another: a life that begins
// after the change has not seen it.
func (c *Cluster) succeeded(before, voters []uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	key := fmt.Sprint(voters)
	if len(before) > 0 && !slices.ContainsFunc(c.predecessors[key], func(ids []uint64) bool { return slices.Equal(ids, before) }) {
		c.predecessors[key] = append(c.predecessors[key], before)
	}
}

// before are the sets of voters that were followed by these.
func (c *Cluster) before(voters []uint64) [][]uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.predecessors[fmt.Sprint(voters)]
}
