package raftnode

import (
	"context"
	"encoding/binary"
	"math"
	"time"

	"go.etcd.io/raft/v3"
)

// forwardTimeout bounds a request to the leader. Callers have deadlines of
// their own; this one only frees what a silent leader would hold for ever.
const forwardTimeout = 30 * time.Second

// propose turns waiting commands into entries, or sends them to the leader.
func (l *loop[R]) propose() {
	if len(l.open) == 0 {
		return
	}
	switch {
	case l.leading():
		for l.knowsClock() && len(l.open) > 0 && len(l.batches) < l.n.cfg.MaxBatchesInFlight {
			if len(l.batches) == 0 && l.gathers() || !l.proposeBatch() {
				return
			}
		}
	default:
		l.refuseHops()
		for len(l.open) > 0 && l.view.leader != raft.None && !l.forwardPause && l.forwards < l.n.cfg.MaxForwards {
			if l.forwards == 0 && l.gathers() {
				return
			}
			l.forwardBatch()
		}
	}
}

// gathers reports that it is better to wait for more commands; a turn comes when that
// has been long enough.
func (l *loop[R]) gathers() bool {
	_, wait := l.gather.more(len(l.open), time.Now())
	if wait > 0 {
		l.gatherUntil(wait)
	}
	return wait > 0
}

// gatherUntil makes a turn after a time, if none is to come before.
func (l *loop[R]) gatherUntil(wait time.Duration) {
	now := time.Now()
	at := now.Add(wait)
	switch {
	case l.gatherEnd == nil:
		l.gatherEnd = time.AfterFunc(wait, l.n.inbox.signal)
	case !now.Before(l.gatherAt) || at.Before(l.gatherAt):
		l.gatherEnd.Reset(wait)
	default:
		return
	}
	l.gatherAt = at
}

// nextBatchIn is how long it may take at most until the leader makes the batch that it
// waits with; 0: it waits with none.
func (l *loop[R]) nextBatchIn() time.Duration {
	if !l.leading() || len(l.batches) > 0 || l.failure != nil {
		return 0
	}
	_, wait := l.gather.more(len(l.open), time.Now())
	return wait
}

// wants says how many more commands, and how many more readers, there must be in the
// inbox for a turn to be of use. Whatever ends a batch or a round makes a turn itself.
func (l *loop[R]) wants() (props, reads int) {
	props, reads = 1, 1
	underWay, most := len(l.batches), l.n.cfg.MaxBatchesInFlight
	if !l.leading() {
		underWay, most = l.forwards, l.n.cfg.MaxForwards
	}
	if underWay >= most {
		props = math.MaxInt
	} else if underWay == 0 {
		props = l.needs(&l.gather, len(l.open))
	}
	if l.reads.served() {
		reads = math.MaxInt
	} else {
		reads = l.needs(&l.reads.gather, l.reads.waiting())
	}
	return props, reads
}

// needs says how many must join those who wait for a turn to be of use. One who comes
// alone is not waited with for longer than is good: a turn comes then, also where nobody
// waits yet.
func (l *loop[R]) needs(g *gathering, waiting int) int {
	more, wait := g.more(waiting, time.Now())
	if more > 1 {
		l.gatherUntil(wait)
	}
	return max(more, 1)
}

// knowsClock reports that this leader may stamp entries: it has applied all that was
// in the log when it was elected. What earlier leaders have stamped there is still
// to set its clock; until then it may be ahead of theirs, and end leases early, or
// go back behind what it has stamped itself, and end them late.
func (l *loop[R]) knowsClock() bool {
	return l.leading() && l.termFirst > 0 && l.n.applied.index.Load() >= l.termFirst
}

