package check

import (
	"kvd/test/chaos/history"
)

// Idempotency checks that no idempotency key was applied twice, and that all who
// used one for the same request got the same answer.
func Idempotency(run *Run) Result {
	r := Result{Check: "idempotency"}
	first := make(map[string]*Applied)
	for _, a := range run.Replay.Commands {
		if a.IdempotencyKey == "" || a.Result.Replayed || a.Result.Code == "idempotency mismatch" || a.Result.Code == "too large" {
			continue
		}
		r.Judged++
		if old := first[a.IdempotencyKey]; old != nil && a.Clock-old.Clock < requestAge {
			r.failf(nil, "idempotency key %q was applied at log index %d and again at %d, %v later", a.IdempotencyKey, old.Index, a.Index, a.Clock-old.Clock)
		}
		first[a.IdempotencyKey] = a
	}
	answers := make(map[string]*history.Op)
	for _, o := range run.History.Ops {
		if o.IdempotencyKey == "" || o.Outcome != history.OK || o.Code == "idempotency_mismatch" {
			continue
		}
		r.Judged++
		s := signOp(o)
		old := answers[s]
		if old == nil {
			answers[s] = o
			continue
		}
		ids := []int64{old.ID, o.ID}
		switch {
		case changed(o) && old.Revision != o.Revision || old.Hit != o.Hit || old.Deleted != o.Deleted || old.Kind == history.Grant && old.Lease != o.Lease:
			r.failf(ids, "idempotency key %q was answered with revision %d (done: %t), and with %d (done: %t)", o.IdempotencyKey, old.Revision, old.Hit, o.Revision, o.Hit)
		case !old.Replayed && !o.Replayed && tries(old) == 1 && tries(o) == 1:
			r.failf(ids, "two answers to idempotency key %q say that they are the first", o.IdempotencyKey)
		}
	}
	return r
}

func tries(o *history.Op) int { return max(1, o.Tries) }
