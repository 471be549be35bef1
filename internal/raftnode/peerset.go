package raftnode

import (
	"maps"
	"sync"
	"time"
)

// lingerTime is how long a removed member is still sent to, so that it can
// hear of its removal from the log.
const lingerTime = time.Second

// peerSet decides whom the transport talks to: the members, the seeds of a
// joiner until it finds itself among them, and members removed a moment ago.
type peerSet struct {
	mu        sync.Mutex
	self      uint64
	seeds     map[uint64]string
	tr        Transport
	current   map[uint64]string
	lingering map[uint64]time.Time // until when
}

func (p *peerSet) init(self uint64, seeds map[uint64]string, tr Transport) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.self, p.seeds, p.tr = self, seeds, tr
	p.current, p.lingering = make(map[uint64]string), make(map[uint64]time.Time)
}

// update follows a change of the membership.
func (p *peerSet) update(m *membership) {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := make(map[uint64]string, len(m.Members))
	if _, in := m.Members[p.self]; !in {
		for id, url := range p.seeds {
			if !m.removed(id) {
				next[id] = url
			}
		}
	}
	for id, mb := range m.Members {
		next[id] = mb.PeerURL
	}
	delete(next, p.self)
	for id, url := range p.current {
		if _, in := next[id]; in || !m.removed(id) {
			continue
		}
		if _, already := p.lingering[id]; !already {
			p.lingering[id] = time.Now().Add(lingerTime)
		}
		next[id] = url
	}
	p.current = next
	p.tr.SetPeers(maps.Clone(next))
}

// lingers reports whether a removed member is still sent to.
func (p *peerSet) lingers(id uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, ok := p.lingering[id]
	return ok
}

// expire lets go of members removed long enough ago.
func (p *peerSet) expire(now time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.lingering) == 0 {
		return
	}
	changed := false
	for id, until := range p.lingering {
		if now.After(until) {
			delete(p.lingering, id)
			delete(p.current, id)
			changed = true
		}
	}
	if changed {
		p.tr.SetPeers(maps.Clone(p.current))
	}
}