// proposeBatch makes one entry of what waits. false: raft takes none now (a
// transfer of leadership, or too much uncommitted); the commands stay.
func (l *loop[R]) proposeBatch() bool {
	props, rest := l.nextBatch()
	if len(props) == 0 {
		l.open = rest
		return true
	}
	id := l.nextID()
	h := entryHeader{kind: kindCommands, id: id, clock: l.n.clock.now()}
	l.buf = appendCommands(h.append(l.buf[:0]), props)
	f := &inFlight[R]{id: id, props: props}
	l.n.inFlight.add(f)
	if err := l.rn.Propose(l.buf); err != nil {
		l.n.inFlight.take(id)
		for _, p := range props {
			p.giveBack()
		}
		l.open = append(props, rest...)
		return false
	}
	l.open = rest
	l.batches = append(l.batches, 0)
	l.gather.begin(len(props), len(rest), time.Now())
	if cap(l.buf) > 2*l.n.cfg.MaxBatchBytes {
		l.buf = nil // one huge command must not hold its size for ever
	}
	// Its index shows in the next Ready; until then handleReady must run
	// before another batch is built, so that batches are placed in order.
	l.handleReady()
	return true
}

// nextBatch takes commands from the front of the open ones, up to the size of
// a batch, and leaves out those whose callers have gone.
func (l *loop[R]) nextBatch() (props, rest []*proposal[R]) {
	size, i := 0, 0
	props = make([]*proposal[R], 0, len(l.open))
	for ; i < len(l.open); i++ {
		p := l.open[i]
		if len(props) > 0 && size+len(p.cmd) > l.n.cfg.MaxBatchBytes {
			break
		}
		if p.take() {
			props = append(props, p)
			size += len(p.cmd)
		}
	}
	n := copy(l.open, l.open[i:])
	clear(l.open[n:])
	return props, l.open[:n]
}

func (l *loop[R]) nextID() entryID {
	l.counter++
	return entryID{Member: l.n.cfg.Member, Boot: l.n.boot, Counter: l.counter}
}

func appendCommands[R any](dst []byte, props []*proposal[R]) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(props)))
	for _, p := range props {
		dst = appendCommand(dst, p.cmd)
	}
	return dst
}

// dropWithdrawn forgets commands whose callers have gone, so that a member
// without a leader does not fill with them.
func (l *loop[R]) dropWithdrawn() {
	kept := l.open[:0]
	for _, p := range l.open {
		if p.state.Load() != withdrawn {
			kept = append(kept, p)
		}
	}
	clear(l.open[len(kept):])
	l.open = kept
}

// refuseHops fails commands that another member sent here in the belief that
// this one leads. They are never sent on: two members with old views would
// pass them to and fro.
func (l *loop[R]) refuseHops() {
	kept := l.open[:0]
	for _, p := range l.open {
		if !p.hop {
			kept = append(kept, p)
		} else if p.take() {
			p.fail(errNotLeader)
		}
	}
	clear(l.open[len(kept):])
	l.open = kept
}

// forwardBatch sends what waits to the leader, on a goroutine that ends with
// the answer.
func (l *loop[R]) forwardBatch() {
	props, rest := l.nextBatch()
	l.open = rest
	if len(props) == 0 {
		return
	}
	req := appendCommands([]byte{forwardCommands}, props)
	to, term := l.view.leader, l.view.term
	if l.forwardTerm != term {
		l.forwardTerm, l.forwards = term, 0
	}
	l.forwards++
	l.gather.begin(len(props), len(rest), time.Now())
	l.wg.Go(func() {
		ctx, cancel := context.WithTimeout(l.ctx, forwardTimeout)
		defer cancel()
		reply, sent, err := l.tr.Forward(ctx, to, req)
		again := l.n.resolveForward(props, reply, sent, err)
		l.n.inbox.put(func(in *inputs[R]) {
			// Commands that surely got nowhere go first in line again.
			in.calls = append(in.calls, func(l *loop[R]) { l.forwarded(term, again, !sent) })
		})
	})
}

// forwarded takes back what a request to the leader did not settle.
func (l *loop[R]) forwarded(term uint64, again []*proposal[R], unreachable bool) {
	for _, p := range again {
		if l == nil {
			p.fail(ErrStopped)
			continue
		}
		p.giveBack()
	}
	if l == nil {
		return
	}
	l.open = append(again, l.open...)
	if term == l.forwardTerm && l.forwards > 0 {
		if l.forwards--; l.forwards == 0 {
			l.gather.end(len(l.open), time.Now())
		}
		l.forwardPause = l.forwardPause || unreachable || len(again) > 0
	}
}
