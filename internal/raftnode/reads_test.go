package raftnode

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

func request() *readRequest { return &readRequest{done: make(chan struct{}, 1)} }

func woken(q *readRequest) bool {
	select {
	case <-q.done:
		return true
	default:
		return false
	}
}

// TestReadRounds: who comes during a round does not share it, and the answer to
// an attempt that was given up matches nothing (etcd issue 20418).
func TestReadRounds(t *testing.T) {
	r := &readRounds{id: entryID{Member: 1, Boot: 2}}
	early, late := request(), request()
	r.open = append(r.open, early)
	first := r.begin()
	r.open = append(r.open, late)
	if got, _ := r.answered(raft.ReadState{Index: 5, RequestCtx: first}); len(got) != 1 || got[0] != early {
		t.Fatalf("first round answers %d readers", len(got))
	}
	if got, _ := r.answered(raft.ReadState{Index: 5, RequestCtx: first}); got != nil {
		t.Error("the same answer counts twice")
	}

	second := r.begin()
	r.abandon() // the leader was lost
	third := r.begin()
	if string(second) == string(third) {
		t.Fatal("two attempts share a context")
	}
	if got, _ := r.answered(raft.ReadState{Index: 4, RequestCtx: second}); got != nil {
		t.Error("a late answer to an attempt that was given up is taken")
	}
	other := &readRounds{id: entryID{Member: 1, Boot: 3, Counter: r.id.Counter - 1}}
	if got, _ := r.answered(raft.ReadState{Index: 4, RequestCtx: other.begin()}); got != nil {
		t.Error("an answer meant for an earlier life is taken")
	}
	if got, _ := r.answered(raft.ReadState{Index: 6, RequestCtx: third}); len(got) != 1 || got[0] != late {
		t.Errorf("third round answers %d readers", len(got))
	}
}

func TestReadersWaitUntilApplied(t *testing.T) {
	var a appliedIndex
	a.advance(5)
	now, soon, later := request(), request(), request()
	a.await(5, []*readRequest{now})
	a.await(7, []*readRequest{soon})
	a.await(9, []*readRequest{later})
	if !woken(now) || woken(soon) {
		t.Error("at 5: only what waits for 5 may go on")
	}
	a.advance(8)
	if !woken(soon) || woken(later) {
		t.Error("at 8: only what waits for 7 may go on")
	}
	a.advance(9)
	if !woken(later) {
		t.Error("at 9: all may go on")
	}
}

// TestReadersWhoHaveGone: the memory of readers whose callers have left is given up
// although the leader never answers, and although what they wait for is never
// applied.
func TestReadersWhoHaveGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n, stop := startLed(t, deafTransport{})
		defer stop()
		var wg sync.WaitGroup
		for range 100 {
			wg.Go(func() { _ = n.ReadBarrier(within(t, 100*time.Millisecond)) })
			time.Sleep(50 * time.Millisecond)
		}
		wg.Wait()
		time.Sleep(2 * n.cfg.Tick)
		kept, err := ask(within(t, time.Second), n, func(l *loop[int]) (int, error) {
			return len(l.reads.open) + len(l.reads.round), nil
		})
		if err != nil || kept > 1 { // publish reads all the time
			t.Errorf("%d readers are kept (%v)", kept, err)
		}

		there, left1, left2 := request(), request(), request()
		n.applied.await(1<<40, []*readRequest{left1, there})
		n.applied.await(1<<41, []*readRequest{left2})
		left1.gone.Store(true)
		left2.gone.Store(true)
		time.Sleep(2 * n.cfg.Tick)
		n.applied.mu.Lock()
		defer n.applied.mu.Unlock()
		if w := n.applied.waiters; len(w) != 1 || len(w[0].readers) != 1 || w[0].readers[0] != there {
			t.Errorf("%d indexes are waited for, want 1 by the one who is there", len(w))
		}
	})
}

// TestWaitingReadsAreBounded: one too many is told so at once, and the place of one
// that has left is free again.
func TestWaitingReadsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		cfg := singleConfig()
		cfg.Founders = append(cfg.Founders, Founder{ID: 1, PeerURL: "http://127.0.0.1:2"}) // which nobody hears
		cfg.MaxWaitingReads = 10
		n, stop := start(t, cfg, newTestMachine(), d)
		n.ready.Store(true) // publish makes no reads of its own
		time.Sleep(time.Second)
		for range 2 {
			var wg sync.WaitGroup
			for range cfg.MaxWaitingReads {
				wg.Go(func() {
					if err := n.ReadBarrier(within(t, time.Second)); !errors.Is(err, ErrNoLeader) {
						t.Errorf("read within the limit: %v", err)
					}
				})
			}
			synctest.Wait()
			begin := time.Now()
			if err := n.ReadBarrier(within(t, time.Second)); !errors.Is(err, ErrOverloaded) || time.Since(begin) > 0 {
				t.Errorf("read beyond the limit: %v after %v", err, time.Since(begin))
			}
			wg.Wait()
		}
		must(t, stop())
		kill(d)
	})
}

// TestPeersJoinRounds: what followers ask for during a round waits for the next,
// with what is asked here, and is given up with the leader.
func TestPeersJoinRounds(t *testing.T) {
	r := &readRounds{id: entryID{Member: 1, Boot: 2}}
	from := func(id uint64) *raftpb.Message { return &raftpb.Message{From: new(id)} }
	asked := func(peers []*raftpb.Message) (ids []uint64) {
		for _, m := range peers {
			ids = append(ids, m.GetFrom())
		}
		return ids
	}
	r.ask(from(2))
	if !r.waits() {
		t.Fatal("nobody waits, though a follower asks")
	}
	first := r.begin()
	r.ask(from(3))
	here := request()
	r.open = append(r.open, here)
	if !r.served() {
		t.Error("a round of a follower's alone serves nobody")
	}
	if readers, peers := r.answered(raft.ReadState{Index: 5, RequestCtx: first}); len(readers) != 0 || !slices.Equal(asked(peers), []uint64{2}) {
		t.Errorf("first round: %d here, %v", len(readers), asked(peers))
	}
	if r.served() {
		t.Error("a round that was answered is under way still")
	}
	second := r.begin()
	if readers, peers := r.answered(raft.ReadState{Index: 6, RequestCtx: second}); len(readers) != 1 || !slices.Equal(asked(peers), []uint64{3}) {
		t.Errorf("second round: %d here, %v", len(readers), asked(peers))
	}
	r.ask(from(2))
	third := r.begin()
	r.ask(from(3))
	r.abandon()
	if _, peers := r.answered(raft.ReadState{Index: 7, RequestCtx: third}); peers != nil || r.waits() {
		t.Error("what followers asked a leader that was lost is kept")
	}
	for range maxPeerReads {
		r.ask(from(2))
	}
	r.ask(from(3))
	if n := len(r.openPeers); n != maxPeerReads || r.openPeers[n-1].GetFrom() != 3 {
		t.Errorf("%d rounds of followers wait, the last of %d", n, r.openPeers[n-1].GetFrom())
	}
}
