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
	if !p.withdraw() || p.take() {
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

// TestLogClock: it runs by itself, takes later stamps, and never goes back.
func TestLogClock(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c logClock
		c.observe(time.Hour)
		time.Sleep(time.Minute)
		if got := c.now(); got != time.Hour+time.Minute {
			t.Errorf("after a minute: %v", got)
		}
		c.observe(time.Hour) // a stamp that is only late
		if got := c.now(); got != time.Hour+time.Minute {
			t.Errorf("after a late stamp: %v", got)
		}
		c.observe(2 * time.Hour)
		time.Sleep(time.Second)
		if got := c.now(); got != 2*time.Hour+time.Second {
			t.Errorf("after a later stamp: %v", got)
		}
	})
}
