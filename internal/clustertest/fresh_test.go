package clustertest

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

var freshSeeds = flag.Uint64("fresh.seeds", 1, "how many runs of TestReadsAtAnElection, each of ten elections")

// freshness writes one key and reads it everywhere: a read that begins after a
// revision of it was acknowledged must not return an older one.
type freshness struct {
	mu            sync.Mutex
	acked         uint64 // revision
	reads, writes int
	stale         int
	example       string
}

func (f *freshness) newest() uint64 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.acked
}

// write puts something by way of a member; false: it was not acknowledged.
func (f *freshness) write(db *kvstore.DB) bool {
	if db == nil {
		return false
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	res, err := db.Put(ctx, []byte("n"), nil, kvstore.PutOptions{})
	if err != nil {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.writes++
	f.acked = max(f.acked, res.ModRevision)
	return true
}

// read reads once, if it can, and compares.
func (f *freshness) read(m *Member, limit time.Duration) {
	db := m.DB()
	if db == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	want, begun := f.newest(), time.Now()
	r, err := db.Get(ctx, []byte("n"), kvstore.GetOptions{})
	if err != nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.reads++; r.ModRevision < want {
		f.stale++
		f.example = fmt.Sprintf("member %d read revision %d after %v, %d had been acknowledged when it began", m.ID, r.ModRevision, time.Since(begun), want)
	}
}

// readers read on a member all the time until the test's done is closed,
// without waiting for one another.
func (f *freshness) readers(wg *sync.WaitGroup, done chan struct{}, m *Member, every, limit time.Duration) {
	wg.Go(func() {
		for {
			select {
			case <-done:
				return
			case <-time.After(every):
			}
			wg.Go(func() { f.read(m, limit) })
		}
	})
}

func fresh(t *testing.T, seed uint64, cfg raftnode.Config, round func(c *Cluster, f *freshness, leader *Member)) *freshness {
	seed = seeded(t, seed)
	f := &freshness{}
	synctest.Test(t, func(t *testing.T) {
		c := New(t, seed, 3, cfg)
		defer c.Close()
		c.StartAll()
		var wg sync.WaitGroup
		done := make(chan struct{})
		for _, m := range c.Members() {
			f.readers(&wg, done, m, 10*time.Millisecond, 3*time.Second)
		}
		for range 10 {
			leader, err := c.WaitLeader(20 * time.Second)
			if err != nil {
				t.Fatal(err)
			}
			round(c, f, leader)
			c.Net.SetFilter(nil)
			c.Net.Heal()
			c.Revive()
		}
		close(done)
		wg.Wait()
		for _, v := range c.Violations() {
			t.Errorf("invariant broken: %s", v)
		}
	})
	t.Logf("%d reads, %d writes", f.reads, f.writes)
	if f.reads < 500 || f.writes < 80 {
		t.Errorf("%d reads answered, %d writes: the run shows nothing", f.reads, f.writes)
	}
	return f
}

// TestReadsAtAnElection is about a new leader that answers reads before it has
// committed an entry of its own term: it does not know yet how far the leader
// before it had committed (etcd issue 7331). The leader dies in the moment in
// which it acknowledges a write, before anybody else can hear that the write is
// committed; readers ask every member all the time.
func TestReadsAtAnElection(t *testing.T) {
	for seed := range *freshSeeds {
		f := fresh(t, seed, raftnode.Config{}, func(c *Cluster, f *freshness, leader *Member) {
			for range 20 {
				f.write(leader.DB())
			}
			time.Sleep(300 * time.Millisecond) // until all know what is committed
			st, err := leader.Node().Status(within(t, time.Second))
			if err != nil {
				t.Fatal(err)
			}
			c.Net.SetFilter(func(m *raftpb.Message) Fate {
				return Fate{Lose: m.GetFrom() == leader.ID && m.GetCommit() > st.Commit}
			})
			f.write(leader.DB())
			leader.Kill()
			time.Sleep(2500 * time.Millisecond)
		})
		if f.stale > 0 {
			t.Errorf("seed %d: %d of %d reads are stale: %s", seed, f.stale, f.reads, f.example)
		}
	}
}

// TestReadsAfterLateConfirmations is about a leader that lost its office while
// the confirmation of a read was under way: if a second attempt goes by the same
// context, the late answer to the first one serves readers who came after
// others had already written elsewhere (etcd issue 20418). Answers to heartbeats
// reach the old leader when it can no longer be heard: so late that there is
// another, and so early that it does not know.
func TestReadsAfterLateConfirmations(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed+*firstSeed-1, 5))
		f := fresh(t, seed, raftnode.Config{}, func(c *Cluster, f *freshness, leader *Member) {
			f.write(leader.DB())
			lateConfirmations(c, leader, time.Duration(1500+rng.IntN(500))*time.Millisecond)
			for range 50 {
				for _, m := range c.Members() {
					if m != leader && f.write(m.DB()) {
						break
					}
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		if f.stale > 0 {
			t.Errorf("seed %d: %d of %d reads are stale: %s", seed, f.stale, f.reads, f.example)
		}
	}
}

// TestReadsAfterLateAnswers is about followers' rounds of reads that are under way
// while the leader changes: their answers are late, some of them so late that there
// is another leader, and others have written since.
func TestReadsAfterLateAnswers(t *testing.T) {
	for seed := range uint64(3) {
		rng := rand.New(rand.NewPCG(seed+*firstSeed-1, 6))
		f := fresh(t, seed, raftnode.Config{}, func(c *Cluster, f *freshness, leader *Member) {
			var mu sync.Mutex
			begun := time.Now()
			c.Net.SetFilter(func(m *raftpb.Message) Fate {
				mu.Lock()
				defer mu.Unlock()
				switch {
				case m.GetType() == raftpb.MsgReadIndexResp:
					return Fate{Delay: time.Duration(rng.Int64N(int64(2 * time.Second)))}
				case m.GetFrom() == leader.ID || m.GetTo() == leader.ID:
					return Fate{Lose: time.Since(begun) > 300*time.Millisecond}
				}
				return Fate{}
			})
			for range 100 {
				for _, m := range c.Members() {
					if (m != leader || time.Since(begun) < 300*time.Millisecond) && f.write(m.DB()) {
						break
					}
				}
				time.Sleep(20 * time.Millisecond)
			}
		})
		if f.stale > 0 {
			t.Errorf("seed %d: %d of %d reads are stale: %s", seed, f.stale, f.reads, f.example)
		}
	}
}

// TestReadAskedOfALostLeader: a follower's read that waits for an answer of a leader
// which is lost meanwhile is answered by the next, and shows what that has committed.
func TestReadAskedOfALostLeader(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		put(t, leader, "k", "old")
		reader := c.follower(leader)
		c.Net.SetFilter(func(m *raftpb.Message) Fate { // the leader cannot confirm anything
			return Fate{Lose: m.GetType() == raftpb.MsgHeartbeatResp && m.GetTo() == leader.ID}
		})
		var wg sync.WaitGroup
		begin := time.Now()
		wg.Go(func() {
			if got := get(t, reader, "k"); got != "old" && got != "new" {
				t.Errorf("read %q", got)
			}
			if took := time.Since(begin); took > 6*time.Second {
				t.Errorf("it took %v", took)
			}
		})
		time.Sleep(100 * time.Millisecond) // it has asked, and the leader has taken it in
		c.Net.SetFilter(nil)
		c.Net.Isolate(leader.ID, 1, 2, 3)
		for _, m := range c.Members() {
			if m != leader {
				put(t, m, "k", "new")
				break
			}
		}
		if got := get(t, reader, "k"); got != "new" {
			t.Errorf("read %q after \"new\" was acknowledged", got)
		}
		wg.Wait()
	})
}

// lateConfirmations lets nobody hear the leader any more, and delays what it
// still hears: the answers to heartbeats of this term.
func lateConfirmations(c *Cluster, leader *Member, late time.Duration) {
	var mu sync.Mutex
	begun := time.Now()
	c.Net.SetFilter(func(m *raftpb.Message) Fate {
		mu.Lock()
		defer mu.Unlock()
		switch {
		case m.GetTo() == leader.ID && m.GetType() == raftpb.MsgHeartbeatResp:
			return Fate{Delay: late + time.Duration(m.GetFrom())*7*time.Millisecond}
		case m.GetTo() == leader.ID:
			return Fate{Lose: true}
		case m.GetFrom() == leader.ID:
			return Fate{Lose: time.Since(begun) > 50*time.Millisecond}
		}
		return Fate{}
	})
}

// TestLostReadIndex is about reads that raft loses without an error: the
// question of a follower, its answer, or what confirms it. The reader must be
// served all the same, by another attempt.
func TestLostReadIndex(t *testing.T) {
	for _, typ := range []raftpb.MessageType{
		raftpb.MsgReadIndex, raftpb.MsgReadIndexResp, raftpb.MsgHeartbeat, raftpb.MsgHeartbeatResp,
	} {
		t.Run(typ.String(), func(t *testing.T) {
			virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
				put(t, leader, "k", "v")
				var mu sync.Mutex
				lost := 0
				c.Net.SetFilter(func(m *raftpb.Message) Fate {
					mu.Lock()
					defer mu.Unlock()
					if m.GetType() != typ || lost == 4 {
						return Fate{}
					}
					lost++
					return Fate{Lose: true}
				})
				begin := time.Now()
				if got := get(t, c.follower(leader), "k"); got != "v" {
					t.Errorf("read %q", got)
				}
				if took := time.Since(begin); took > 3*time.Second {
					t.Errorf("it took %v", took)
				}
				mu.Lock()
				defer mu.Unlock()
				if lost == 0 {
					t.Error("nothing was lost")
				}
			})
		})
	}
}

// TestReadWithoutAnswerEnds is about a read that hangs: nobody ever answers the
// follower, which still has a leader.
func TestReadWithoutAnswerEnds(t *testing.T) {
	virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
		c.Net.SetFilter(func(m *raftpb.Message) Fate { return Fate{Lose: m.GetType() == raftpb.MsgReadIndex} })
		begin := time.Now()
		_, err := c.follower(leader).DB().Get(within(t, 2*time.Second), []byte("k"), kvstore.GetOptions{})
		if took := time.Since(begin); !errors.Is(err, raftnode.ErrNoLeader) || took != 2*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}
