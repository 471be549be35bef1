package kvstore

// compact forgets what no read at revision or later can see: of each key, what
// is older than its newest version at revision, and that one too if it says that
// the key was deleted. Only keys that changed since the last compaction can have
// such versions, and the events tell which these are.
//
// Items never change: a chain that is to be shorter is put into the tree as a
// copy, which shares keys and values with the one that readers and views hold.
func (s *state) compact(revision uint64) Result {
	r := Result{Code: Compacted, Revision: s.revision}
	if revision > s.revision {
		r.Code = FutureRevision
		return r
	}
	if revision <= s.compacted {
		return r
	}
	n := s.events.upTo(revision)
	done := make([]bool, n)
	// From the newest to the oldest: the first that is met of a key is its newest
	// version at revision, and marks the others.
	for i := n - 1; i >= 0; i-- {
		if done[i] {
			continue
		}
		base := s.events.at(i).it
		at, gone := i, uint64(0)
		for old := base.prev; old != nil; old = old.prev {
			if old.modRevision <= s.compacted {
				// The newest version of then: what is older is forgotten already, and
				// so is this one if it is a tombstone.
				if !old.forgotten(s.compacted) {
					s.forget(old)
					gone++
				}
				break
			}
			s.forget(old)
			gone++
			if at >= 0 {
				if at = s.events.index(old, at); at >= 0 {
					done[at] = true
				}
			}
		}
		if base.deleted() {
			s.forget(base)
		}
		if base.prev != nil || base.deleted() {
			s.shorten(base, gone)
		}
	}
	s.events.drop(n)
	s.compacted = revision
	useless := s.marks.useless(revision)
	for _, k := range s.marks[:useless] {
		s.sum -= k.hash()
	}
	s.marks = s.marks[useless:]
	return r
}

// smallVersion is up to how many bytes of key and value a version may stay for a
// while after it was forgotten.
const smallVersion = 512

// forget takes a superseded version or a tombstone out of the totals.
func (s *state) forget(it *item) {
	s.sum -= it.hash()
	s.history -= it.cost()
}

// shorten drops base if it is a tombstone that nothing follows, and otherwise makes
// it the oldest version of its key, now or later: to do it means to copy all newer
// versions, so a key that is written all the time is left until it has about as
// many versions too many as it keeps. Nobody gets to see those, since no read,
// watch or snapshot goes back beyond the newest version of s.compacted. Versions that
// are large go at once: to copy one costs the same, to keep it much more.
func (s *state) shorten(base *item, gone uint64) {
	at := s.tree.find(base.kv)
	newest := at.item()
	if newest == base && base.deleted() {
		s.tree.remove(at)
		return
	}
	kept := newest.version
	if !base.deleted() && base.createRevision == newest.createRevision {
		kept -= base.version
	}
	// Now and then, as often as it takes: that needs no count of what is too many. It
	// may differ from member to member, since nothing of the state depends on it.
	if base.size() <= smallVersion && kept > gone && (base.modRevision*0x9e3779b97f4a7c15)>>32%kept >= gone {
		return
	}
	var head *item
	end := &head // where the next copy belongs
	hint := s.events.n
	for it := newest; ; it = it.prev {
		if it == base && it.deleted() {
			break
		}
		c := *it
		c.prev = nil
		*end, end = &c, &c.prev
		if it == base {
			break
		}
		hint = s.events.index(it, hint)
		s.events.at(hint).it = &c
	}
	s.tree.set(at, head)
}
