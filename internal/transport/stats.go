package transport

import (
	"sync/atomic"
	"time"
)

// Stats is what a Transport has counted since New.
type Stats struct {
	// Violations counts connections closed and snapshots refused because of
	// what they carried.
	Violations uint64
	// Refused counts requests refused because of who sent them to whom.
	Refused uint64
	// Unroutable counts messages dropped because their receiver has no
	// address here or because they must not leave this member.
	Unroutable uint64
	// Peers are the peers as of now, by id.
	Peers map[uint64]PeerStats
}

// PeerStats is about one peer, since it is known under its URL.
type PeerStats struct {
	URL string
	// Learned says that other peers told where it is, not the set given to SetPeers.
	Learned bool
	// Connected says that this member's control connection to it is up.
	Connected bool
	// Bytes are those of frames and snapshot bodies, keepalives excepted.
	SentBytes, SentMessages         uint64
	ReceivedBytes, ReceivedMessages uint64
	// Dropped counts messages that were queued and not written.
	Dropped uint64
	// LastContact is when the peer was last heard, zero if never.
	LastContact time.Time
}

// counters are the parts of PeerStats that change.
type counters struct {
	connected                atomic.Bool
	sentBytes, sentMsgs      atomic.Uint64
	receivedBytes, recvdMsgs atomic.Uint64
	dropped                  atomic.Uint64
	lastContact              atomic.Int64 // Unix nanoseconds
}

func (c *counters) sent(msgs, bytes int) {
	c.sentMsgs.Add(uint64(msgs))
	c.sentBytes.Add(uint64(bytes))
}

func (c *counters) received(msgs, bytes int) {
	c.recvdMsgs.Add(uint64(msgs))
	c.receivedBytes.Add(uint64(bytes))
	c.contact()
}

func (c *counters) contact() { c.lastContact.Store(time.Now().UnixNano()) }

// Stats returns a copy of all counters.
func (t *Transport) Stats() Stats {
	t.mu.Lock()
	defer t.mu.Unlock()
	peers := *t.peers.Load()
	s := Stats{
		Violations: t.violations.Load(),
		Refused:    t.refusals.Load(),
		Unroutable: t.unroutable.Load(),
		Peers:      make(map[uint64]PeerStats, len(peers)),
	}
	for id, p := range peers {
		c := &p.counters
		_, learned := t.learned[id]
		ps := PeerStats{
			URL:              p.url,
			Learned:          learned,
			Connected:        c.connected.Load(),
			SentBytes:        c.sentBytes.Load(),
			SentMessages:     c.sentMsgs.Load(),
			ReceivedBytes:    c.receivedBytes.Load(),
			ReceivedMessages: c.recvdMsgs.Load(),
			Dropped:          c.dropped.Load(),
		}
		if ns := c.lastContact.Load(); ns != 0 {
			ps.LastContact = time.Unix(0, ns)
		}
		s.Peers[id] = ps
	}
	return s
}
