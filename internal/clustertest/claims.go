package clustertest

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"kvd/internal/kvstore"
)

// claims are what clients were told, to be held against the committed history.
type claims struct {
	mu      sync.Mutex
	reads   []readClaim
	writes  []writeClaim
	streams []streamClaim
	refused []string             // values of writes that were certainly not applied
	lives   map[string]lifeClaim // by the value that has one
	renewed map[string][]renewal // by lease
	answers map[string]int       // by kind of request
}

// version is a key as a client sees it.
type version struct {
	value    string
	revision uint64
}

// readClaim says what was there at a revision: exactly these keys below a prefix,
// or under one key.
type readClaim struct {
	at     uint64
	prefix string
	exact  bool // prefix is a key
	found  map[string]version
	who    string
}

// writeClaim says what a revision did to a key.
type writeClaim struct {
	at uint64
	change
}

// streamClaim says that these were all changes below a prefix from one revision to
// another, in their order.
type streamClaim struct {
	prefix      string
	after, upTo uint64
	events      []streamed
}

type streamed struct {
	at uint64
	change
}

// lifeClaim is the end of a value: not before.
type lifeClaim struct {
	lease string    // "": a TTL of its own
	from  time.Time // when it was asked for
	ttl   time.Duration
}

// renewal is a keepalive that was answered.
type renewal struct{ asked, answered time.Time }

func newClaims() *claims {
	return &claims{lives: make(map[string]lifeClaim), renewed: make(map[string][]renewal), answers: make(map[string]int)}
}

func (cl *claims) read(r readClaim) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.reads = append(cl.reads, r)
	cl.answers["read"]++
}

func (cl *claims) write(at uint64, c change) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.writes = append(cl.writes, writeClaim{at, c})
	cl.answers["write"]++
}

func (cl *claims) stream(s streamClaim) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.streams = append(cl.streams, s)
	cl.answers["stream"]++
}

func (cl *claims) never(value string) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.refused = append(cl.refused, value)
}

// count takes note that a kind of request was answered.
func (cl *claims) count(what string) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.answers[what]++
}

func (cl *claims) life(value string, l lifeClaim) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.lives[value] = l
}

func (cl *claims) renew(lease string, r renewal) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.renewed[lease] = append(cl.renewed[lease], r)
}

// judge holds all claims against the history, and reports what does not fit.
func (cl *claims) judge(t *truth, report func(string)) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	cl.judgeReads(t, report)
	cl.judgeWrites(t, report)
	for _, s := range cl.streams {
		cl.judgeStream(t, s, report)
	}
}

// judgeReads replays the history once, and stops at each revision that somebody
// has read. On the way it looks at what each revision did.
func (cl *claims) judgeReads(t *truth, report func(string)) {
	slices.SortFunc(cl.reads, func(a, b readClaim) int { return cmp.Compare(a.at, b.at) })
	state := make(map[string]version)
	seen := make(map[string]uint64) // value to the revision that wrote it
	next := 0
	for at := uint64(0); ; at++ {
		for ; next < len(cl.reads) && cl.reads[next].at == at; next++ {
			if r := cl.reads[next]; !r.holds(state) {
				report(fmt.Sprintf("%s read %q at revision %d and found %v, which is not what was there", r.who, r.prefix, at, r.found))
			}
		}
		if at == uint64(len(t.revs)) {
			break
		}
		r := &t.revs[at]
		for _, c := range r.changes {
			switch c.typ {
			case kvstore.EventPut:
				if was := seen[c.value]; was != 0 {
					report(fmt.Sprintf("the write of %q to %s was applied twice, at revisions %d and %d", c.value, c.key, was, at+1))
				}
				seen[c.value] = at + 1
				state[c.key] = version{c.value, at + 1}
			case kvstore.EventExpire:
				cl.judgeEnd(c.key, state[c.key].value, r, at+1, report)
				delete(state, c.key)
			default:
				delete(state, c.key)
			}
		}
		judgeBank(state, r, at+1, report)
	}
	for ; next < len(cl.reads); next++ {
		report(fmt.Sprintf("%s read at revision %d, and there are only %d", cl.reads[next].who, cl.reads[next].at, len(t.revs)))
	}
	for _, v := range cl.refused {
		if at := seen[v]; at != 0 {
			report(fmt.Sprintf("the write of %q, of which a client was told that it was not applied, is revision %d", v, at))
		}
	}
}

func (r *readClaim) holds(state map[string]version) bool {
	if r.exact {
		was, ok := state[r.prefix]
		got, found := r.found[r.prefix]
		return ok == found && was == got
	}
	want := maps.Collect(func(yield func(string, version) bool) {
		for k, v := range state {
			if strings.HasPrefix(k, r.prefix) && !yield(k, v) {
				return
			}
		}
	})
	return maps.Equal(want, r.found)
}

func (cl *claims) judgeWrites(t *truth, report func(string)) {
	for _, w := range cl.writes {
		if w.at == 0 || w.at > uint64(len(t.revs)) || !slices.Contains(t.revs[w.at-1].changes, w.change) {
			report(fmt.Sprintf("acknowledged: %v of %s to %q at revision %d, which is not what that revision did", w.typ, w.key, w.value, w.at))
		}
	}
}

func (cl *claims) judgeStream(t *truth, s streamClaim, report func(string)) {
	rest := s.events
	for at := s.after + 1; at <= s.upTo; at++ {
		if at > uint64(len(t.revs)) {
			report(fmt.Sprintf("a watch of %q was told of revision %d, and there are only %d", s.prefix, s.upTo, len(t.revs)))
			return
		}
		for _, c := range t.revs[at-1].changes {
			if !strings.HasPrefix(c.key, s.prefix) {
				continue
			}
			if len(rest) == 0 || rest[0].at != at || rest[0].change != c {
				report(fmt.Sprintf("a watch of %q from %d to %d missed %v of %s at revision %d, or had it in another place: next are %v",
					s.prefix, s.after, s.upTo, c.typ, c.key, at, rest[:min(len(rest), 3)]))
				return
			}
			rest = rest[1:]
		}
	}
	if len(rest) > 0 {
		report(fmt.Sprintf("a watch of %q from %d to %d saw %v, which did not happen", s.prefix, s.after, s.upTo, rest[:min(len(rest), 3)]))
	}
}

// fastest is how much faster than true time a member's clock may run here.
const fastest = 1.02

// judgeEnd looks at a key that has expired: the time it was promised must be over.
func (cl *claims) judgeEnd(key, value string, r *revision, at uint64, report func(string)) {
	l, ok := cl.lives[value]
	if !ok {
		report(fmt.Sprintf("%s expired at revision %d, and had no time to live", key, at))
		return
	}
	from := l.from
	if l.lease != "" { // to write its keys does not renew it
		from = time.Time{}
		for _, n := range cl.renewed[l.lease] {
			if n.answered.Before(r.at) && n.asked.After(from) {
				from = n.asked
			}
		}
	}
	least := time.Duration(float64(l.ttl) / fastest)
	if lived := r.at.Sub(from); lived < least {
		report(fmt.Sprintf("%s expired at revision %d, %v after it was written or its lease renewed: its TTL is %v", key, at, lived, l.ttl))
	}
}
