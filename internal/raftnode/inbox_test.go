package raftnode

import "testing"

// TestInboxWakes: the loop is woken for as many commands and readers as it wants, also
// when they came before it said so.
func TestInboxWakes(t *testing.T) {
	woken := func(b *inbox[int]) bool {
		select {
		case <-b.wake:
			return true
		default:
			return false
		}
	}
	b := newInbox[int]()
	check := func(what string, want bool) {
		t.Helper()
		if got := woken(b); got != want {
			t.Errorf("%s: woken %v, want %v", what, got, want)
		}
	}
	b.propose(&proposal[int]{})
	check("a command before the loop has said anything", true)
	b.take(&inputs[int]{})

	b.want(3, 2)
	check("nothing waits", false)
	b.propose(&proposal[int]{}, &proposal[int]{})
	check("two of three commands", false)
	b.read(&readRequest{})
	check("one of two readers", false)
	b.propose(&proposal[int]{})
	check("three of three commands", true)
	b.read(&readRequest{})
	check("two of two readers", true)

	b.want(4, 3)
	check("fewer than are wanted now", false)
	b.want(3, 9)
	check("as many commands as are wanted now", true)
	b.want(9, 2)
	check("as many readers as are wanted now", true)
	b.want(9, 9)
	b.put(func(*inputs[int]) {})
	check("anything else", true)
}
