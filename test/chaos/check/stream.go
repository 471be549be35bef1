package check

import (
	"fmt"
	"slices"
	"strings"

	"kvd/test/chaos/history"
)

// event is one that a stream should have.
type event struct {
	v    *Version
	last bool // no other that the stream gets has the same revision
}

// stream follows one stream against the replay.
type stream struct {
	run  *Run
	r    *Result
	open *history.Watch

	settled bool     // where it begins is known
	base    uint64   // where it begins: events above
	blind   bool     // it begins before the log that is known
	broken  bool     // it has failed: what follows would only repeat that
	came    *Version // the last event that came; nil: none

	at   uint64  // the revision of which want is what is still to come
	want []event // the stream should get them next
}

func newStream(run *Run, r *Result, open *history.Watch) *stream {
	s := &stream{run: run, r: r, open: open}
	if !open.FromNow {
		s.begin(open.Since)
	}
	return s
}

// begin settles where the stream begins.
func (s *stream) begin(base uint64) {
	s.settled, s.base, s.at = true, base, base
	s.blind = base < s.run.Replay.From
}

// peek returns the next event that the stream should get, if its revision is not
// above a limit.
func (s *stream) peek(limit uint64) *event {
	for limit = min(limit, s.run.Replay.Last); len(s.want) == 0 && s.at < limit; {
		s.at++
		for _, v := range s.run.Replay.Rev(s.at).Changes {
			if s.asked(v) {
				s.want = append(s.want, event{v: v})
			}
		}
		if n := len(s.want); n > 0 {
			s.want[n-1].last = true
		}
	}
	if len(s.want) == 0 || s.want[0].v.Mod > limit {
		return nil
	}
	return &s.want[0]
}

// asked reports whether the stream asks for a change.
func (s *stream) asked(v *Version) bool {
	o := s.open
	if len(o.Types) > 0 && !slices.Contains(o.Types, v.Type) {
		return false
	}
	return len(o.Keys)+len(o.Prefixes) == 0 || slices.Contains(o.Keys, v.Key) ||
		slices.ContainsFunc(o.Prefixes, func(p string) bool { return strings.HasPrefix(v.Key, p) })
}

func (s *stream) failf(revision uint64, format string, args ...any) {
	s.broken = true
	s.r.failWatch(s.open.Watcher, revision, fmt.Sprintf("(stream %d of %s) ", s.open.Stream, s.open.Member)+format, args...)
}

func (s *stream) take(w *history.Watch) {
	if s.broken {
		return
	}
	if w.Stream != s.open.Stream {
		s.failf(0, "has a record of stream %d", w.Stream)
		return
	}
	switch w.What {
	case history.Event:
		s.event(w)
	case history.Progress:
		s.progress(w)
	case history.Reset, history.Refused:
		switch {
		case w.Code == "compacted" || w.What == history.Reset:
			s.compacted(w)
		case w.Code == "future_revision":
			s.failf(w.Since, "was refused revision %d as one that is yet to come, and had been told of it", w.Since)
		case w.Code != "no_leader" && w.Code != "stopping" && w.Code != "overloaded" && w.Code != "timeout":
			s.failf(0, "was refused with %d %q", w.Status, w.Code)
		}
	case history.Closed:
		if w.Code != "complete" || s.blind {
			return
		}
		if !s.settled {
			s.begin(s.settle(s.run.Replay.Last))
		}
		if e := s.peek(s.run.Replay.Last); e != nil {
			s.failf(e.v.Mod, "was closed as complete, and misses %q of revision %d", e.v.Key, e.v.Mod)
		}
	}
}

func (s *stream) event(w *history.Watch) {
	if w.Item == nil {
		s.failf(0, "got an event without a key")
		return
	}
	revision := w.Item.ModRevision
	if !s.settled {
		s.begin(s.settle(revision - 1))
	}
	switch {
	case revision > s.run.Replay.Last:
		s.failf(revision, "got revision %d, and the log ends at %d", revision, s.run.Replay.Last)
		return
	case revision <= s.run.Replay.From || s.blind:
		s.r.Skipped++
		return
	}
	s.r.Judged++
	if e := s.peek(revision); e != nil && e.v.Key == w.Item.Key && e.v.Mod == revision {
		s.match(w, *e)
		s.came, s.want = e.v, s.want[1:]
		return
	}
	s.misplaced(w)
}

