package test

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
)

// Limits that keep the check of one key's history from growing without end.
const (
	maxOpsPerKey     = 1500
	maxClientsPerKey = 5
	checkLimit       = 20 * time.Second // for one key
)

type opKind string

const (
	opGet    opKind = "get"
	opPut    opKind = "put"
	opCreate opKind = "create" // If-None-Match: *
	opSwap   opKind = "swap"   // If-Match: a revision
	opDelete opKind = "delete"
)

type outcome string

const (
	ok         outcome = "ok"          // answered; a failed condition is an answer too
	notApplied outcome = "not applied" // surely did not happen
	unknown    outcome = "unknown"     // may have happened, or may yet
)

// op is one request and what is known of its effect.
type op struct {
	client    int
	key       string
	kind      opKind
	value     string // what a write writes; no two writes have the same
	overRev   uint64 // opSwap: the revision it replaces, and the value that was seen with it
	overValue string

	call, ret time.Duration // since the start of the history
	outcome   outcome
	// Of an answer: did the write change the key, or the read find it; what was
	// read; and the revision of the key afterwards, 0 when there is none.
	hit bool
	got string
	rev uint64
}

func (o *op) String() string {
	return fmt.Sprintf("%v–%v client %d %s %s %q over %d: %s, hit %v, got %q at %d",
		o.call, o.ret, o.client, o.kind, o.key, o.value, o.overRev, o.outcome, o.hit, o.got, o.rev)
}

// history collects operations from many clients.
type history struct {
	began time.Time
	mu    sync.Mutex
	ops   []*op
}

func (h *history) now() time.Duration { return time.Since(h.began) }

func (h *history) add(o *op) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ops = append(h.ops, o)
}

// byKey splits the history, which nobody adds to any more.
func (h *history) byKey() map[string][]*op {
	keys := map[string][]*op{}
	for _, o := range h.ops {
		keys[o.key] = append(keys[o.key], o)
	}
	return keys
}

// checkLinearizable fails the test unless each key's operations could have
// happened one after another, each at a moment between its call and its return.
func (h *history) checkLinearizable(t *testing.T) {
	t.Helper()
	for key, ops := range h.byKey() {
		clients := map[int]bool{}
		for _, o := range ops {
			clients[o.client] = true
		}
		if len(ops) > maxOpsPerKey || len(clients) > maxClientsPerKey {
			t.Errorf("%s: %d operations of %d clients are too many to check", key, len(ops), len(clients))
		}
		switch porcupine.CheckOperationsTimeout(model, events(ops), checkLimit) {
		case porcupine.Ok:
		case porcupine.Unknown:
			t.Errorf("%s: the check of %d operations did not end in %v", key, len(ops), checkLimit)
		default:
			t.Errorf("%s: not linearizable; it was until the last of these:\n%s", key, listing(untilBroken(ops)))
		}
	}
}

// events puts operations into the checker's form. What surely did not happen,
// and reads without an answer, say nothing and are left out; had such a write
// happened after all, a read would find a value that nobody wrote.
func events(ops []*op) []porcupine.Operation {
	var es []porcupine.Operation
	for _, o := range ops {
		if o.outcome == notApplied || o.outcome == unknown && o.kind == opGet {
			continue
		}
		e := porcupine.Operation{ClientId: o.client, Input: o, Call: int64(o.call), Return: int64(o.ret)}
		if o.outcome == unknown {
			e.Return = math.MaxInt64 // open to the end
		}
		es = append(es, e)
	}
	return es
}

// untilBroken shortens a history that is not linearizable to what leads up to
// the first answer that cannot be explained.
func untilBroken(ops []*op) []*op {
	ops = slices.SortedFunc(slices.Values(ops), func(a, b *op) int { return cmp.Compare(a.ret, b.ret) })
	// What was under way at the moment of the n-th answer has no answer yet.
	until := func(n int) []*op {
		part := slices.Clone(ops[:n])
		for _, o := range ops[n:] {
			if o.call < ops[n-1].ret && o.outcome == ok {
				open := *o
				open.outcome = unknown
				part = append(part, &open)
			}
		}
		return part
	}
	n := sort.Search(len(ops)-1, func(i int) bool {
		return porcupine.CheckOperationsTimeout(model, events(until(i+1)), checkLimit) == porcupine.Illegal
	}) + 1
	const lines = 40
	return ops[max(0, n-lines):n]
}

// listing is a history to read, in the order of the calls.
func listing(ops []*op) string {
	ops = slices.Clone(ops)
	slices.SortFunc(ops, func(a, b *op) int { return cmp.Compare(a.call, b.call) })
	var b strings.Builder
	for _, o := range ops {
		fmt.Fprintln(&b, o)
	}
	return b.String()
}
