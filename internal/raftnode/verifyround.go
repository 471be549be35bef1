package raftnode

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"go.uber.org/zap"
)

// verdict is what the leader finds in the reports to a check. It is an entry of
// the log.
type verdict struct {
	Index   uint64            `json:"index"`             // of the check
	Hash    uint64            `json:"hash"`              // that states should have; see decided
	Hashes  map[uint64]uint64 `json:"hashes"`            // that they have
	Damaged []uint64          `json:"damaged,omitempty"` // members that found damage in their memory
	Missing []uint64          `json:"missing,omitempty"` // members without a report
}

// newVerdict judges the reports to a check. What most of the voters' hashes say
// counts; if there is no majority among them, the leader's; and if that has
// none, since its memory is damaged, the one that most have, of the lowest id.
// Nothing is decided before most of the voters have told what they found: one that is
// altered, and the first to be heard, must not condemn all others. Nor if none of them
// has a hash: a learner's says which states differ, and not which of them is wrong.
// A check later, more will have been heard.
func newVerdict(index, leader uint64, members []Member, reports map[uint64]hashReport) verdict {
	v := verdict{Index: index, Hashes: make(map[uint64]uint64)}
	votes := make(map[uint64]int)
	total, voters, heard := 0, 0, 0
	for _, mb := range members {
		if _, ok := reports[mb.ID]; !mb.Learner {
			if voters++; ok {
				heard++
			}
		}
		switch r, ok := reports[mb.ID]; {
		case !ok:
			v.Missing = append(v.Missing, mb.ID)
		case r.Error != "":
			v.Damaged = append(v.Damaged, mb.ID)
		default:
			v.Hashes[mb.ID] = r.Hash
			if !mb.Learner {
				votes[r.Hash]++
				total++
			}
		}
	}
	if 2*heard <= voters {
		return v
	}
	best := 0
	for _, mb := range members {
		if hash, ok := v.Hashes[mb.ID]; ok && votes[hash] > best {
			v.Hash, best = hash, votes[hash]
		}
	}
	if hash, ok := v.Hashes[leader]; ok && 2*best <= total {
		v.Hash = hash
	}
	return v
}

// decided tells whether the verdict says which state is right: one that a member
// has. One that does not has 0, which versions before this took for the right one:
// such verdicts are in logs.
func (v *verdict) decided() bool {
	for _, hash := range v.Hashes {
		if hash == v.Hash {
			return true
		}
	}
	return false
}

// diverged lists the members that hold a wrong state, by id.
func (v *verdict) diverged() []uint64 {
	out := slices.Clone(v.Damaged)
	decided := v.decided()
	for id, hash := range v.Hashes {
		if decided && hash != v.Hash {
			out = append(out, id)
		}
	}
	slices.Sort(out)
	return out
}

// judge applies a verdict.
func (n *Node[R]) judge(d verdict) {
	v := &n.verifier
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last != nil && d.Index <= v.last.Index {
		return // two leaders have judged the same check
	}
	v.last = &Verification{
		Index: d.Index, At: time.Now(), Hashes: d.Hashes,
		Missing: d.Missing, Diverged: d.diverged(),
	}
	close(v.told)
	v.told = make(chan struct{})
	if v.round.index <= d.Index {
		v.round = round{}
	}
	for index := range v.reports {
		if index <= d.Index {
			delete(v.reports, index)
		}
	}
	if len(v.last.Diverged) > 0 {
		n.lg.Error("members hold different states", zap.Uint64("index", d.Index),
			zap.Uint64s("diverged", v.last.Diverged), zap.Any("hashes", d.Hashes))
	}
	n.compareLocked(&d)
}

// compareLocked holds this member to a verdict. verifier.mu is held.
func (n *Node[R]) compareLocked(d *verdict) {
	v := &n.verifier
	if d.Index < v.replacedAt {
		return // of a state that is here no more
	}
	hash, ok := d.Hashes[n.cfg.Member]
	here := false // in this life
	if s := v.scan; s != nil && s.index == d.Index {
		if !s.done {
			s.verdict = d // the log is ahead: this member starts, or was away
			return
		}
		if s.err != nil {
			return // known already
		}
		hash, ok, here = s.hash, true, true
	} else if slices.Contains(d.Damaged, n.cfg.Member) {
		// In an earlier life. The state may have come over in a snapshot.
		n.divergeLocked(fmt.Errorf("at log index %d: it was damaged in memory", d.Index))
		return
	}
	switch {
	case !ok || !d.decided():
	case hash != d.Hash:
		n.divergeLocked(fmt.Errorf("at log index %d its hash is %016x, the others' %016x", d.Index, hash, d.Hash))
	case here && !v.scan.older && v.diverged.Swap(nil) != nil:
		n.lg.Info("state is that of the others again", zap.Uint64("index", d.Index))
	}
}

