package raftnode

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/raft/v3"
)

// Members tell the leader how they are, once a second and whenever it changes,
// and its answer tells them whose disks are short. None of it is in the log: it
// is forgotten when nobody repeats it. A leader that is new knows what the one
// before had told it, until the members have told it themselves.
const (
	healthPeriod   = time.Second
	healthLifetime = 3 * time.Second
)

// What a report says, as bits of a byte.
const (
	healthShort   = 1 << iota // the disk has less room than its reserve
	healthStalled             // a write of the log takes longer than an election timeout
	healthWrong               // the state has diverged: it cannot serve as leader
)

// healthAnswer begins the answer of a leader; the ids of the members whose disks
// are short follow. One that does not lead answers with nothing.
const healthAnswer = 1

// health is what a member knows of how the members are.
type health struct {
	short atomic.Bool   // this member's disk
	some  atomic.Bool   // another's may be: spares every write the mutex
	wake  chan struct{} // holds a token when the leader is to be told at once

	mu      sync.Mutex
	reports map[uint64]healthReport // told to this member in the belief that it leads
	heard   []uint64                // whose disks are short, as a leader answered
	heardAt time.Time
}

type healthReport struct {
	short, stalled, wrong bool
	at                    time.Time
}

func newHealth() health {
	return health{wake: make(chan struct{}, 1), reports: make(map[uint64]healthReport)}
}

func (h *health) hurry() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// reported notes what another member says of itself.
func (h *health) reported(from uint64, r healthReport) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.reports[from] = r
	maps.DeleteFunc(h.reports, func(_ uint64, r healthReport) bool { return time.Since(r.at) >= healthLifetime })
	h.noteSomeLocked()
}

// answered notes what a leader says of all.
func (h *health) answered(ids []uint64, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard, h.heardAt = ids, at
	h.noteSomeLocked()
}

func (h *health) noteSomeLocked() {
	some := len(h.heard) > 0
	for _, r := range h.reports {
		some = some || r.short
	}
	h.some.Store(some)
}

// stalled reports whether a member has said of late that its disk is.
func (h *health) stalled(id uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.reports[id]
	return ok && r.stalled && now.Sub(r.at) < healthLifetime
}

// fitToLead reports whether nothing speaks against a member as leader: it has not
// said of late that its disk does not answer, or that its state is wrong.
func (h *health) fitToLead(id uint64, now time.Time) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	r, ok := h.reports[id]
	return !ok || !r.stalled && !r.wrong || now.Sub(r.at) >= healthLifetime
}

// shortOthers lists the other members whose disks are short: what they say
// themselves goes, on the leader, over what an earlier leader said.
func (h *health) shortOthers(self uint64, leads bool, now time.Time) []uint64 {
	if !h.some.Load() {
		return nil
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var ids []uint64
	fresh := func(id uint64) (healthReport, bool) {
		r, ok := h.reports[id]
		return r, ok && leads && now.Sub(r.at) < healthLifetime
	}
	for id := range h.reports {
		if r, ok := fresh(id); ok && r.short {
			ids = append(ids, id)
		}
	}
	if now.Sub(h.heardAt) < healthLifetime {
		for _, id := range h.heard {
			if _, ok := fresh(id); !ok && id != self {
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// SetDiskShort says whether this member's disk has less room than it should. The
// others learn it within about a second, and forget it when this member is gone.
func (n *Node[R]) SetDiskShort(short bool) {
	if n.health.short.Swap(short) != short {
		n.health.hurry()
	}
}

// DiskShort lists the members whose disks are short of room, by id, as far as
// this member knows: itself at once, the others within about two seconds.
func (n *Node[R]) DiskShort() []uint64 {
	ids := n.health.shortOthers(n.cfg.Member, n.Leads(), time.Now())
	if len(ids) > 0 {
		m := n.members.Load()
		ids = slices.DeleteFunc(ids, func(id uint64) bool { _, in := m.Members[id]; return !in })
	}
	if n.health.short.Load() {
		ids = append(ids, n.cfg.Member)
	}
	slices.Sort(ids)
	return ids
}

// shareHealth is the goroutine that tells the leader.
func (n *Node[R]) shareHealth(ctx context.Context) error {
	tick := time.NewTicker(healthPeriod)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-n.health.wake:
		}
		n.reportHealth(ctx)
	}
}

func (n *Node[R]) reportHealth(ctx context.Context) {
	leader := n.view.Load().leader
	if leader == raft.None || n.isSelf(leader) {
		return
	}
	var flags byte
	if n.health.short.Load() {
		flags |= healthShort
	}
	if _, stalled := n.diskStall(); stalled {
		flags |= healthStalled
	}
	if n.Diverged() != nil {
		flags |= healthWrong
	}
	ctx, cancel := context.WithTimeout(ctx, healthPeriod)
	defer cancel()
	asked := time.Now()
	reply, _, err := n.peers.tr.Forward(ctx, leader, []byte{forwardHealth, flags})
	if err != nil || len(reply) == 0 || reply[0] != healthAnswer {
		return
	}
	ids := make([]uint64, 0, len(reply)-1)
	for reply = reply[1:]; len(reply) > 0; {
		id, k := binary.Uvarint(reply)
		if k <= 0 {
			return
		}
		ids, reply = append(ids, id), reply[k:]
	}
	n.health.answered(ids, asked)
}

// serveHealth takes a report, and answers it where this member leads.
func (n *Node[R]) serveHealth(from uint64, body []byte) ([]byte, error) {
	if len(body) == 0 {
		return nil, fmt.Errorf("%w: a report without content", errBadRequest)
	}
	n.health.reported(from, healthReport{
		short: body[0]&healthShort != 0, stalled: body[0]&healthStalled != 0,
		wrong: body[0]&healthWrong != 0, at: time.Now(),
	})
	if !n.Leads() {
		return nil, nil
	}
	reply := []byte{healthAnswer}
	for _, id := range n.DiskShort() {
		reply = binary.AppendUvarint(reply, id)
	}
	return reply, nil
}
