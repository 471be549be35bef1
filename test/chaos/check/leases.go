package check

import (
	"cmp"
	"slices"
	"time"

	"kvd/test/chaos/history"
)

// Leases checks that no key ends before its TTL, and that none stays long after.
//
// Early is judged by the clients' clock: what was refreshed by a request that began
// at s cannot be seen to end before s plus its TTL, whoever led in between. Late is
// judged by the log's clock, which goes on while there is no leader: from the
// deadline to the entry that ended the key, without the gaps between entries in
// which nobody led.
func Leases(run *Run) Result {
	r := Result{Check: "leases"}
	refreshed := run.refreshes()
	seen := run.firstSeen()
	for _, e := range run.Replay.Ends {
		if !run.mine(e.Version.Key) {
			continue
		}
		r.Judged++
		r.late(run, e)
		if e.Gone == nil {
			continue
		}
		at, ok := seen(e.Gone.Revision)
		if !ok {
			r.Skipped++
			continue
		}
		for _, x := range refreshed[lifeOf(e.Version)] {
			if at < x.begun+int64(x.ttl) {
				r.fail(Violation{
					What: "key " + quote(e.Version.Key) + " was seen to have expired " + time.Duration(at-x.begun).String() +
						" after " + describe(x.op) + " began, which gave it " + x.ttl.String(),
					Ops: []int64{x.op.ID}, Revision: e.Gone.Revision,
				})
				break
			}
		}
	}
	r.forgotten(run, refreshed)
	return r
}

// life is what is refreshed: a lease, or a version of a key with a TTL.
type life struct {
	lease string
	mod   uint64
}

func lifeOf(v *Version) life {
	if v.Lease != "" {
		return life{lease: v.Lease}
	}
	return life{mod: v.Mod}
}

type refresh struct {
	begun int64
	ttl   time.Duration
	op    *history.Op
}

// refreshes are the acknowledged ones, and those that the log proves. What has an
// idempotency key was applied once, which is not before anybody asked for it.
func (run *Run) refreshes() map[life][]refresh {
	c := run.claim()
	all := make(map[life][]refresh)
	ttls := make(map[string]time.Duration)
	asked := run.firstAsked()
	for id, o := range c.lease {
		ttls[id] = o.TTL
		all[life{lease: id}] = append(all[life{lease: id}], refresh{asked(o), o.TTL, o})
	}
	for _, o := range run.History.Ops {
		switch {
		case o.Kind == history.KeepAlive && o.Outcome == history.OK && o.Hit:
			if ttl := ttls[o.Lease]; ttl > 0 {
				all[life{lease: o.Lease}] = append(all[life{lease: o.Lease}], refresh{o.Start, ttl, o})
			}
		case o.Kind == history.Put && o.TTL > 0:
			if revision, ok := c.revision[o]; ok {
				all[life{mod: revision}] = append(all[life{mod: revision}], refresh{asked(o), o.TTL, o})
			}
		}
	}
	return all
}

// firstAsked returns a function that tells when a write was begun, by the first who
// did so under its idempotency key.
func (run *Run) firstAsked() func(o *history.Op) int64 {
	first := make(map[string]int64)
	for _, o := range run.History.Ops {
		if at, ok := first[o.IdempotencyKey]; o.IdempotencyKey != "" && (!ok || o.Start < at) {
			first[o.IdempotencyKey] = o.Start
		}
	}
	return func(o *history.Op) int64 {
		if at, ok := first[o.IdempotencyKey]; ok {
			return at
		}
		return o.Start
	}
}

// firstSeen returns a function that tells when the first client or watcher knew
// that a revision was there.
func (run *Run) firstSeen() func(revision uint64) (int64, bool) {
	all := run.sights()
	slices.SortFunc(all, func(a, b sight) int { return cmp.Compare(a.revision, b.revision) })
	for i := len(all) - 2; i >= 0; i-- {
		all[i].at = min(all[i].at, all[i+1].at) // who has seen a later one has seen this
	}
	return func(revision uint64) (int64, bool) {
		i, _ := slices.BinarySearchFunc(all, revision, func(s sight, r uint64) int { return cmp.Compare(s.revision, r) })
		if i == len(all) {
			return 0, false
		}
		return all[i].at, true
	}
}

// late checks that a key was ended soon.
func (r *Result) late(run *Run, e *End) {
	late := e.At - e.Deadline
	if late <= run.Options.LeaseBound {
		return
	}
	idle := time.Duration(0)
	clocks := run.Replay.Clocks
	i, _ := slices.BinarySearch(clocks, e.Deadline)
	for i = max(i, 1); i < len(clocks) && clocks[i-1] < e.At; i++ {
		if gap := clocks[i] - max(clocks[i-1], e.Deadline); gap > run.Options.Idle {
			idle += min(gap, e.At-max(clocks[i-1], e.Deadline))
		}
	}
	if late-idle <= run.Options.LeaseBound {
		return
	}
	what := "ended"
	v := Violation{Revision: e.Version.Mod}
	if e.Gone == nil {
		what = "is still there"
	} else {
		v.Revision = e.Gone.Revision
	}
	v.What = "key " + quote(e.Version.Key) + " " + what + " " + late.String() + " after its deadline, " + idle.String() + " of it without a leader"
	r.fail(v)
}

// forgotten checks that nobody is told that a lease is gone while it must be there.
func (r *Result) forgotten(run *Run, refreshed map[life][]refresh) {
	revoked := make(map[string][]*history.Op)
	for _, o := range run.History.Ops {
		if o.Kind == history.Revoke && o.Outcome != history.Failed {
			revoked[o.Lease] = append(revoked[o.Lease], o)
		}
	}
	for _, o := range run.History.Ops {
		asks := o.Kind == history.KeepAlive || o.Kind == history.Revoke || o.Kind == history.Put && o.Lease != ""
		if !asks || o.Outcome != history.OK || o.Status != 404 {
			continue
		}
		r.Judged++
		if slices.ContainsFunc(revoked[o.Lease], func(x *history.Op) bool { return x != o && x.Start < o.End }) {
			continue
		}
		for _, x := range refreshed[life{lease: o.Lease}] {
			// One that began after this answer may have been refused to no avail; but
			// then it was not acknowledged.
			if o.End < x.begun+int64(x.ttl) {
				r.failf([]int64{o.ID, x.op.ID}, "%s was told that the lease is gone %v after %s began, which gave it %v",
					describe(o), time.Duration(o.End-x.begun), describe(x.op), x.ttl)
				break
			}
		}
	}
}
