package raftnode

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestQuorumJudgement: what a leader makes of who has answered of late.
func TestQuorumJudgement(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bareLoop(t)
		self := testID.Member
		a, b, c := self+1, self+2, self+3
		m := &membership{Members: map[uint64]Member{self: {ID: self}, a: {ID: a}, b: {ID: b}, c: {ID: c, Learner: true}}}
		less := &membership{Members: map[uint64]Member{self: {ID: self}, a: {ID: a}}}
		other := m.enterJoint(c, b).leaveJoint()
		joint := m.enterJoint(c, b)
		answers := func(ids ...uint64) {
			clear(l.contact)
			for _, id := range ids {
				l.contact[id] = time.Now()
			}
		}
		timeout := l.n.electionTimeout()

		// A leader of a moment ago has not heard all.
		l.ledSince = time.Now()
		answers(b)
		if err := l.checkQuorum(m, less, 0, time.Now()); !errors.Is(err, errUnsettled) {
			t.Errorf("just elected: %v", err)
		}
		answers(a, b)
		if err := l.checkQuorum(m, less, 0, time.Now()); err != nil {
			t.Errorf("just elected, and all answer: %v", err)
		}
		l.ledSince = time.Now().Add(-timeout)
		for _, tt := range []struct {
			name     string
			after    *membership
			newcomer uint64
			answers  []uint64
			want     error
		}{
			{"all answer", less, 0, []uint64{a, b}, nil},
			{"the dead one goes", less, 0, []uint64{a}, nil},
			{"a living one goes and leaves a dead one", less, 0, []uint64{b}, ErrWouldLoseQuorum},
			{"no majority decides", less, 0, nil, ErrWouldLoseQuorum},
			{"the dead one is replaced", other, c, []uint64{a}, nil},
			{"a living one is replaced, beside a dead one", other, c, []uint64{b}, nil},
			{"replaced by one that does not answer", other, 0, []uint64{b}, ErrWouldLoseQuorum},
			{"the voters stay", m, 0, nil, nil},
		} {
			answers(tt.answers...)
			if err := l.checkQuorum(m, tt.after, tt.newcomer, time.Now()); !errors.Is(err, tt.want) {
				t.Errorf("%s: %v, want %v", tt.name, err, tt.want)
			}
		}

		// In a joint configuration both halves count.
		for _, tt := range []struct {
			m       *membership
			answers []uint64
			want    bool
		}{
			{m, []uint64{b}, true},
			{m, []uint64{c}, false},
			{joint, []uint64{a}, true},
			{joint, []uint64{b}, false}, // self alone of the new ones
			{joint, []uint64{c}, false}, // self alone of the old ones
			{joint, []uint64{b, c}, true},
		} {
			answers(tt.answers...)
			l.n.members.Store(tt.m)
			if got := l.quorumContact(time.Now()); got != tt.want {
				t.Errorf("voters %v, outgoing %v, %v answer: contact %v", tt.m.voters(), tt.m.Outgoing, tt.answers, got)
			}
		}
		answers(a, b, c)
		time.Sleep(timeout)
		if got := l.answering([]uint64{self, a, b, c}, time.Now()); got != 1 {
			t.Errorf("%d answer after an election timeout of silence, want only this one", got)
		}
	})
}

// TestWeakens: a learner that does not answer would only add to the quorum.
func TestWeakens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := bareLoop(t)
		self := testID.Member
		m := &membership{Members: map[uint64]Member{self: {ID: self}}}
		for id := self + 1; id < self+3; id++ {
			m.Members[id] = Member{ID: id}
			l.contact[id] = time.Now()
		}
		silent, living := self+3, self+4
		l.contact[living] = time.Now()
		if !l.weakens(m, silent, time.Now()) || l.weakens(m, living, time.Now()) {
			t.Error("one voter more that answers does no harm, one that does not answer does")
		}
	})
}
