package raftnode

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestProposalIsTakenOrWithdrawn: one side decides whether "not applied" can
// be promised, and the other learns of it.
func TestProposalIsTakenOrWithdrawn(t *testing.T) {
	p := &proposal[int]{done: make(chan struct{}, 1)}
	if !p.take() || p.withdraw() {
		t.Error("a command that was proposed could be withdrawn")
	}
	p.giveBack()
	if p.take() {
		t.Error("a command that came back could be proposed although its caller has gone")
	}
	p = &proposal[int]{done: make(chan struct{}, 1)}
	p.take()
	if p.giveBack(); !p.withdraw() || p.take() {
		t.Error("a command that was withdrawn could be proposed")
	}
}

func TestInFlightSet(t *testing.T) {
	var s inFlightSet[int]
	id := func(n uint64) entryID { return entryID{Member: 1, Boot: 1, Counter: n} }
	for n := range uint64(4) {
		s.add(&inFlight[int]{id: id(n), done: make(chan error, 1)})
	}
	for n := range uint64(3) {
		if !s.place(id(n), 10+n) {
			t.Errorf("entry %d is not known", n)
		}
	}
	if s.place(entryID{Member: 2}, 10) {
		t.Error("another member's entry is known")
	}
	if f := s.take(id(1)); f == nil || f.index != 11 || s.take(id(1)) != nil {
		t.Errorf("take: %+v", f)
	}
	// 11 was applied: 10 has lost its place, 12 is to come, and one that raft
	// has not placed yet may still be anywhere.
	lost := s.takeUpTo(11)
	if len(lost) != 1 || lost[0].id != id(0) {
		t.Errorf("lost: %+v", lost)
	}
	for _, f := range s.takeAll() {
		f.fail(ErrOutcomeUnknown)
		if err := <-f.done; !errors.Is(err, ErrOutcomeUnknown) {
			t.Errorf("%v", err)
		}
	}
	if len(s.takeAll()) != 0 {
		t.Error("something is left")
	}
}

// TestLogClock: it follows the newest stamp, even if that is behind what it has
// reckoned, be it that the leader's clock runs more slowly or that it is another's;
// and it runs by itself while this member stamps.
func TestLogClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		self, a, b := entryID{Member: 1, Boot: 1}, entryID{Member: 2, Boot: 7}, entryID{Member: 3, Boot: 8}
		c := logClock{owner: self}
		want := func(what string, want time.Duration) {
			t.Helper()
			if got := c.now(); got != want {
				t.Errorf("%s: %v, want %v", what, got, want)
			}
		}
		want("at the start", 0)
		time.Sleep(time.Minute) // another member begins a minute later, and leads
		c.observe(time.Second, a)
		want("with the first stamp", time.Second)
		time.Sleep(time.Minute)
		want("after a minute", time.Minute+time.Second)
		c.observe(time.Minute, a)
		want("after a stamp that is behind", time.Minute)
		c.observe(2*time.Hour, a)
		time.Sleep(time.Second)
		want("after a later stamp", 2*time.Hour+time.Second)
		c.observe(2*time.Hour-time.Second, b)
		want("after one of another leader", 2*time.Hour-time.Second)
		time.Sleep(time.Minute)
		at := c.now()
		time.Sleep(time.Second) // until its own entry is applied
		c.observe(at, self)
		want("while it leads", at+time.Second)
		c.observe(at-time.Second, b)
		want("when another leads again", at-time.Second)
	})
}
