package clustertest

import (
	"fmt"

	"github.com/anishathalye/porcupine"
)

// The kinds of operation clients do.
const (
	opGet = iota
	opPut
	opCAS // put if the key's revision is the one last seen
	opDelete
	opCreate // put if there is no such key
)

// input and output are one operation as porcupine sees it.
type input struct {
	op       int
	key      string
	value    uint64
	revision uint64 // that a CAS demands
}

type output struct {
	unknown  bool
	found    bool
	value    uint64
	revision uint64
	failed   bool // the condition did not hold
}

// register is one key: its value and the revision at which it was written; 0
// when there is no such key.
type register struct{ value, revision uint64 }

// anyRevision stands for the revision of a write whose answer was lost, until
// another answer tells it.
const anyRevision = ^uint64(0)

// model is a register with compare-and-set on revisions, one partition a key.
// Revisions belong to the whole store: within a key they only have to rise,
// and whatever an answer says of one must be what is there.
var model = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := make(map[string][]porcupine.Operation)
		for _, op := range history {
			k := op.Input.(input).key
			byKey[k] = append(byKey[k], op)
		}
		var parts [][]porcupine.Operation
		for _, ops := range byKey {
			parts = append(parts, ops)
		}
		return parts
	},
	Init: func() any { return register{} },
	Step: func(state, in, out any) (bool, any) {
		return step(state.(register), in.(input), out.(output))
	},
	DescribeOperation: func(in, out any) string { return fmt.Sprintf("%+v -> %+v", in, out) },
}

// step says whether an operation with this answer can follow a state, and what
// the state is then. An operation without an answer can follow any.
func step(s register, in input, out output) (bool, any) {
	// What an answer tells of a revision that was not known.
	learn := func(revision uint64) {
		if s.revision == anyRevision {
			s.revision = revision
		}
	}
	switch in.op {
	case opGet:
		if !out.found {
			return s.revision == 0, s
		}
		learn(out.revision)
		return s == register{out.value, out.revision}, s
	case opCreate:
		switch {
		case out.failed:
			learn(out.revision)
			return s.revision != 0 && s.revision == out.revision, s
		case out.unknown && s.revision != 0:
			return true, s
		case !out.unknown && s.revision != 0:
			return false, s
		}
		if out.unknown {
			return true, register{in.value, anyRevision}
		}
		return true, register{in.value, out.revision}
	case opCAS:
		switch {
		case out.failed:
			learn(out.revision)
			return s.revision == out.revision && s.revision != in.revision, s
		case out.unknown && s.revision != in.revision:
			// A client only demands a revision that an answer has told it, so
			// one that is still not known here is another.
			return true, s
		case !out.unknown:
			learn(in.revision)
			if s.revision != in.revision {
				return false, s
			}
		}
		fallthrough
	case opPut:
		if out.unknown {
			return true, register{in.value, anyRevision}
		}
		return s.revision == anyRevision || out.revision > s.revision, register{in.value, out.revision}
	default: // opDelete
		return out.unknown || out.found == (s.revision != 0), register{}
	}
}
