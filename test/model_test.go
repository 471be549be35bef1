package test

import (
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// register is the state of one key in the model. The revision of a value whose
// write was never answered is 0 until a read or a failed condition tells it.
type register struct {
	exists bool
	value  string
	rev    uint64
	floor  uint64 // the highest revision known to lie before; the next write's is above
}

var model = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		s, o := state.(register), input.(*op)
		if o.outcome == unknown {
			return true, s.stepUnknown(o)
		}
		return s.step(o)
	},
	DescribeOperation: func(input, _ any) string { return input.(*op).String() },
}

// step applies an answered operation; false means that the answer is wrong in
// this state.
func (s register) step(o *op) (bool, register) {
	switch o.kind {
	case opGet:
		if !o.hit {
			return !s.exists, s
		}
		if !s.exists || s.value != o.got {
			return false, s
		}
		return s.reveal(o.rev)
	case opDelete:
		if !o.hit {
			return !s.exists, s
		}
		return s.exists && o.rev > s.floor, register{floor: o.rev}
	}
	if !o.hit { // a condition that failed
		if !s.exists {
			return o.kind == opSwap && o.rev == 0, s
		}
		if o.kind == opSwap && (s.value == o.overValue || o.rev == o.overRev) {
			return false, s
		}
		return s.reveal(o.rev)
	}
	right := o.kind == opPut || o.kind == opCreate && !s.exists || o.kind == opSwap && s.matches(o)
	return right && o.rev > s.floor, register{exists: true, value: o.value, rev: o.rev, floor: o.rev}
}

// stepUnknown applies an operation that was never answered, as if it took place
// now; one that never takes place stands at the end, where it hurts nobody.
func (s register) stepUnknown(o *op) register {
	switch {
	case o.kind == opDelete:
		return register{floor: s.floor}
	case o.kind == opPut, o.kind == opCreate && !s.exists, o.kind == opSwap && s.matches(o):
		return register{exists: true, value: o.value, floor: s.floor}
	}
	return s
}

// matches reports whether o's condition holds. No two writes write the same
// value, so a value tells its revision.
func (s register) matches(o *op) bool {
	return s.exists && s.value == o.overValue && (s.rev == 0 || s.rev == o.overRev)
}

// reveal notes the revision that an answer gave for the present value.
func (s register) reveal(rev uint64) (bool, register) {
	if s.rev != 0 {
		return rev == s.rev, s
	}
	if rev <= s.floor {
		return false, s
	}
	s.rev, s.floor = rev, rev
	return true, s
}

// A checker that finds nothing proves nothing: it must refuse these.
func TestModelRefuses(t *testing.T) {
	at := func(call, ret int, o op) *op {
		o.key, o.call, o.ret = "k", time.Duration(call), time.Duration(ret)
		if o.outcome == "" {
			o.outcome = ok
		}
		return &o
	}
	put := func(call, ret int, value string, rev uint64) *op {
		return at(call, ret, op{kind: opPut, value: value, hit: true, rev: rev})
	}
	get := func(call, ret int, got string, rev uint64) *op {
		return at(call, ret, op{kind: opGet, got: got, hit: rev != 0, rev: rev})
	}
	for _, tt := range []struct {
		name string
		want porcupine.CheckResult
		ops  []*op
	}{
		{"read of the last write", porcupine.Ok, []*op{put(1, 2, "a", 1), put(3, 4, "b", 2), get(5, 6, "b", 2)}},
		{"stale read", porcupine.Illegal, []*op{put(1, 2, "a", 1), put(3, 4, "b", 2), get(5, 6, "a", 1)}},
		{"lost write", porcupine.Illegal, []*op{put(1, 2, "a", 1), get(5, 6, "", 0)}},
		{"either order while both run", porcupine.Ok, []*op{put(1, 9, "a", 2), put(1, 9, "b", 1), get(10, 11, "a", 2)}},
		{"a revision that falls", porcupine.Illegal, []*op{put(1, 2, "a", 5), put(3, 4, "b", 4)}},
		{"a value nobody wrote", porcupine.Illegal, []*op{put(1, 2, "a", 1), get(3, 4, "z", 2)}},
		{"an unknown write, seen late", porcupine.Ok, []*op{
			put(1, 2, "a", 1), at(3, 4, op{kind: opPut, value: "b", outcome: unknown}), get(5, 6, "a", 1), get(7, 8, "b", 2)}},
		{"an unknown write, seen and gone", porcupine.Illegal, []*op{
			put(1, 2, "a", 1), at(3, 4, op{kind: opPut, value: "b", outcome: unknown}), get(5, 6, "b", 2), get(7, 8, "a", 1)}},
		{"a swap over a replaced value", porcupine.Illegal, []*op{
			put(1, 2, "a", 1), put(3, 4, "b", 2), at(5, 6, op{kind: opSwap, value: "c", overRev: 1, overValue: "a", hit: true, rev: 3})}},
		{"a swap refused for no reason", porcupine.Illegal, []*op{
			put(1, 2, "a", 1), at(5, 6, op{kind: opSwap, value: "c", overRev: 1, overValue: "a", rev: 1})}},
		{"two creates", porcupine.Illegal, []*op{
			at(1, 2, op{kind: opCreate, value: "a", hit: true, rev: 1}), at(3, 4, op{kind: opCreate, value: "b", hit: true, rev: 2})}},
		{"a delete of nothing that says it deleted", porcupine.Illegal, []*op{at(1, 2, op{kind: opDelete, hit: true, rev: 1})}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := porcupine.CheckOperationsTimeout(model, events(tt.ops), checkLimit); got != tt.want {
				t.Errorf("got %v, want %v", got, tt.want)
			}
		})
	}
}
