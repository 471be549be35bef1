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
		at := i
		for old := base.prev; old != nil; old = old.prev {
			s.forget(old)
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
			s.shorten(base)
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

// forget takes a superseded version or a tombstone out of the totals.
func (s *state) forget(it *item) {
	s.sum -= it.hash()
	s.history -= it.cost()
}

// shorten makes base the oldest version of its key, or drops it too if it is a
// tombstone.
func (s *state) shorten(base *item) {
	at := s.tree.find(base.kv)
	newest := at.item()
	if newest == base && base.deleted() {
		s.tree.remove(at)
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
