package clustertest

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"testing"
	"time"

	"kvd/internal/kvstore"
)

// fault breaks a disk at one moment of its work, for good; where bodies of snapshots
// fail, these alone, since the next failure of the log would end the member as well.
type fault struct {
	op  string
	err error

	mu   sync.Mutex
	at   time.Time // zero: not yet
	more []string  // what the log was asked for after it
}

func (f *fault) pass(op Op) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.at.IsZero() {
		f.more = append(f.more, op.Name)
		if f.op == "body" && op.Name != "body" {
			return nil
		}
		return f.err
	}
	if op.Name != f.op {
		return nil
	}
	f.at = time.Now()
	return f.err
}

func (f *fault) happened() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return !f.at.IsZero()
}

// TestDiskErrorEndsTheMember is about errors of a disk that are ignored, or
// tried again: an fsync that failed once can succeed the next time although
// what it was for is gone. Whatever fails, the member ends at once, acknowledges
// nothing more and leaves the disk alone; and nothing acknowledged is lost when the
// disk works again. A full disk is no exception, but for the body of a snapshot, which
// is put off (raftnode.TestSnapshotWithoutRoom).
func TestDiskErrorEndsTheMember(t *testing.T) {
	tests := []struct {
		op       string
		received bool // on the way of a peer's snapshot
	}{
		{"save", false}, {"body", false}, {"snapshot", false}, {"release", false},
		{"install", true}, {"sync", true}, {"save", true}, {"release", true},
	}
	for _, tt := range tests {
		for _, err := range []error{syscall.EIO, syscall.ENOSPC} {
			for _, leads := range []bool{true, false} {
				if leads && tt.received {
					continue // a leader receives no snapshots
				}
				if tt.op == "body" && err == syscall.ENOSPC {
					continue // it is put off
				}
				t.Run(fmt.Sprintf("%s/%v/received %v/leader %v", tt.op, err, tt.received, leads), func(t *testing.T) {
					virtual(t, func(t *testing.T, c *Cluster, leader *Member) {
						victim := leader
						if !leads {
							victim = c.follower(leader)
						}
						f := &fault{op: tt.op, err: err}
						acked := make(map[string]string)
						if tt.received {
							c.Net.Isolate(victim.ID, 1, 2, 3)
							for i := range 150 {
								put(t, leader, "before", fmt.Sprint(i))
							}
							acked["before"] = "149"
							armOnInstall(victim.Disk, f)
							c.Net.Heal()
						} else {
							victim.Disk.OnOp(f.pass)
						}
						failedDisk(t, c, victim, f, acked)
					})
				})
			}
		}
	}
}

// armOnInstall lets a fault count from the moment in which a snapshot of a peer
// is recorded.
func armOnInstall(d *Disk, f *fault) {
	var mu sync.Mutex
	armed := false
	d.OnOp(func(op Op) error {
		mu.Lock()
		defer mu.Unlock()
		if armed = armed || op.Name == "install"; !armed {
			return nil
		}
		return f.pass(op)
	})
}

// failedDisk writes until the fault has happened, and looks at what follows.
func failedDisk(t *testing.T, c *Cluster, victim *Member, f *fault, acked map[string]string) {
	db := victim.DB()
	for i := range 2000 {
		late := f.happened()
		if _, ended := victim.Ended(); ended {
			break
		}
		key, value := fmt.Sprint("k", i%7), fmt.Sprint(i)
		_, err := db.Put(within(t, time.Second), []byte(key), []byte(value), kvstore.PutOptions{})
		switch {
		case err == nil && late:
			t.Errorf("a write was acknowledged %v after the fault", time.Since(f.at))
		case err == nil:
			acked[key] = value
		default:
			delete(acked, key) // it may have happened
		}
	}
	if !f.happened() {
		t.Fatal("the fault has not happened")
	}
	err, ended := victim.Ended()
	if !ended || !errors.Is(err, f.err) {
		t.Fatalf("ended %v with %v", ended, err)
	}
	if took := time.Since(f.at); took > time.Second {
		t.Errorf("it took %v to end", took)
	}
	// A body is written beside the log, which may be asked for something before
	// it hears of the end.
	if len(f.more) > 0 && f.op != "body" {
		t.Errorf("%v was tried after %s had failed", f.more, f.op)
	}
	if _, err := db.Put(within(t, time.Second), []byte("x"), nil, kvstore.PutOptions{}); err == nil {
		t.Error("a member that has ended acknowledges")
	}

	victim.Disk.OnOp(nil)
	c.Revive()
	for key, value := range acked {
		if got := get(t, victim, key); got != value {
			t.Errorf("%s reads %q, %q was acknowledged", key, got, value)
		}
	}
	time.Sleep(time.Second) // for writes without an answer
	settle(t, c)
}
