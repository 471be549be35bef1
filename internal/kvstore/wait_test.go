package kvstore

import (
	"bytes"
	"context"
	"testing"
)

func TestWaiters(t *testing.T) {
	var w waiters

	waits := func(c chan struct{}) bool {
		select {
		case <-c:
			return false
		default:
			return true
		}
	}
	nine, three, seven, five := w.join(9), w.join(3), w.join(7), w.join(5)
	w.wake(2)
	if !waits(three) {
		t.Fatal("woken too early")
	}
	w.wake(3)
	if waits(three) || !waits(five) {
		t.Fatal("revision 3 woke others than its own")
	}
	w.leave(five)
	w.wake(7)
	if waits(seven) || !waits(five) || !waits(nine) {
		t.Fatal("revision 7 woke others than its own")
	}
	eight := w.join(8)
	w.wake(8)
	if waits(eight) || !waits(nine) {
		t.Fatal("revision 8 woke others than its own")
	}
	w.wake(100)
	if waits(nine) || len(w.all) != 0 {
		t.Fatalf("%d are left", len(w.all))
	}
}

func TestNobodyIsLeftWaiting(t *testing.T) {
	m := NewMachine()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := m.waitFor(ctx, 5); err == nil {
		t.Fatal("revision 5 of an empty store")
	}
	if n := len(m.waiting.all); n != 0 {
		t.Fatalf("%d left in the list", n)
	}
}

func TestRestoreIsSeenByReaders(t *testing.T) {
	m, ahead := NewMachine(), NewMachine()
	apply(t, m, put("a", "old"))
	apply(t, ahead, put("a", "old"), put("a", "new"), put("b", "new"))
	before, err := m.view(0)
	if err != nil {
		t.Fatal(err)
	}
	donec := m.await(3)
	if err := m.Restore(bytes.NewReader(snapshotOf(t, ahead))); err != nil {
		t.Fatal(err)
	}
	select {
	case <-donec:
	default:
		t.Error("who waits for what the snapshot has is not woken")
	}
	after, err := m.view(0)
	if err != nil {
		t.Fatal(err)
	}
	if listed(before) != "aold" || listed(after) != "anew bnew" || after.Revision() != 3 {
		t.Errorf("before %q, after %q at %d", listed(before), listed(after), after.Revision())
	}
}
