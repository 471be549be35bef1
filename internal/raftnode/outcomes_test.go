package raftnode

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"
)

// waitingFor makes proposals that somebody waits for.
func waitingFor(cmds ...string) []*proposal[int] {
	var props []*proposal[int]
	for _, cmd := range cmds {
		props = append(props, &proposal[int]{cmd: []byte(cmd), done: make(chan struct{}, 1)})
	}
	return props
}

// TestForwardedOutcomes: what may have been applied is never sent again, and only
// what surely was not is.
func TestForwardedOutcomes(t *testing.T) {
	n := &Node[int]{sm: newTestMachine()}
	applied := func(r int) []byte {
		res := fmt.Append(nil, r)
		return append([]byte{outcomeApplied, byte(len(res))}, res...)
	}
	lost := errors.New("connection reset")
	for _, tt := range []struct {
		name  string
		reply []byte
		sent  bool
		err   error
		want  []string // of a, b and c
	}{
		{"it was not sent", nil, false, lost, []string{"again", "again", "again"}},
		{"the answer was lost", nil, true, lost, []string{"unknown", "unknown", "unknown"}},
		{"a part of an answer", slices.Concat(applied(7), []byte{outcomeNotLeader}), true, lost, []string{"unknown", "unknown", "unknown"}},
		{"a short answer", applied(7), true, nil, []string{"7", "unknown", "unknown"}},
		{"a result that is cut", []byte{outcomeApplied, 200, 1}, true, nil, []string{"unknown", "unknown", "unknown"}},
		{"one of each", slices.Concat(applied(7), []byte{outcomeNotLeader, outcomeOverloaded}), true, nil, []string{"7", "again", "overloaded"}},
		{"unknown there", slices.Concat([]byte{outcomeUnknown}, applied(8), applied(9)), true, nil, []string{"unknown", "8", "9"}},
	} {
		props := waitingFor("a", "b", "c")
		again := n.resolveForward(props, tt.reply, tt.sent, tt.err)
		for i, p := range props {
			got := fmt.Sprint(p.res)
			switch {
			case slices.Contains(again, p):
				got = "again"
			case len(p.done) == 0:
				got = "no outcome"
			case errors.Is(p.err, ErrOutcomeUnknown):
				got = "unknown"
			case errors.Is(p.err, ErrOverloaded):
				got = "overloaded"
			}
			if got != tt.want[i] {
				t.Errorf("%s: command %d: %s, want %s", tt.name, i, got, tt.want[i])
			}
		}
	}
}

// TestResultsOfABatch: each command of an entry gets its own result, those of
// another member's entry go to nobody here, and an entry answers once.
func TestResultsOfABatch(t *testing.T) {
	n, err := New(singleConfig(), newTestMachine(), nil)
	must(t, err)
	a := &applier[int]{n: n}
	own := entryID{Member: testID.Member, Boot: n.boot, Counter: 5}
	props := waitingFor("a", "b", "c")
	n.inFlight.add(&inFlight[int]{id: own, props: props})
	for _, other := range []entryID{
		{Member: testID.Member + 1, Boot: own.Boot, Counter: 5},
		{Member: own.Member, Boot: own.Boot + 1, Counter: 5},
		{Member: own.Member, Boot: own.Boot, Counter: 6},
	} {
		a.answer(other, []int{91, 92, 93})
	}
	for i, p := range props {
		if len(p.done) > 0 {
			t.Fatalf("command %d was answered with the results of another entry", i)
		}
	}
	a.answer(own, []int{11, 12, 13})
	a.answer(own, []int{21, 22, 23})
	for i, p := range props {
		if len(p.done) != 1 || p.err != nil || p.res != 11+i {
			t.Errorf("command %d: result %d, error %v, want %d", i, p.res, p.err, 11+i)
		}
	}
}

// TestOutcomeBelowASnapshot: what was proposed here and lies below a snapshot of
// another member may be in it. What lies above is still to come.
func TestOutcomeBelowASnapshot(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	t.Cleanup(func() { kill(d) })
	n, err := New(singleConfig(), newTestMachine(), d)
	must(t, err, n.Open(), d.WriteBody(60, bytes.NewReader(body(t, 1, 60, "state"))))
	n.peers.init(testID.Member, nil, deafTransport{})
	below, above := waitingFor("below"), waitingFor("above")
	id := func(c uint64) entryID { return entryID{Member: testID.Member, Boot: n.boot, Counter: c} }
	n.inFlight.add(&inFlight[int]{id: id(1), props: below})
	n.inFlight.add(&inFlight[int]{id: id(2), props: above})
	n.inFlight.place(id(1), 60)
	n.inFlight.place(id(2), 61)
	must(t, newApplier(n).restore(snapshotMeta(1, 60)))
	if len(below[0].done) != 1 || !errors.Is(below[0].err, ErrOutcomeUnknown) {
		t.Errorf("below the snapshot: %v, want %v", below[0].err, ErrOutcomeUnknown)
	}
	if len(above[0].done) != 0 {
		t.Errorf("above the snapshot: %v, want nothing yet", above[0].err)
	}
}
