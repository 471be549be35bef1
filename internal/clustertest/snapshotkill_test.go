package clustertest

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"kvd/internal/kvstore"
	"kvd/internal/raftnode"
)

// killer kills a member at the n-th moment of its disk's work after the first
// moment of an operation.
type killer struct {
	m     *Member
	after string
	n     int

	mu   sync.Mutex
	seen int    // moments since
	at   string // where it struck
}

func (k *killer) pass(op Op) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.at != "" || k.seen == 0 && op.Name != k.after {
		return nil
	}
	if k.seen++; k.seen <= k.n {
		return nil
	}
	k.at = fmt.Sprintf("%s, written %v", op.Name, op.Written)
	k.m.Kill()
	return ErrCrashed
}

func (k *killer) struck() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.at != ""
}

// killPoints is more than a snapshot takes, from its first byte to the end of
// what it releases, with the entries saved meanwhile.
const killPoints = 14

// losses are what becomes of writes that were not synced.
var losses = map[string]func(*Disk){
	"all": (*Disk).LoseAll, "a part": func(*Disk) {}, "nothing": (*Disk).KeepAll,
}

// TestKilledWhileTakingASnapshot is about the order in which a snapshot is
// written: a record in the log without its file, a log released before what
// replaces it is safe, and a restart fails or has lost entries. The member dies
// at every moment of it, and forgets all, a part, or nothing of what was not synced.
func TestKilledWhileTakingASnapshot(t *testing.T) {
	for n := range killPoints {
		for loss, lose := range losses {
			t.Run(fmt.Sprint(n, "/", loss), func(t *testing.T) {
				virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
					victim := leader
					if n%2 == 0 {
						victim = c.follower(leader)
					}
					lose(victim.Disk)
					k := &killer{m: victim, after: "body", n: n}
					victim.Disk.OnOp(k.pass)
					killedAndBack(t, c, victim, k)
				})
			})
		}
	}
}

// TestKilledWhileInstallingASnapshot is the same for a snapshot of the leader.
// Its record counts only with the commit index that is saved after it: a log
// released before both are synced ends before what the member has committed
// (etcd issue 10219), and raft refuses to start.
func TestKilledWhileInstallingASnapshot(t *testing.T) {
	for n := range killPoints {
		for loss, lose := range losses {
			t.Run(fmt.Sprint(n, "/", loss), func(t *testing.T) {
				virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
					victim := c.follower(leader)
					lose(victim.Disk)
					c.Net.Isolate(victim.ID, 1, 2, 3)
					for i := range 150 {
						put(t, leader, fmt.Sprint("before", i%10), fmt.Sprint(i))
					}
					k := &killer{m: victim, after: "install", n: n}
					victim.Disk.OnOp(k.pass)
					c.Net.Heal()
					killedAndBack(t, c, victim, k)
				})
			})
		}
	}
}

// killedAndBack writes until the member is dead, and goes on without it for a
// while; then it must come back with all there is.
func killedAndBack(t *testing.T, c *Cluster, victim *Member, k *killer) {
	var other *Member
	for _, m := range c.Members() {
		if m != victim {
			other = m
		}
	}
	i := 0
	write := func() {
		key, value := []byte(fmt.Sprint("k", i%10)), []byte(fmt.Sprint(i))
		for { // its outcome can be lost with the leader
			_, err := other.DB().Put(within(t, 10*time.Second), key, value, kvstore.PutOptions{})
			if err == nil {
				break
			}
			if !errors.Is(err, raftnode.ErrOutcomeUnknown) {
				t.Fatalf("put %s on member %d: %v", key, other.ID, err)
			}
		}
		i++
	}
	for !k.struck() && i < 1000 {
		write()
	}
	if !k.struck() {
		t.Fatal("nobody was killed")
	}
	t.Logf("killed at %s", k.at)
	for range 20 {
		write()
	}
	victim.Disk.OnOp(nil)
	victim.Crash()
	victim.Start()
	if victim.Node() == nil {
		return // Violations tells
	}
	eventually(t, "the member that was killed to be back", func() bool {
		return victim.Node().Ready() == nil
	})
	settle(t, c)
	// Once more: what the second life has made of it must be in order too.
	time.Sleep(time.Second)
	victim.Crash()
	victim.Start()
	settle(t, c)
}
