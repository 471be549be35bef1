package clustertest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"sync"
	"time"

	"go.etcd.io/raft/v3/raftpb"

	"kvd/internal/raftnode"
)

// ErrCrashed is what a disk answers to a process that is dead.
var ErrCrashed = errors.New("process has crashed")

// ErrFault is a failure that a test has asked for.
var ErrFault = errors.New("injected disk fault")

// Disk is the storage of one member over all its lives. What was saved and not
// synced is kept apart; Crash forgets all of it but a random beginning, as a
// file system may.
type Disk struct {
	mu     sync.Mutex
	rng    *rand.Rand
	life   int // rises at each crash: writes of an earlier life have no effect
	synced image
	// unsynced are the writes since, in order.
	unsynced []func(*image)
	bodies   map[uint64][]byte
	identity *raftnode.Identity

	latency func(*rand.Rand) time.Duration
	failIn  int // fail the n-th write from now; 0: none
}

// image is what a log and its snapshot records amount to.
type image struct {
	hardState *raftpb.HardState
	base      *raftpb.SnapshotMetadata // the newest snapshot
	start     uint64                   // the log begins after this index
	log       []*raftpb.Entry
}

func newDisk(rng *rand.Rand) *Disk {
	return &Disk{
		rng:    rng,
		bodies: make(map[uint64][]byte),
		latency: func(r *rand.Rand) time.Duration {
			if r.IntN(200) == 0 {
				return time.Duration(r.IntN(300)) * time.Millisecond // a stall
			}
			return time.Duration(r.IntN(3000)) * time.Microsecond
		},
	}
}

// Crash ends a life: its writes from now on are lost, and so is a random end
// of those that were not synced.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	for _, write := range d.unsynced[:d.rng.IntN(len(d.unsynced)+1)] {
		write(&d.synced)
	}
	d.unsynced, d.failIn = nil, 0
}

// FailAfter makes the n-th write from now fail, and all that follow.
func (d *Disk) FailAfter(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failIn = n
}

// Heal makes the disk work again.
func (d *Disk) Heal() { d.FailAfter(0) }

// Holds reports whether the entry at index is durable here, or a snapshot that
// covers it.
func (d *Disk) Holds(index uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return index <= d.synced.start+uint64(len(d.synced.log)) || index <= d.synced.base.GetIndex()
}

// mount returns the disk as a process of a new life sees it.
func (d *Disk) mount() *mounted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &mounted{d: d, life: d.life}
}

// mounted is the raftnode.Storage of one life.
type mounted struct {
	d    *Disk
	life int
}

var _ raftnode.Storage = (*mounted)(nil)

// write takes its time, then queues one write, or several that can be torn
// apart, and syncs if asked to.
func (m *mounted) write(sync bool, writes ...func(*image)) error {
	d := m.d
	d.mu.Lock()
	if d.life != m.life {
		d.mu.Unlock()
		return ErrCrashed
	}
	if d.failIn > 0 {
		if d.failIn--; d.failIn == 0 {
			d.failIn = 1 // a broken disk stays broken
			d.mu.Unlock()
			return ErrFault
		}
	}
	d.unsynced = append(d.unsynced, writes...)
	pause := d.latency(d.rng)
	d.mu.Unlock()
	if !sync {
		return nil
	}
	time.Sleep(pause)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.life != m.life {
		return ErrCrashed
	}
	for _, write := range d.unsynced {
		write(&d.synced)
	}
	d.unsynced = nil
	return nil
}

// Load implements raftnode.Storage.
func (m *mounted) Load(id raftnode.Identity) (*raftnode.Recovered, error) {
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.identity == nil {
		d.identity = &id
	} else if d.identity.Member != id.Member || d.identity.Cluster != id.Cluster {
		return nil, fmt.Errorf("%w: belongs to member %d", raftnode.ErrDataDir, d.identity.Member)
	}
	im := &d.synced
	rec := &raftnode.Recovered{HardState: im.hardState}
	if im.base.GetIndex() > 0 {
		rec.Snapshot = im.base
	}
	if from := im.base.GetIndex(); from >= im.start {
		rec.Entries = append(rec.Entries, im.log[min(from-im.start, uint64(len(im.log))):]...)
	}
	return rec, nil
}

// Save implements raftnode.LogStorage. Entries are separate writes: a crash
// can keep some of them.
func (m *mounted) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	var writes []func(*image)
	for _, e := range ents {
		writes = append(writes, func(im *image) { im.put(e) })
	}
	if hs != nil {
		writes = append(writes, func(im *image) { im.hardState = hs })
	}
	m.d.mu.Lock()
	was := m.d.synced.hardState
	m.d.mu.Unlock()
	sync := len(ents) > 0 || hs != nil && (hs.GetTerm() != was.GetTerm() || hs.GetVote() != was.GetVote())
	return m.write(sync, writes...)
}

// Sync implements raftnode.LogStorage.
func (m *mounted) Sync() error { return m.write(true) }

// SaveSnapshot implements raftnode.LogStorage.
func (m *mounted) SaveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error {
	// The record and the commit index that makes it valid can be torn apart
	// in a WAL, where the record is then ignored; here they come together.
	return m.write(!installed, func(im *image) {
		im.base = meta
		if index := meta.GetIndex(); installed {
			im.start, im.log = index, nil
			commit := max(index, im.hardState.GetCommit())
			im.hardState = &raftpb.HardState{
				Term: new(im.hardState.GetTerm()), Vote: new(im.hardState.GetVote()), Commit: &commit,
			}
		}
	})
}

// Release implements raftnode.LogStorage.
func (m *mounted) Release(index uint64) error {
	return m.write(false, func(im *image) {
		if index > im.start && index <= im.start+uint64(len(im.log)) {
			im.log = append([]*raftpb.Entry(nil), im.log[index-im.start:]...)
			im.start = index
		}
	})
}

// WriteBody implements raftnode.BodyStorage.
func (m *mounted) WriteBody(index uint64, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := m.write(true); err != nil {
		return err
	}
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.life != m.life {
		return ErrCrashed
	}
	d.bodies = maps.Clone(d.bodies)
	d.bodies[index] = b
	for old := range d.bodies {
		if old+1000 < index && old < d.synced.base.GetIndex() {
			delete(d.bodies, old)
		}
	}
	return nil
}

// OpenBody implements raftnode.BodyStorage.
func (m *mounted) OpenBody(index uint64) (io.ReadCloser, int64, error) {
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.bodies[index]
	if !ok || d.life != m.life {
		return nil, 0, fmt.Errorf("no snapshot %d", index)
	}
	return io.NopCloser(bytes.NewReader(b)), int64(len(b)), nil
}

// put appends an entry, in the place of any with its index or a higher one.
func (im *image) put(e *raftpb.Entry) {
	index := e.GetIndex()
	if index <= im.start {
		im.log = nil
		return
	}
	if index > im.start+uint64(len(im.log))+1 {
		panic(fmt.Sprintf("log index %d follows %d", index, im.start+uint64(len(im.log))))
	}
	im.log = append(im.log[:index-im.start-1:index-im.start-1], e)
}
