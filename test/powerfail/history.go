package main

import (
	"fmt"
	"strings"
	"time"
)

// state is what a key holds: the value of the op-th write of this key. Op 0 is no key.
type state struct {
	op       int
	size     int
	revision uint64
}

// value is what write op of a key puts there; no other write puts the same.
func value(key string, op, size int) []byte {
	head := fmt.Sprintf("%s#%d;", key, op)
	return []byte(strings.Repeat(head, size/len(head)+1)[:max(size, len(head))])
}

// step is one write of a key since the last power failure.
type step struct {
	want  state
	acked time.Time // when success was answered; zero: nobody knows whether it happened
}

// record is what is known of one key. It belongs to one writer at a time.
type record struct {
	key     string
	ops     int   // writes ever tried
	settled state // as it was seen after the last power failure
	steps   []step
}

// next begins a write: its number.
func (r *record) next() int {
	r.ops++
	return r.ops
}

// note remembers a write that may be there: for certain if it was acknowledged.
func (r *record) note(want state, acked time.Time) {
	r.steps = append(r.steps, step{want, acked})
}

// uncertain reports whether nobody knows what the key holds. Nothing more is
// written to it before the next power failure.
func (r *record) uncertain() bool {
	return len(r.steps) > 0 && r.steps[len(r.steps)-1].acked.IsZero()
}

// found is a key as a member shows it after a power failure.
type found struct {
	value    []byte
	revision uint64 // 0: there is no such key
}

// is reports whether f is what a write has left, or the lack of a key.
func (f found) is(key string, s step) bool {
	if s.want.op == 0 || f.revision == 0 {
		return s.want.op == 0 && f.revision == 0
	}
	if string(f.value) != string(value(key, s.want.op, s.want.size)) {
		return false
	}
	return s.acked.IsZero() || f.revision == s.want.revision
}

// verdict is what became of one key.
type verdict struct {
	compared int    // writes acknowledged before the cut
	lost     int    // of these, how many are not there
	fault    string // what is wrong; "": nothing
	now      state  // what the key holds
}

// judge compares what is found with what was acknowledged before the cut. The last
// write acknowledged before it must be there, or a later one.
func (r *record) judge(f found, cut time.Time) verdict {
	all := append([]step{{r.settled, cut.Add(-1)}}, r.steps...) // what had survived the last time must survive again
	certain := 0
	v := verdict{}
	for i, s := range all {
		if !s.acked.IsZero() && s.acked.Before(cut) {
			certain = i
			v.compared++
		}
	}
	v.compared-- // the settled one
	for i := len(all) - 1; i >= 0; i-- {
		s := all[i]
		// Of a write that nobody answered the revision is not known, but it is no
		// older than what was known before.
		if !f.is(r.key, s) || s.acked.IsZero() && f.revision != 0 && f.revision <= all[certain].want.revision {
			continue
		}
		v.now = state{s.want.op, s.want.size, f.revision}
		for _, later := range all[i+1:] {
			if i < certain && !later.acked.IsZero() && later.acked.Before(cut) {
				v.lost++
			}
		}
		if v.lost > 0 {
			v.fault = fmt.Sprintf("%s is as write %d left it; %d acknowledged after that are lost, the last as write %d at revision %d",
				r.key, s.want.op, v.lost, all[certain].want.op, all[certain].want.revision)
		}
		return v
	}
	// Neither what was acknowledged nor anything that came before or after.
	v.lost = max(1, v.compared)
	v.fault = fmt.Sprintf("%s holds %.40q at revision %d, which no write since revision %d has put there; acknowledged was write %d at revision %d",
		r.key, f.value, f.revision, r.settled.revision, all[certain].want.op, all[certain].want.revision)
	return v
}

// settle begins the time after a power failure.
func (r *record) settle(now state) {
	r.settled, r.steps = now, nil
}
