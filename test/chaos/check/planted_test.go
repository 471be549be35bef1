package check

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"kvd/test/chaos/history"
)

func TestGoodRun(t *testing.T) {
	w := goodRun(t)
	for name, r := range w.check() {
		if r.Count > 0 {
			t.Errorf("%s: %v", name, r.Violations)
		}
		if r.Judged == 0 && name != "verdicts" {
			t.Errorf("%s judged nothing", name)
		}
	}
	w.snapshot()
	for name, r := range w.check() {
		if r.Count > 0 {
			t.Errorf("behind a snapshot: %s: %v", name, r.Violations)
		}
	}
}

// A verdict for which too few members were heard decides nothing, and breaks nothing.
func TestUndecidedVerdict(t *testing.T) {
	w := goodRun(t)
	clock := w.log.Entries[len(w.log.Entries)-1].LogClock
	w.log.Entries = append(w.log.Entries, &Entry{Index: 90, Kind: "check", StateHash: "00000000000000ff", LogClock: clock},
		&Entry{Index: 91, Kind: "verdict", Detail: json.RawMessage(`{"index":90,"hash":0,"hashes":{"1":255},"missing":[2,3]}`), LogClock: clock})
	if r := Verdicts(w.log, false); r.Judged != 1 || r.Count > 0 {
		t.Errorf("%d judged: %v", r.Judged, r.Violations)
	}
}