// settle is where a stream from now on begins, of which no progress told: not
// after the first event, and not after a write that began when it was open.
func (s *stream) settle(most uint64) uint64 {
	if r, ok := s.run.firstAfter(s.open.At); ok {
		return min(most, r-1)
	}
	return most
}

// match compares an event with the one that it should be.
func (s *stream) match(w *history.Watch, e event) {
	v := e.v
	what := ""
	if w.Type != v.Type {
		what = fmt.Sprintf("as %s instead of %s", w.Type, v.Type)
	} else if v.live() {
		what = differs(w.Item, v)
	}
	if what != "" {
		s.failf(v.Mod, "got %q of revision %d %s", v.Key, v.Mod, what)
		return
	}
	switch {
	case w.ID != 0 && !e.last:
		s.failf(v.Mod, "got the id %d with %q, which is not the last event of revision %d: who resumes from it loses the rest", w.ID, v.Key, v.Mod)
	case w.ID == 0 && e.last:
		s.failf(v.Mod, "got no id with %q, the last event of revision %d", v.Key, v.Mod)
	case w.ID != 0 && w.ID != v.Mod:
		s.failf(v.Mod, "got the id %d with %q of revision %d", w.ID, v.Key, v.Mod)
	}
	if s.open.Prev && s.run.Replay.Known(v.Mod-1) {
		s.prev(w, v)
	}
	if o := s.run.claim().byRevision[v.Mod]; o != nil && w.At < o.Start && o.IdempotencyKey == "" {
		s.failf(v.Mod, "got revision %d before %s, which made it, was asked for", v.Mod, describe(o))
	}
}

func (s *stream) prev(w *history.Watch, v *Version) {
	var seen []history.Item
	if w.PrevItem != nil {
		seen = []history.Item{*w.PrevItem}
	}
	if what := misseen(seen, list(s.run.Replay.Get(v.Key, v.Mod-1))); what != "" {
		s.failf(v.Mod, "got %q of revision %d with a previous item that %s", v.Key, v.Mod, what)
	}
}

// misplaced says what is wrong with an event that is not the next one.
func (s *stream) misplaced(w *history.Watch) {
	key, revision := w.Item.Key, w.Item.ModRevision
	rev := s.run.Replay.Rev(revision)
	i := slices.IndexFunc(rev.Changes, func(v *Version) bool { return v.Key == key })
	switch {
	case i < 0:
		s.failf(revision, "got %q of revision %d, which did not change it", key, revision)
		return
	case !s.asked(rev.Changes[i]):
		s.failf(revision, "got %q of revision %d, which it did not ask for", key, revision)
		return
	case revision <= s.base:
		s.failf(revision, "got revision %d, and it began after %d", revision, s.base)
		return
	}
	if s.came != nil && revision < s.came.Mod {
		s.failf(revision, "got revision %d after revision %d", revision, s.came.Mod)
		return
	}
	e := s.peek(revision)
	if e == nil || s.came != nil && revision == s.came.Mod && key <= s.came.Key {
		s.failf(revision, "got %q of revision %d a second time, or late", key, revision)
		return
	}
	s.failf(e.v.Mod, "got %q of revision %d and missed %q of revision %d", key, revision, e.v.Key, e.v.Mod)
}

// progress must not be ahead of what was delivered, nor behind.
func (s *stream) progress(w *history.Watch) {
	if !s.settled {
		s.begin(w.ID)
		return
	}
	s.r.Judged++
	var e *event
	if !s.blind {
		e = s.peek(w.ID)
	}
	switch {
	case w.ID > s.run.Replay.Last:
		s.failf(w.ID, "got progress at revision %d, and the log ends at %d", w.ID, s.run.Replay.Last)
	case s.blind:
	case w.ID < s.base:
		s.failf(w.ID, "got progress at revision %d, and it began after %d", w.ID, s.base)
	case e != nil:
		s.failf(w.ID, "got progress at revision %d without %q of revision %d", w.ID, e.v.Key, e.v.Mod)
	case s.came != nil && s.came.Mod > w.ID:
		s.failf(w.ID, "got progress at revision %d after an event of revision %d", w.ID, s.came.Mod)
	}
}

// compacted must be so.
func (s *stream) compacted(w *history.Watch) {
	s.r.Judged++
	at := s.base
	if s.came != nil {
		at = s.came.Mod
	}
	if w.What == history.Refused {
		at = w.Since
	}
	if at >= s.run.Replay.Compacted {
		s.failf(at, "was told that what follows revision %d is compacted, and the log gave up history only to %d", at, s.run.Replay.Compacted)
	}
}
