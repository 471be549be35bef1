package transport

import (
	"time"

	"go.uber.org/zap"
)

// learner finds the addresses of members that dial this one although it has
// never heard of them, and of those that cannot be reached where the log has
// them: it was away while they were added or moved, and one of them now leads,
// so that the log does not come until that one is answered. It believes peers it
// knows, never the dialer. Guarded by the mu of its Transport.
type learner struct {
	wanted map[uint64]struct{}
	busy   bool
	last   time.Time // when the last round began
}

// maxWanted bounds how many unknown members are looked for at once.
const maxWanted = 16

// learn looks for a member in the background, unless that was done just now;
// whoever needs it will come again.
func (t *Transport) learn(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	ln := &t.learner
	if t.recv == nil || ln.busy || time.Since(ln.last) < t.cfg.LearnInterval {
		// The next round asks for those who came in between as well.
		if len(ln.wanted) < maxWanted {
			ln.want(id)
		}
		return
	}
	ln.want(id)
	ln.busy, ln.last = true, time.Now()
	t.wg.Go(t.askAround)
}

func (ln *learner) want(id uint64) {
	if ln.wanted == nil {
		ln.wanted = make(map[uint64]struct{})
	}
	ln.wanted[id] = struct{}{}
}

// askAround asks the known peers, one after the other, until all wanted
// members are found, elsewhere than they are looked for now.
func (t *Transport) askAround() {
	t.mu.Lock()
	wanted := t.learner.wanted
	t.learner.wanted = nil
	ctx, r, peers := t.ctx, t.recv, *t.peers.Load()
	t.mu.Unlock()

	found := make(map[uint64]string)
	for _, p := range peers {
		if len(wanted) == 0 || ctx.Err() != nil {
			break
		}
		if _, lost := wanted[p.id]; lost {
			continue
		}
		members, err := t.askMembers(ctx, p)
		if err != nil {
			t.lg.Debug("peer did not tell its members", zap.Uint64("peer", p.id), zap.Error(err))
			continue
		}
		for id := range wanted {
			if url, ok := members[id]; ok && (peers[id] == nil || peers[id].url != url) {
				found[id] = url
				delete(wanted, id)
			}
		}
	}
	for id := range found {
		if r != nil && r.IsRemoved(id) {
			delete(found, id)
		}
	}

	t.mu.Lock()
	defer t.mu.Unlock()
	t.learner.busy = false
	// Whoever was reached meanwhile, or is known to be elsewhere now, is left alone.
	now := *t.peers.Load()
	settled := func(id uint64) bool {
		return now[id] != peers[id] || now[id] != nil && now[id].counters.connected.Load()
	}
	for id := range wanted {
		if _, ok := t.set[id]; ok && !settled(id) {
			delete(t.learned, id) // nor is it where somebody said: back to what the log has
		}
	}
	for id, url := range found {
		if id == t.cfg.ID || settled(id) {
			continue
		}
		t.learned[id] = url
		if t.warned.allow("learned of "+formatID(id), clusterWarnInterval) {
			t.lg.Info("learned where a member is", zap.Uint64("peer", id), zap.String("url", url))
		}
	}
	t.reconcileLocked()
}

// forget gives up what was learned about a member that turns out to be removed.
func (t *Transport) forget(id uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if _, ok := t.learned[id]; ok {
		delete(t.learned, id)
		t.reconcileLocked()
	}
}
