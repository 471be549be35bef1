package raftnode

import (
	"maps"
	"testing"
	"testing/synctest"
	"time"
)

// peerRecorder is a transport that remembers whom it was told of.
type peerRecorder struct {
	deafTransport
	peers map[uint64]string
}

func (r *peerRecorder) SetPeers(peers map[uint64]string) { r.peers = peers }

func TestPeerSet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tr := &peerRecorder{}
		want := func(when string, peers map[uint64]string) {
			t.Helper()
			if !maps.Equal(tr.peers, peers) {
				t.Errorf("%s: peers %v, want %v", when, tr.peers, peers)
			}
		}
		var p peerSet
		p.init(4, map[uint64]string{1: "a", 2: "b"}, tr)
		one := &membership{Members: map[uint64]Member{1: {ID: 1, PeerURL: "a"}}}
		p.update(one)
		want("a joiner that has read one entry", map[uint64]string{1: "a", 2: "b"})

		all := &membership{Members: map[uint64]Member{1: {PeerURL: "a"}, 2: {PeerURL: "b2"}, 3: {PeerURL: "c"}, 4: {PeerURL: "d"}}}
		p.update(all)
		want("it finds itself", map[uint64]string{1: "a", 2: "b2", 3: "c"})

		less := all.clone()
		delete(less.Members, 3)
		less.Removed[3] = struct{}{}
		p.update(less)
		want("3 is removed", map[uint64]string{1: "a", 2: "b2", 3: "c"})
		p.expire(time.Now())
		want("at once", map[uint64]string{1: "a", 2: "b2", 3: "c"})
		if !p.lingers(3) {
			t.Error("a member that was removed just now is not given its moment")
		}
		time.Sleep(lingerTime + time.Millisecond)
		p.expire(time.Now())
		want("a moment later", map[uint64]string{1: "a", 2: "b2"})
		if p.lingers(3) || p.lingers(2) {
			t.Error("a member lingers for ever, or was never removed")
		}
		p.update(less)
		want("again", map[uint64]string{1: "a", 2: "b2"})
	})
}
