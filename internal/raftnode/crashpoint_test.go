package raftnode

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// imagingDisk copies its directory before and after each step of a snapshot: what a
// process that is killed there leaves behind. It also notes the order of the steps.
type imagingDisk struct {
	*Disk
	t      testing.TB
	images string
	shoot  atomic.Bool

	mu    sync.Mutex
	steps []string // while shoot is set
}

func (d *imagingDisk) step(name string, f func() error) error {
	if !d.shoot.Load() {
		return f()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.image("before-" + name)
	err := f()
	d.steps = append(d.steps, name)
	d.image("after-" + name)
	return err
}

func (d *imagingDisk) image(name string) {
	to := filepath.Join(d.images, fmt.Sprintf("%02d-%s", len(d.steps), name))
	if err := os.CopyFS(to, os.DirFS(d.dir)); err != nil {
		d.t.Error(err)
	}
}

func (d *imagingDisk) WriteBody(index uint64, r io.Reader) error {
	return d.step("body", func() error { return d.Disk.WriteBody(index, r) })
}

func (d *imagingDisk) SaveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error {
	return d.step("record", func() error { return d.Disk.SaveSnapshot(meta, installed) })
}

func (d *imagingDisk) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	return d.step("save", func() error { return d.Disk.Save(hs, ents) })
}

func (d *imagingDisk) Sync() error { return d.step("sync", d.Disk.Sync) }

func (d *imagingDisk) Release(index uint64) error {
	return d.step("release", func() error { return d.Disk.Release(index) })
}

// eachImage starts a member on each image that was taken.
func (d *imagingDisk) eachImage(f func(name string, n *Node[int], sm testMachine)) {
	names, err := os.ReadDir(d.images)
	if err != nil || len(names) < 4 {
		d.t.Fatalf("%d images, %v", len(names), err)
	}
	for _, name := range names {
		image, err := OpenDisk(filepath.Join(d.images, name.Name()), nil)
		if err != nil {
			d.t.Errorf("%s: %v", name.Name(), err)
			continue
		}
		sm := newTestMachine()
		n, err := New(singleConfig(), sm, image)
		if err == nil {
			err = n.Open()
		}
		if err != nil {
			d.t.Errorf("%s: %v", name.Name(), err)
		} else {
			f(name.Name(), n, sm)
		}
		kill(image)
	}
}

// TestKilledWhileTakingASnapshot: at no step is anything lost that was acknowledged,
// and the steps come in the order that makes it so.
func TestKilledWhileTakingASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		disk, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		d := &imagingDisk{Disk: disk, t: t, images: t.TempDir()}
		n, stop := start(t, manual(), newTestMachine(), d)
		ctx := within(t, time.Hour)
		var want []string
		for round := range 3 { // so that there is something to release
			for i := range 20 {
				want = append(want, fmt.Sprintf("%d/%d", round, i))
				propose(t, n, want[len(want)-1])
			}
			time.Sleep(time.Second)
			d.shoot.Store(round == 2)
			if _, err := n.TakeSnapshot(ctx); err != nil {
				t.Fatal(err)
			}
			synctest.Wait()
		}
		d.shoot.Store(false)
		must(t, stop())
		if got, want := strings.Join(d.steps, " "), "body record release"; got != want {
			t.Errorf("steps %s, want %s", got, want)
		}
		kill(disk)
		d.eachImage(func(name string, n *Node[int], sm testMachine) {
			// What is committed by the hard state is applied in Run; the rest is there.
			have := slices.Clone(sm.log.cmds)
			var ents []*raftpb.Entry
			if last := lastIndex(n); last > n.header.Index {
				var err error
				if ents, err = n.mem.Entries(n.header.Index+1, last+1, ^uint64(0)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, e := range ents {
				if h, payload, err := decodeEntry(e.GetData()); err == nil && h.kind == kindCommands {
					cmds, err := decodeCommands(nil, payload)
					if err != nil {
						t.Errorf("%s: %v", name, err)
					}
					for _, c := range cmds {
						have = append(have, string(c))
					}
				}
			}
			if !slices.Equal(have, want) {
				t.Errorf("%s: %d commands, want %d", name, len(have), len(want))
			}
		})
	})
}

// TestKilledWhileInstallingASnapshot: the member has either what it had or the
// snapshot, never a log that ends before its commit index (etcd issue 10219), and the
// log is not given up before the hard state is durable that makes the snapshot valid.
func TestKilledWhileInstallingASnapshot(t *testing.T) {
	disk, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	d := &imagingDisk{Disk: disk, t: t, images: t.TempDir()}
	n, err := New(singleConfig(), newTestMachine(), d)
	must(t, err)
	must(t, n.Open(), d.Save(hardState(1, 15), entries(1, 1, 20)), n.mem.Append(entries(1, 1, 20)))

	d.shoot.Store(true)
	w := newWALWriter(n, deafTransport{})
	const at = 500
	must(t, d.WriteBody(at, strings.NewReader(string(body(t, 3, at, "x\ny\nz")))))
	hs := hardState(3, at)
	must(t, w.installSnapshot(&raftpb.Message{
		Type: raftpb.MsgStorageAppend.Enum(), Term: hs.Term, Vote: hs.Vote, Commit: hs.Commit,
		Snapshot: &raftpb.Snapshot{Metadata: snapshotMeta(3, at)},
		Entries:  entries(3, at+1, at+2),
	}))
	if got, want := strings.Join(d.steps, " "), "body record save sync release"; got != want {
		t.Errorf("steps %s, want %s", got, want)
	}
	kill(disk)
	d.eachImage(func(name string, n *Node[int], _ testMachine) {
		snapshot, last, commit := n.header.Index, lastIndex(n), n.commit.Load()
		switch {
		case snapshot == 0 && last == 20 && commit == 15:
		case snapshot == at && last >= at && commit >= at:
		default:
			t.Errorf("%s: snapshot %d, last index %d, commit %d", name, snapshot, last, commit)
		}
		if strings.Contains(name, "release") && snapshot != at {
			t.Errorf("%s: the snapshot is not there", name)
		}
	})
}

func lastIndex(n *Node[int]) uint64 {
	last, _ := n.mem.LastIndex()
	return last
}