// A check that finds nothing proves nothing: each of these is one thing that went
// wrong, and the check that must find it, whatever others find of it too.
func TestPlanted(t *testing.T) {
	last := func(w *world) *Entry { return w.log.Entries[len(w.log.Entries)-1] }
	// again puts a command into the log once more, as a member would that applies
	// it twice.
	again := func(w *world, name string) {
		c := *w.cmd[name]
		w.command(&c)
	}
	for _, tt := range []struct {
		name, check, part string
		plant             func(w *world)
	}{
		{"acknowledged and lost at the end", "writes", "the log ends at", func(w *world) {
			w.log.Entries = w.log.Entries[:len(w.log.Entries)-1]
		}},
		{"acknowledged and lost in the middle", "writes", "which is of another command", func(w *world) {
			i := slices.IndexFunc(w.log.Entries, func(e *Entry) bool { return e.Commands[0] == w.cmd["put b"] })
			w.log.Entries = slices.Delete(w.log.Entries, i, i+1)
		}},
		{"another value than was written", "writes", "which is of another command", func(w *world) { w.cmd["put b"].Value = "x" }},
		{"two writes of one revision", "writes", "two writes were answered with revision 3", func(w *world) { w.ops["last"].Revision = 3 }},
		{"done though it surely failed", "writes", "surely did not happen", func(w *world) { w.ops["put b"].Outcome = history.Failed }},
		{"applied twice", "writes", "was applied again", func(w *world) { again(w, "put b") }},
		{"unknown and applied twice", "writes", "was applied again", func(w *world) { again(w, "unknown") }},
		{"nobody asked", "writes", "nobody asked", func(w *world) { w.command(&Command{Kind: "put", Key: "r/x", Value: "y"}) }},
		{"a delete that was none", "writes", "changed nothing, and made", func(w *world) { w.ops["delete"].Hit = false }},
		{"a write without a revision, lost", "writes", "is not in the log", func(w *world) {
			w.ops["failed"].Outcome, w.ops["failed"].Hit = history.OK, true
		}},
		{"keys that a delete did not count", "writes", "was answered with 2 deleted keys", func(w *world) { w.ops["clear"].Deleted-- }},
		{"a lease that is not in the log", "writes", "is not in the log", func(w *world) { w.ops["grant"].Lease = "00" }},
		{"a lease of another TTL", "writes", "grants to another command", func(w *world) { w.cmd["grant"].TTL *= 2 }},
		{"a lease that surely was not granted", "writes", "surely did not happen, and granted", func(w *world) { w.ops["grant"].Outcome = history.Failed }},
		{"a lease that nobody asked for", "writes", "nobody asked for lease", func(w *world) { w.command(&Command{Kind: "grant", TTL: 7 * time.Second}) }},
		{"a renewal that is not in the log", "writes", "was renewed 0 times in the log; 1 renewals were confirmed", func(w *world) {
			w.log.Entries = slices.DeleteFunc(w.log.Entries, func(e *Entry) bool { return e.Commands[0].Kind == "keepalive" })
		}},
		{"a renewal too many", "writes", "2 times in the log; 1 renewals were confirmed", func(w *world) {
			i := slices.IndexFunc(w.log.Entries, func(e *Entry) bool { return e.Commands[0].Kind == "keepalive" })
			w.log.Entries = slices.Insert(w.log.Entries, i, w.log.Entries[i])
		}},
		{"two grants of one lease", "writes", "two grants", func(w *world) {
			o := *w.ops["grant"]
			o.ID = 99
			w.h.Ops = append(w.h.Ops, &o)
		}},
		{"a transaction without one of its writes", "writes", "which is of another command", func(w *world) {
			w.cmd["txn"].Txn.Then = w.cmd["txn"].Txn.Then[:1]
		}},

		{"a read older than a write before it", "order", "shows revision 2", func(w *world) { w.ops["get nothing"].Revision = 2 }},
		{"a write that was there before it began", "order", "had seen before it began", func(w *world) {
			w.ops["get nothing"].Revision = w.ops["one"].Revision
		}},
		{"revisions against the clock", "order", "had ended at", func(w *world) {
			w.ops["first"].Start, w.ops["first"].End = w.ops["last"].End+1, w.ops["last"].End+2
			slices.SortFunc(w.h.Ops, func(a, b *history.Op) int { return int(a.Start - b.Start) })
		}},
		{"an unknown write before it was asked for", "order", "had ended at", func(w *world) {
			o := w.ops["unknown"]
			o.Start, o.End = w.ops["last"].End+1, w.ops["last"].End+2
			slices.SortFunc(w.h.Ops, func(a, b *history.Op) int { return int(a.Start - b.Start) })
		}},

		{"a value that was never there", "reads", `as "x" instead of "2"`, func(w *world) { w.ops["get"].Seen[0].Value = "x" }},
		{"another version", "reads", "with version 3 instead of 2", func(w *world) { w.ops["get"].Seen[0].Version = 3 }},
		{"a key that was deleted", "reads", `shows "r/b", which was not there`, func(w *world) {
			w.ops["get nothing"].Seen = []history.Item{{Key: "r/b", Value: "5", ModRevision: 3}}
		}},
		{"a read that finds nothing", "reads", `lacks "r/a"`, func(w *world) { w.ops["get"].Seen = nil }},
		{"a list that lacks a key", "reads", `lacks "t/c"`, func(w *world) { w.ops["list"].Seen = w.ops["list"].Seen[:2] }},
		{"a list with a key too many", "reads", `shows "t/x"`, func(w *world) {
			w.ops["list"].Seen = append(w.ops["list"].Seen, history.Item{Key: "t/x", ModRevision: 1})
		}},
		{"a list in another order", "reads", "where", func(w *world) { slices.Reverse(w.ops["list"].Seen) }},
		{"a page longer than its limit", "reads", "1 were asked for", func(w *world) { w.ops["list"].Limit = 1 }},
		{"a page that says it is all", "reads", "and no more", func(w *world) {
			w.ops["list"].Limit, w.ops["list"].Seen = 1, w.ops["list"].Seen[:1]
		}},
		{"a stale read of no past state", "reads", "instead of", func(w *world) { w.ops["stale"].Seen[0].Value = "1" }},
		{"a stale read that goes back", "reads", "the same connection had shown", func(w *world) {
			o := w.ops["stale"]
			o.Revision, o.Seen = 1, items(list(w.replay().Get("r/a", 1)))
		}},
		{"a read of the past that shows the present", "reads", "lacks", func(w *world) { w.ops["past"].Seen = nil }},
		{"a read that does not wait", "reads", "was to wait for revision 50", func(w *world) {
			w.ops["get"].Mode, w.ops["get"].AtRevision = history.MinRevision, 50
		}},
		{"a read of what the log lost", "reads", "the log ends at", func(w *world) { w.ops["lease ended"].Revision = 77 }},
		{"history that was said to be gone", "reads", "was refused as compacted", func(w *world) {
			w.ops["past"].Code, w.ops["past"].Status, w.ops["past"].Seen = "compacted", 410, nil
		}},

		{"a list that is said to be gone", "reads", "was refused as compacted", func(w *world) {
			w.ops["list"].Code, w.ops["list"].Status, w.ops["list"].Seen = "compacted", 410, nil
		}},
		{"a revision that is said to be yet to come", "reads", "as one that is yet to come", func(w *world) {
			w.ops["past"].Code, w.ops["past"].Status, w.ops["past"].Seen = "future_revision", 400, nil
		}},

		{"an idempotency key applied twice", "idempotency", "and again at", func(w *world) {
			c := *w.cmd["one"]
			c.If = history.Always
			delete(w.m.requests, "k1")
			w.command(&c)
		}},
		{"two answers to one idempotency key", "idempotency", "was answered with revision", func(w *world) { w.ops["one again"].Revision = 6 }},
		{"two firsts of one idempotency key", "idempotency", "say that they are the first", func(w *world) { w.ops["one again"].Replayed = false }},

		{"a comparison judged wrongly", "transactions", "its comparisons came to", func(w *world) {
			w.ops["txn"].Txn.If[1].Text = "x"
		}},
		{"a wrong result of a transaction", "transactions", "as result 3 one that", func(w *world) { w.ops["txn"].Txn.Results[2].Seen[0].Value = "x" }},
		{"half a transaction", "transactions", "changed 1 of the 2 keys", func(w *world) {
			w.cmd["txn"].Txn.Then = w.cmd["txn"].Txn.Then[:1]
		}},
		{"half a transaction of unknown outcome", "transactions", "of unknown outcome", func(w *world) {
			w.snapshot()
			w.log.Changes = slices.DeleteFunc(w.log.Changes, func(v *Version) bool { return v.Key == "t/c" && v.Type == "put" })
		}},
		{"a result that is missing", "transactions", "has 0 results", func(w *world) { w.ops["txn else"].Txn.Results = nil }},
		{"created what was there", "transactions", "says created", func(w *world) { w.ops["txn"].Txn.Results[0].Created = false }},

		{"a lost increment", "increments", "is at 2; 3 increments", func(w *world) {
			o := *w.ops["two"]
			o.ID, o.IdempotencyKey, o.Value, o.Revision = 99, "k3", "3", 0
			w.h.Ops = append(w.h.Ops, &o)
		}},
		{"an increment too many", "increments", "is at 2; 1 increments", func(w *world) {
			w.ops["two"].Outcome = history.Failed
		}},
		{"a counter that jumps", "increments", `goes from 1 to "3"`, func(w *world) { w.cmd["two"].Value = "3" }},

		{"a missed event", "watches", "and missed", func(w *world) {
			w.h.Watches = slices.Delete(w.h.Watches, w.index(1, 1, history.Event, 3), w.index(1, 1, history.Event, 3)+1)
		}},
		{"an event twice", "watches", "a second time", func(w *world) {
			i := w.index(1, 1, history.Event, 3)
			w.h.Watches = slices.Insert(w.h.Watches, i, w.h.Watches[i])
		}},
		{"events out of order", "watches", "missed", func(w *world) {
			i := w.index(1, 1, history.Event, 3)
			w.h.Watches[i], w.h.Watches[i+1] = w.h.Watches[i+1], w.h.Watches[i]
		}},
		{"an older event at the end", "watches", "got revision 3 after", func(w *world) {
			i := w.index(1, 1, history.Event, 3)
			w.h.Watches = slices.Insert(w.h.Watches, i+3, w.h.Watches[i])
		}},
		{"an event of another prefix", "watches", "did not ask for", func(w *world) {
			x := *w.event(1, 1, w.ops["one"].Revision)
			x.Watcher = 2
			w.h.Watches = slices.Insert(w.h.Watches, w.index(2, 1, history.Event, 7), &x)
		}},
		{"an event of a type that was not asked for", "watches", "did not ask for", func(w *world) {
			x := *w.event(1, 1, w.ops["leased"].Revision)
			x.Watcher = 3
			w.h.Watches = slices.Insert(w.h.Watches, w.index(3, 1, history.Event, 0), &x)
		}},
		{"an event that never was", "watches", "which did not change it", func(w *world) { w.event(1, 1, 3).Item.Key = "r/x" }},
		{"a wrong value in an event", "watches", "instead of", func(w *world) { w.event(1, 1, 3).Item.Value = "x" }},
		{"a wrong version in an event", "watches", "with version", func(w *world) { w.event(1, 1, 3).Item.Version = 7 }},
		{"a wrong previous item", "watches", "with a previous item", func(w *world) { w.event(1, 1, 2).PrevItem.Value = "x" }},
		{"no previous item", "watches", "with a previous item", func(w *world) { w.event(1, 1, 2).PrevItem = nil }},
		{"a delete told as an expiry", "watches", "as expire instead of delete", func(w *world) { w.event(1, 1, 4).Type = "expire" }},
		{"an id in the middle of a revision", "watches", "who resumes from it loses the rest", func(w *world) { w.event(1, 1, 7).ID = 7 }},
		{"no id at the end of a revision", "watches", "got no id", func(w *world) { w.event(1, 1, 3).ID = 0 }},
		{"another id", "watches", "got the id 9", func(w *world) { w.event(1, 1, 3).ID = 9 }},
		{"progress ahead of an event", "watches", "without", func(w *world) {
			i := w.index(1, 1, history.Event, 3)
			x := history.Watch{Watcher: 1, Stream: 1, What: history.Progress, ID: 3}
			w.h.Watches = slices.Insert(w.h.Watches, i, &x)
		}},
		{"progress that goes back", "watches", "got progress at revision 2 after", func(w *world) {
			i := w.index(1, 1, history.Event, 3)
			x := history.Watch{Watcher: 1, Stream: 1, What: history.Progress, ID: 2}
			w.h.Watches = slices.Insert(w.h.Watches, i+1, &x)
		}},
		{"an event before it was asked for", "watches", "was asked for", func(w *world) { w.event(1, 1, 3).At = 1 }},
		{"an event that is not in the log", "watches", "and the log ends", func(w *world) {
			w.log.Entries = w.log.Entries[:len(w.log.Entries)-1]
		}},
		{"a stream that ends early", "watches", "was closed as complete", func(w *world) {
			i := w.index(1, 1, history.Progress, w.replay().Last)
			w.h.Watches = slices.Delete(w.h.Watches, i-1, i+1)
		}},
		{"a resumed stream that repeats", "watches", "it began after 8", func(w *world) {
			x := *w.event(2, 1, 7)
			x.Stream = 2
			w.h.Watches = slices.Insert(w.h.Watches, w.index(2, 2, history.Event, 0), &x)
		}},
		{"a resumed stream that skips", "watches", "missed", func(w *world) {
			i := w.index(2, 2, history.Event, 0)
			w.h.Watches = slices.Delete(w.h.Watches, i, i+1)
		}},
		{"a stream from now that skips what began after it", "watches", "missed", func(w *world) {
			w.h.Watches = []*history.Watch{{Watcher: 1, Stream: 1, What: history.Open, FromNow: true, Library: true, At: 1}, w.event(1, 1, 2)}
		}},
		{"a reset without need", "watches", "is compacted", func(w *world) {
			w.h.Watches = append(w.h.Watches, &history.Watch{Watcher: 3, Stream: 1, What: history.Reset})
		}},
		{"a refusal without need", "watches", "is compacted", func(w *world) {
			w.h.Watches = append(w.h.Watches, &history.Watch{Watcher: 4, Stream: 1, What: history.Refused, Since: 3, Code: "compacted"})
		}},

		{"a refusal of what was told before", "watches", "as one that is yet to come", func(w *world) {
			w.h.Watches = append(w.h.Watches, &history.Watch{Watcher: 4, Stream: 1, What: history.Refused, Since: 3, Status: 400, Code: "future_revision"})
		}},
		{"a refusal that nothing explains", "watches", `was refused with 500 "internal"`, func(w *world) {
			w.h.Watches = append(w.h.Watches, &history.Watch{Watcher: 4, Stream: 1, What: history.Refused, Since: 3, Status: 500, Code: "internal"})
		}},

		{"a lease that ends early", "leases", "was seen to have expired", func(w *world) { w.ops["keepalive"].Start += int64(500 * time.Millisecond) }},
		{"a TTL that ends early", "leases", "was seen to have expired", func(w *world) { w.ops["mortal"].Start += int64(time.Second) }},
		{"a lease under an idempotency key that ends early", "leases", "was seen to have expired", func(w *world) {
			w.underKey("grant")
			w.ops["grant"].Start += int64(time.Second)
		}},
		{"a TTL under an idempotency key that ends early", "leases", "was seen to have expired", func(w *world) {
			w.underKey("mortal")
			w.ops["mortal"].Start += int64(time.Second)
		}},
		{"a lease that is said to be gone", "leases", "was told that the lease is gone", func(w *world) {
			w.ops["keepalive late"].End = w.ops["keepalive"].Start + int64(time.Second)
		}},
		{"a lease that is said to be gone to who hangs a key on it", "leases", "was told that the lease is gone", func(w *world) {
			o := w.ops["leased"]
			o.Status, o.Code, o.Hit = 404, "not_found", false
		}},
		{"a lease that is said to be gone to who gives it back", "leases", "was told that the lease is gone", func(w *world) {
			o := *w.ops["keepalive"]
			o.Kind, o.ID, o.Status, o.Hit, o.Code = history.Revoke, 99, 404, false, "not_found"
			w.h.Ops = append(w.h.Ops, &o)
		}},
		{"a key that stays for long", "leases", "after its deadline", func(w *world) {
			// The log goes on for ten seconds before the expiry comes.
			i := slices.IndexFunc(w.log.Entries, func(e *Entry) bool { return e.Commands[0].Kind == "expire" })
			var busy []*Entry
			for ms := range 100 {
				busy = append(busy, &Entry{Kind: "check", LogClock: w.log.Entries[i].LogClock + Duration(time.Duration(ms)*100*time.Millisecond)})
			}
			for _, e := range w.log.Entries[i:] {
				e.LogClock += Duration(10 * time.Second)
			}
			w.log.Entries = slices.Insert(w.log.Entries, i, busy...)
		}},
		{"a key that stays for ever", "leases", "is still there", func(w *world) {
			w.log.Entries = slices.DeleteFunc(w.log.Entries, func(e *Entry) bool { return e.Commands[0].Kind == "expire" })
			for ms := range 100 {
				w.log.Entries = append(w.log.Entries, &Entry{Kind: "check", LogClock: last(w).LogClock + Duration(time.Duration(ms)*2*time.Millisecond)})
			}
		}},

		{"states that differ", "hashes", "the states differ", func(w *world) { w.h.Hashes[0].Hashes["2"] = "b" }},
		{"states that differ on the way", "hashes", "during the run", func(w *world) {
			w.h.Hashes = append(w.h.Hashes, &history.Hashes{Hashes: map[string]string{"1": "a", "2": "b"}})
		}},
		{"a member that nobody asked", "hashes", "member 3 is not known", func(w *world) { w.h.Hashes[0].Members = []uint64{1, 2, 3} }},
		{"a member without an answer", "hashes", "are not known", func(w *world) { w.h.Hashes[0].Missing = []uint64{2} }},
		{"no comparison", "hashes", "nobody compared", func(w *world) { w.h.Hashes = nil }},
		{"a member that takes over another's state", "verdicts", "takes over another's state", func(w *world) {
			w.log.Entries = append(w.log.Entries, &Entry{Index: 90, Kind: "reseed", Detail: json.RawMessage(`{"member":2}`), LogClock: last(w).LogClock})
		}},
		{"members that agree on another state", "verdicts", "the log leads to", func(w *world) {
			w.log.Entries = append(w.log.Entries, &Entry{Index: 90, Kind: "check", StateHash: "00000000000000ff", LogClock: last(w).LogClock},
				&Entry{Index: 91, Kind: "verdict", Detail: json.RawMessage(`{"index":90,"hash":254,"hashes":{"1":254}}`), LogClock: last(w).LogClock})
		}},
		{"a member that was heard and differed", "verdicts", "member 1 had the state", func(w *world) {
			w.log.Entries = append(w.log.Entries, &Entry{Index: 90, Kind: "check", StateHash: "00000000000000ff", LogClock: last(w).LogClock},
				&Entry{Index: 91, Kind: "verdict", Detail: json.RawMessage(`{"index":90,"hash":0,"hashes":{"1":3},"missing":[2,3]}`), LogClock: last(w).LogClock})
		}},
		{"a member that differed", "verdicts", "member 2 had the state", func(w *world) {
			w.log.Entries = append(w.log.Entries, &Entry{Index: 90, Kind: "check", StateHash: "00000000000000ff", LogClock: last(w).LogClock},
				&Entry{Index: 91, Kind: "verdict", Detail: json.RawMessage(`{"index":90,"hash":255,"hashes":{"1":255,"2":3}}`), LogClock: last(w).LogClock})
		}},

		{"a command applied wrongly", "replay", "should have come to", func(w *world) { w.cmd["refused"].Result.Code = "replaced" }},
		{"a revision that was counted wrongly", "replay", "should have come to", func(w *world) { w.cmd["delete"].Result.Revision++ }},
		{"an expiry before its time", "replay", "should have come to", func(w *world) {
			c := w.command(&Command{Kind: "expire"})
			c.Result.Deleted = 1
		}},
		{"an idempotency key that was not remembered", "replay", "should have come to", func(w *world) { w.cmd["one again"].Result.Replayed = false }},
		{"a replay that tells of another lease", "replay", "should have come to", func(w *world) {
			w.cmd["grant"].IdempotencyKey = "g"
			c := *w.cmd["grant"]
			w.m.requests["g"] = &request{key: "g", fingerprint: c.Fingerprint, clock: w.m.clock, result: c.Result}
			w.command(&c).Result.Lease = "00"
		}},
		{"a clock that goes back", "replay", "goes back", func(w *world) { w.log.Entries[5].LogClock = 0 }},
		{"a history with a gap", "replay", "goes from revision", func(w *world) {
			w.snapshot()
			w.log.Changes = slices.DeleteFunc(w.log.Changes, func(v *Version) bool { return v.Mod == 3 })
		}},

		{"a value of two writes", "linearizability", "not linearizable", func(w *world) { w.ops["get"].Seen[0].Value = "1" }},

		{"behind a snapshot: done though it surely failed", "writes", "surely did not happen", func(w *world) {
			w.ops["put b"].Outcome = history.Failed
			w.snapshot()
		}},
		{"behind a snapshot: a delete that surely failed", "writes", "surely did not happen", func(w *world) {
			w.ops["delete"].Outcome = history.Failed
			w.snapshot()
		}},
		{"behind a snapshot: applied twice", "writes", "was applied again", func(w *world) {
			again(w, "put b")
			w.snapshot()
		}},
		{"behind a snapshot: nobody asked", "writes", "nobody asked", func(w *world) {
			w.command(&Command{Kind: "delete_range", Key: "r/", End: "r0", HasEnd: true})
			w.snapshot()
		}},
		{"behind a snapshot: another value", "writes", "which made 1 changes", func(w *world) {
			w.cmd["put b"].Value = "x"
			w.snapshot()
		}},
		{"behind a snapshot: a condition that did not hold", "writes", "its condition did not hold", func(w *world) {
			w.ops["swap"].OverRevision = 0
			w.snapshot()
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := goodRun(t)
			tt.plant(w)
			wantFound(t, w.check(), tt.check, tt.part)
		})
	}
}
