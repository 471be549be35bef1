package kvstore

// chain puts the versions of one key together, the oldest first, out of those
// that a store has already where they are the same.
type chain struct {
	newest *item // what was added last, nil before a key's first version
	known  *tree
	have   []*item // known versions of the key that may still come, newest first
}

// add makes it the newest, or a known item that is its equal. it.prev is newest.
func (ch *chain) add(it *item) {
	if ch.newest == nil {
		ch.look(it.kv)
	}
	n := len(ch.have)
	for n > 0 && ch.have[n-1].modRevision < it.modRevision {
		n--
	}
	ch.have = ch.have[:n]
	if n > 0 && ch.have[n-1].equal(it) {
		have := ch.have[n-1]
		if have.prev == it.prev {
			it = have
		} else if !it.deleted() {
			it.kv = have.kv // compacted otherwise: at least the data are the same
		}
	}
	ch.newest = it
}

func (ch *chain) look(key []byte) {
	clear(ch.have)
	ch.have = ch.have[:0]
	if ch.known.n == 0 {
		return
	}
	for it := ch.known.get(key); it != nil; it = it.prev {
		ch.have = append(ch.have, it)
	}
}