// takeReport keeps what a member tells of its state.
func (n *Node[R]) takeReport(from uint64, r hashReport) error {
	if !n.Leads() || r.Index > n.commit.Load() {
		return errNotLeader // or it does not know yet: the report comes again
	}
	v := &n.verifier
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.last != nil && r.Index <= v.last.Index {
		return nil // too late
	}
	of, ok := v.reports[r.Index]
	if !ok {
		of = make(map[uint64]hashReport)
		v.reports[r.Index] = of
		for len(v.reports) > reportsOf {
			oldest := r.Index
			for index := range v.reports {
				oldest = min(oldest, index)
			}
			delete(v.reports, oldest)
		}
	}
	of[from] = r
	v.signal()
	return nil
}

// due says whether the round that is under way can end, and how. What this member, the
// leader, has found itself is always in it. A new leader first waits as long as the
// others may need to hear of it and to tell it what they had told the one before.
func (n *Node[R]) due(now time.Time, answering func([]uint64) bool) (verdict, bool) {
	v := &n.verifier
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.round.index == 0 {
		return verdict{}, false
	}
	reports := maps.Clone(v.reports[v.round.index])
	if s := v.scan; s != nil && s.done && s.index == v.round.index {
		if reports == nil {
			reports = make(map[uint64]hashReport)
		}
		reports[n.cfg.Member] = s.report()
	}
	d := newVerdict(v.round.index, n.cfg.Member, n.Members(), reports)
	waited := now.Sub(v.round.began)
	switch {
	case len(d.Missing) == 0:
	case now.Sub(v.lead.since) < n.electionTimeout():
		return verdict{}, false
	case waited >= n.patienceLocked():
	case waited >= n.electionTimeout() && !answering(d.Missing):
		// None of those that are missing is there.
	default:
		return verdict{}, false
	}
	if len(d.Hashes)+len(d.Damaged) == 0 {
		v.round = round{} // nobody took part
		return verdict{}, false
	}
	return d, true
}

// patienceLocked is how long the leader waits for the reports to this round: the
// others need about as long for their scans as it does itself, which for many
// millions of keys is longer than the time between two checks.
func (n *Node[R]) patienceLocked() time.Duration {
	patience := n.verdictPatience()
	s := n.verifier.scan
	switch {
	case s == nil || s.index != n.verifier.round.index:
		return patience
	case !s.done:
		return math.MaxInt64
	}
	return max(patience, 2*s.took)
}

// checkAsLeader proposes a check, unless one is under way, and returns its index
// once it is applied here.
func (n *Node[R]) checkAsLeader(ctx context.Context) (uint64, error) {
	v := &n.verifier
	v.mu.Lock()
	index := v.round.index
	v.checked = time.Now()
	v.mu.Unlock()
	if index != 0 && n.Leads() {
		return index, nil
	}
	f, err := n.proposeOwn(ctx, kindCheck, nil)
	if err != nil {
		return 0, err
	}
	select {
	case err := <-f.done:
		return f.index, err
	case <-ctx.Done():
		return 0, context.Cause(ctx)
	}
}

// proposeOwn proposes an entry of this package's own. f.done gets what became of
// it if apply tells.
func (n *Node[R]) proposeOwn(ctx context.Context, kind byte, payload any) (*inFlight[R], error) {
	var b []byte
	if payload != nil {
		var err error
		if b, err = json.Marshal(payload); err != nil {
			return nil, err
		}
	}
	return ask(ctx, n, func(l *loop[R]) (*inFlight[R], error) { return l.proposeOwn(kind, b) })
}

func (l *loop[R]) proposeOwn(kind byte, payload []byte) (*inFlight[R], error) {
	if !l.knowsClock() {
		return nil, errNotLeader
	}
	f := &inFlight[R]{id: l.nextID(), done: make(chan error, 1)}
	h := entryHeader{kind: kind, id: f.id, clock: l.n.clock.now()}
	l.n.inFlight.add(f)
	if err := l.rn.Propose(append(h.append(nil), payload...)); err != nil {
		l.n.inFlight.take(f.id)
		return nil, errNotLeader // a transfer of leadership is under way
	}
	// Its place in the log shows now, or never: should this member cease to lead
	// before the next Ready, apply could not tell that the entry is lost.
	l.handleReady()
	return f, nil
}
