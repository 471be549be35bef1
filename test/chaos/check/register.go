package check

import (
	"math"

	"github.com/anishathalye/porcupine"

	"kvd/test/chaos/history"
)

// register is the state of one key in the model of linearizability. The revision
// of a value whose write was never answered is 0 until a read or a failed
// condition tells it.
type register struct {
	exists bool
	value  string
	rev    uint64
	floor  uint64 // the highest revision known to lie before; the next write's is above
}

// access is an operation on one key, as the model takes it.
type access struct {
	op      *history.Op
	unknown bool
	seen    history.Item // what a read has found, or a failed condition; no ModRevision: nothing
}

var registers = porcupine.Model{
	Init: func() any { return register{} },
	Step: func(state, input, _ any) (bool, any) {
		s, a := state.(register), input.(*access)
		if a.unknown {
			return true, s.maybe(a.op)
		}
		return s.step(a)
	},
	DescribeOperation: func(input, _ any) string { return describe(input.(*access).op) },
}

// step applies an answered operation; false: the answer is wrong in this state.
func (s register) step(a *access) (bool, register) {
	o := a.op
	switch {
	case o.Kind == history.Get:
		if a.seen.ModRevision == 0 {
			return !s.exists, s
		}
		if !s.exists || s.value != a.seen.Value {
			return false, s
		}
		return s.reveal(a.seen.ModRevision)
	case o.Hit && o.Kind == history.Delete:
		return s.exists && s.holds(o) && s.above(o.Revision), register{floor: max(s.floor, o.Revision)}
	case o.Hit:
		return s.holds(o) && s.above(o.Revision),
			register{exists: true, value: o.Value, rev: o.Revision, floor: max(s.floor, o.Revision)}
	case o.If == history.Always: // a delete of nothing
		return !s.exists, s
	case o.If == history.Absent:
		if !s.exists {
			return false, s
		}
	case o.If == history.Present:
		return !s.exists, s
	case s.exists && s.rev == o.OverRevision, a.seen.ModRevision == o.OverRevision:
		return false, s // the condition held, and the answer says that it did not
	case a.seen.ModRevision == 0:
		return !s.exists, s
	}
	if a.seen.ModRevision == 0 {
		return true, s // which revision stood in the way was not noted
	}
	if !s.exists {
		return false, s
	}
	return s.reveal(a.seen.ModRevision)
}

// above reports whether a write can have made a revision; 0: it was not told.
func (s register) above(revision uint64) bool { return revision == 0 || revision > s.floor }

// holds reports whether the condition can hold. A revision that is not known yet
// may be the one.
func (s register) holds(o *history.Op) bool {
	switch o.If {
	case history.Absent:
		return !s.exists
	case history.Present:
		return s.exists
	case history.IfRevision:
		return s.exists && (s.rev == o.OverRevision || s.rev == 0 && o.OverRevision > s.floor)
	}
	return true
}

// maybe applies a write that was never answered, as if it took place now; one that
// never takes place stands at the end, where it hurts nobody.
func (s register) maybe(o *history.Op) register {
	switch {
	case !s.holds(o):
		return s
	case o.Kind == history.Delete:
		return register{floor: s.floor}
	}
	return register{exists: true, value: o.Value, floor: s.floor}
}

// reveal notes the revision that an answer gave for the present value.
func (s register) reveal(revision uint64) (bool, register) {
	if s.rev != 0 {
		return revision == s.rev, s
	}
	if revision <= s.floor {
		return false, s
	}
	s.rev, s.floor = revision, revision
	return true, s
}

// accesses puts the operations of one key into the checker's form. What surely did
// not happen, and reads without an answer, say nothing and are left out; had such a
// write happened after all, a read would find a value that nobody wrote. Operations
// of one idempotency key are one request: it took place between the first start and
// the first answer.
func accesses(ops []*history.Op) []porcupine.Operation {
	var all []porcupine.Operation
	keyed := make(map[string]int)
	for _, o := range ops {
		if o.Outcome == history.Failed || o.Outcome == history.Unknown && o.Kind == history.Get || o.Code == "idempotency_mismatch" {
			continue
		}
		a := &access{op: o, unknown: o.Outcome == history.Unknown}
		if len(o.Seen) > 0 {
			a.seen = o.Seen[0]
		}
		x := porcupine.Operation{ClientId: o.Client, Input: a, Call: o.Start, Return: o.End}
		if a.unknown {
			x.Return = math.MaxInt64 // open to the end
		}
		if o.IdempotencyKey == "" {
			all = append(all, x)
			continue
		}
		name := signOp(o)
		i, ok := keyed[name]
		if !ok {
			keyed[name] = len(all)
			all = append(all, x)
			continue
		}
		first := &all[i]
		first.Call, first.Return = min(first.Call, x.Call), min(first.Return, x.Return)
		if first.Input.(*access).unknown {
			first.Input = a
		}
	}
	return all
}
