package check

import (
	"cmp"
	"slices"
	"sort"
	"strings"
	"time"
)

// Rev is one revision of the store: what one command changed.
type Rev struct {
	Revision uint64
	Index    uint64        // of its entry; 0: the log does not go back so far
	Clock    time.Duration // the log's, at the entry
	Command  *Command      // nil: not known
	Changes  []*Version    // in the order of their keys
}

// Applied is one command of the log and what the replay made of it.
type Applied struct {
	*Command
	Index   uint64
	Clock   time.Duration
	Changed *Rev   // nil: nothing
	Before  uint64 // the store's revision before it
}

// Replay is everything that happened to the store, as the log tells it.
type Replay struct {
	From     uint64 // what happened up to this revision is not known, but for what was left of it
	Last     uint64 // the store's revision at the end
	Revs     []*Rev // all after From, without a gap
	Commands []*Applied
	Clocks   []time.Duration // of the entries, in order
	// Compacted is the highest revision up to which history was given up.
	Compacted uint64
	// Complete: the log is known from its first entry on.
	Complete bool
	// Ends are of the versions that a lease or TTL has ended, or should have.
	Ends []*End

	Result Result // of the replay itself

	keys map[string][]*Version // in the order of revisions; the first may be older than From
	all  []string              // the keys, sorted
}

// End is the end of a key by a lease or TTL that was due, or is due at the end
// of the log.
type End struct {
	Version  *Version
	Deadline time.Duration
	At       time.Duration // the clock of the entry that ended it, or of the last one
	Gone     *Rev          // nil: it is still there
}

// Rev returns a revision, nil for one that is not known.
func (r *Replay) Rev(revision uint64) *Rev {
	if revision <= r.From || revision > r.Last {
		return nil
	}
	return r.Revs[revision-r.From-1]
}

// Known reports whether the state at a revision is known.
func (r *Replay) Known(revision uint64) bool { return revision >= r.From && revision <= r.Last }

// Get returns a key as it was at a revision that is known; nil for none.
func (r *Replay) Get(key string, revision uint64) *Version {
	vs := r.keys[key]
	i := sort.Search(len(vs), func(i int) bool { return vs[i].Mod > revision })
	if i == 0 || !vs[i-1].live() {
		return nil
	}
	return vs[i-1]
}

// Versions returns all changes of a key, oldest first.
func (r *Replay) Versions(key string) []*Version { return r.keys[key] }

// List returns the keys from start to before end, as they were at a revision that
// is known; an empty end is no bound.
func (r *Replay) List(start, end string, revision uint64) (list []*Version) {
	for _, key := range span(r.all, start, end) {
		if v := r.Get(key, revision); v != nil {
			list = append(list, v)
		}
	}
	return list
}

// span returns the keys of a sorted list from start to before end.
func span(keys []string, start, end string) []string {
	i, _ := slices.BinarySearch(keys, start)
	j := len(keys)
	if end != "" {
		j, _ = slices.BinarySearch(keys, end)
	}
	return keys[i:max(i, j)]
}

// prefixEnd is the first key behind all with a prefix; empty: there is none.
func prefixEnd(prefix string) string {
	b := []byte(prefix)
	for len(b) > 0 {
		if last := len(b) - 1; b[last] < 0xff {
			b[last]++
			return string(b)
		}
		b = b[:len(b)-1]
	}
	return ""
}

// NewReplay applies a log to the model. What kvd's own replay came to otherwise
// are violations in its Result.
func NewReplay(l *Log) *Replay {
	m := newModel(l)
	for _, e := range l.Entries {
		m.entry(e)
	}
	return m.finish()
}

// add puts a revision behind the last one.
func (r *Replay) add(x *Rev) {
	slices.SortFunc(x.Changes, func(a, b *Version) int { return strings.Compare(a.Key, b.Key) })
	for _, v := range x.Changes {
		r.keys[v.Key] = append(r.keys[v.Key], v)
	}
	r.Revs = append(r.Revs, x)
	r.Last = x.Revision
}

// newReplay begins with what the snapshot holds.
func newReplay(l *Log) *Replay {
	r := &Replay{
		From: l.Start.Compacted, Last: l.Start.Compacted, Compacted: l.Start.Compacted,
		Complete: l.Start.SnapshotIndex == 0,
		Result:   Result{Check: "replay"}, keys: make(map[string][]*Version),
	}
	for _, v := range l.Items {
		r.keys[v.Key] = []*Version{v}
	}
	changes := slices.Clone(l.Changes)
	slices.SortStableFunc(changes, func(a, b *Version) int { return cmp.Compare(a.Mod, b.Mod) })
	for len(changes) > 0 {
		n := 1
		for n < len(changes) && changes[n].Mod == changes[0].Mod {
			n++
		}
		if changes[0].Mod != r.Last+1 {
			r.Result.failf(nil, "the snapshot's history goes from revision %d to %d", r.Last, changes[0].Mod)
			r.Revs = append(r.Revs, make([]*Rev, changes[0].Mod-r.Last-1)...)
			for i := r.Last + 1; i < changes[0].Mod; i++ {
				r.Revs[i-r.From-1] = &Rev{Revision: i}
			}
		}
		r.add(&Rev{Revision: changes[0].Mod, Changes: changes[:n:n]})
		changes = changes[n:]
	}
	if r.Last != l.Start.Revision {
		r.Result.failf(nil, "the snapshot is of revision %d, and its history ends at %d", l.Start.Revision, r.Last)
		for r.Last < l.Start.Revision {
			r.add(&Rev{Revision: r.Last + 1})
		}
	}
	return r
}

// sortKeys makes List work; all keys of the log are known then.
func (r *Replay) sortKeys() {
	r.all = make([]string, 0, len(r.keys))
	for key := range r.keys {
		r.all = append(r.all, key)
	}
	slices.Sort(r.all)
}
