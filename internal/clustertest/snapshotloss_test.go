package clustertest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
)

// behind leaves a follower so far behind that only a snapshot helps.
func behind(t *testing.T, c *Cluster, leader, m *Member) {
	t.Helper()
	c.Net.Isolate(m.ID, 1, 2, 3)
	for i := range 150 {
		put(t, leader, fmt.Sprint("k", i%10), fmt.Sprint(i))
	}
}

// caughtUp waits until a member has all that the leader has applied.
func caughtUp(t *testing.T, leader, m *Member) {
	t.Helper()
	st, err := leader.Node().Status(within(t, time.Second))
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the member to catch up", func() bool {
		m.c.Revive() // who was killed
		n := m.Node()
		if n == nil {
			return false
		}
		got, err := n.Status(within(t, time.Second))
		return err == nil && got.Applied >= st.Applied
	})
}

// TestSnapshotsThatFailAtFirst is about a leader that is never told that a snapshot did not
// arrive, and waits for ever for the answer of a follower that it has ceased to
// send anything else (etcd issue 10225). Every first attempt fails, each time
// in another way; the follower must be back within 30 s, while clients write.
func TestSnapshotsThatFailAtFirst(t *testing.T) {
	tests := []struct {
		name string
		// harm spoils an attempt; only what names the first does so.
		harm func(c *Cluster, victim *Member) func(attempt int) Fate
	}{
		{"cut on its way", func(*Cluster, *Member) func(int) Fate {
			return func(attempt int) Fate { return Fate{Lose: attempt%2 == 1} }
		}},
		{"cut four times", func(*Cluster, *Member) func(int) Fate {
			return func(attempt int) Fate { return Fate{Lose: attempt < 5} }
		}},
		{"the receiver dies as it begins", func(_ *Cluster, victim *Member) func(int) Fate {
			return func(attempt int) Fate {
				if attempt == 1 {
					victim.Kill()
				}
				return Fate{}
			}
		}},
		{"the receiver dies while it is stored", func(_ *Cluster, victim *Member) func(int) Fate {
			k := &killer{m: victim, after: "body", n: 1}
			victim.Disk.OnOp(k.pass)
			return func(int) Fate { return Fate{} }
		}},
		{"the receiver dies while it is installed", func(_ *Cluster, victim *Member) func(int) Fate {
			k := &killer{m: victim, after: "install", n: 1}
			victim.Disk.OnOp(k.pass)
			return func(int) Fate { return Fate{} }
		}},
		{"the receiver cannot store it at first", func(_ *Cluster, victim *Member) func(int) Fate {
			failed := false
			victim.Disk.OnOp(func(op Op) error {
				if op.Name == "body" && !failed {
					failed = true
					return ErrFault
				}
				return nil
			})
			return func(int) Fate { return Fate{} }
		}},
		{"it comes when its sender has stopped waiting", func(*Cluster, *Member) func(int) Fate {
			return func(attempt int) Fate {
				if attempt == 1 {
					return Fate{Delay: 4 * time.Second}
				}
				return Fate{}
			}
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
				victim := c.follower(leader)
				behind(t, c, leader, victim)
				harm := tt.harm(c, victim)
				var mu sync.Mutex
				attempts := 0
				c.Net.SetFilter(func(m *raftpb.Message) Fate {
					mu.Lock()
					defer mu.Unlock()
					if m.GetType() != raftpb.MsgSnap || m.GetTo() != victim.ID {
						return Fate{}
					}
					attempts++
					return harm(attempts)
				})
				c.Net.Heal()
				for i := range 40 { // load, so that there are newer snapshots too
					put(t, leader, "load", fmt.Sprint(i))
					time.Sleep(20 * time.Millisecond)
				}
				caughtUp(t, leader, victim)
				if attempts == 0 {
					t.Error("no snapshot was sent")
				}
				victim.Disk.OnOp(nil)
				settle(t, c)
			})
		})
	}
}

// TestSnapshotsAtOnce is about several snapshots that reach a member together,
// or out of order (etcd issues 18055 and 20426): one that is installed while
// another is, or an older one after a newer one, and the state goes back or the
// log no longer fits it.
func TestSnapshotsAtOnce(t *testing.T) {
	for _, order := range [][]int{{0, 1}, {1, 0}, {1, 1}, {0, 1, 0, 1, 0}} {
		for _, apart := range []time.Duration{0, time.Millisecond, 10 * time.Millisecond} {
			t.Run(fmt.Sprint(order, apart), func(t *testing.T) {
				virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
					snapshotsAtOnce(t, c, leader, order, apart)
				})
			})
		}
	}
}

type capturedSnapshot struct {
	msg  *raftpb.Message
	body []byte
}

func snapshotsAtOnce(t *testing.T, c *Cluster, leader *Member, order []int, apart time.Duration) {
	victim := c.follower(leader)
	behind(t, c, leader, victim)
	// Two that the leader sends are held back, one older than the other.
	var mu sync.Mutex
	var held []capturedSnapshot
	c.Net.SetFilter(func(m *raftpb.Message) Fate {
		if m.GetType() != raftpb.MsgSnap {
			return Fate{}
		}
		mu.Lock()
		defer mu.Unlock()
		index := m.GetSnapshot().GetMetadata().GetIndex()
		if len(held) == 2 || len(held) == 1 && index <= held[0].msg.GetSnapshot().GetMetadata().GetIndex() {
			return Fate{Lose: len(held) < 2}
		}
		body, _, err := c.Member(m.GetFrom()).Node().OpenSnapshot(index)
		if err != nil {
			return Fate{Lose: true}
		}
		b, _ := io.ReadAll(body)
		held = append(held, capturedSnapshot{proto.Clone(m).(*raftpb.Message), b})
		return Fate{Lose: true}
	})
	count := func() int { mu.Lock(); defer mu.Unlock(); return len(held) }
	c.Net.Heal()
	for i := range 2000 {
		if put(t, leader, "load", fmt.Sprint(i)); count() == 2 {
			break
		}
	}
	if count() < 2 {
		t.Fatal("no two snapshots were sent")
	}
	// Now they come, while the leader sends its own.
	var wg sync.WaitGroup
	for i, which := range order {
		wg.Go(func() {
			time.Sleep(time.Duration(i) * apart)
			s := held[which]
			err := victim.Node().ReceiveSnapshot(context.Background(), proto.Clone(s.msg).(*raftpb.Message),
				&slowReader{bytes.NewReader(s.body), time.Millisecond})
			if err != nil {
				t.Errorf("snapshot %d: %v", which, err)
			}
		})
	}
	// What the member shows never goes back.
	var seen []uint64
	for range 50 {
		st, err := victim.Node().Status(within(t, time.Second))
		if err != nil {
			t.Fatal(errors.Join(err, ended(victim)))
		}
		seen = append(seen, st.Applied)
		time.Sleep(2 * time.Millisecond)
	}
	wg.Wait()
	if !slices.IsSorted(seen) {
		t.Errorf("the applied index went back: %v", slices.Compact(seen))
	}
	put(t, leader, "after", "both")
	caughtUp(t, leader, victim)
	settle(t, c)
	victim.Disk.LoseAll()
	victim.Crash()
	victim.Start()
	settle(t, c)
}

func ended(m *Member) error {
	err, _ := m.Ended()
	return err
}

// slowReader takes its time for every read.
type slowReader struct {
	r     io.Reader
	pause time.Duration
}

func (s *slowReader) Read(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.r.Read(p[:min(len(p), 256)])
}
