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
	failIn  int           // fail the n-th write from now; 0: none
	failure error         // that it fails with
	room    uint64        // bytes that are free
	stalled chan struct{} // not nil: writes that sync wait until it is closed
	keepAll bool
	loseAll bool
	hook    func(Op) error
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
		rng:     rng,
		room:    plenty,
		bodies:  make(map[uint64][]byte),
		latency: ordinaryLatency,
	}
}

func ordinaryLatency(r *rand.Rand) time.Duration {
	if r.IntN(200) == 0 {
		return time.Duration(r.IntN(300)) * time.Millisecond // a stall
	}
	return time.Duration(r.IntN(3000)) * time.Microsecond
}

// Crash ends a life: its writes from now on are lost, and so is a random end
// of those that were not synced.
func (d *Disk) Crash() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.life++
	kept := d.rng.IntN(len(d.unsynced) + 1)
	switch {
	case d.keepAll:
		kept = len(d.unsynced)
	case d.loseAll:
		kept = 0
	}
	for _, write := range d.unsynced[:kept] {
		write(&d.synced)
	}
	d.unsynced, d.failIn = nil, 0
	d.unstallLocked()
}

// SetLatency says how long a write that syncs takes.
func (d *Disk) SetLatency(f func(*rand.Rand) time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.latency = f
}

// Stall makes every write that syncs wait, from now until Unstall or a crash.
func (d *Disk) Stall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stalled == nil {
		d.stalled = make(chan struct{})
	}
}

// Unstall ends a Stall.
func (d *Disk) Unstall() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unstallLocked()
}

func (d *Disk) unstallLocked() {
	if d.stalled != nil {
		close(d.stalled)
		d.stalled = nil
	}
}

// FailAfter makes the n-th write from now fail, and all that follow.
func (d *Disk) FailAfter(n int) { d.fail(n, ErrFault) }

func (d *Disk) fail(n int, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.failIn, d.failure = n, err
}

// Heal makes the disk work again.
func (d *Disk) Heal() {
	d.FailAfter(0)
	d.SetFree(plenty)
	d.Unstall()
}

// Holds reports whether the entry at index is durable here, or a snapshot that
// covers it.
func (d *Disk) Holds(index uint64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return index <= d.synced.start+uint64(len(d.synced.log)) || index <= d.synced.base.GetIndex()
}

// mount returns the disk as a process of a new life sees it.
func (d *Disk) mount(g *gate) *mounted {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &mounted{d: d, life: d.life, gate: g}
}

// mounted is the raftnode.Storage of one life.
type mounted struct {
	d    *Disk
	life int
	gate *gate
}

var _ raftnode.Storage = (*mounted)(nil)

// write takes its time, then queues one write, or several that can be torn
// apart, and syncs if asked to.
func (m *mounted) write(op string, sync bool, writes ...func(*image)) error {
	d := m.d
	m.gate.pass()
	if err := d.pass(op, false); err != nil {
		return err
	}
	d.mu.Lock()
	if d.life != m.life {
		d.mu.Unlock()
		return ErrCrashed
	}
	if d.failIn > 0 {
		if d.failIn--; d.failIn == 0 {
			d.failIn = 1 // a broken disk stays broken
			err := d.failure
			d.mu.Unlock()
			return err
		}
	}
	d.unsynced = append(d.unsynced, writes...)
	pause, stalled := d.latency(d.rng), d.stalled
	d.mu.Unlock()
	if err := d.pass(op, true); err != nil {
		return err
	}
	if !sync {
		return nil
	}
	if time.Sleep(pause); stalled != nil {
		<-stalled
	}
	m.gate.pass()
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
	from := im.base.GetIndex()
	if from < im.start {
		return nil, fmt.Errorf("%w: the log begins after index %d, its snapshot is %d", raftnode.ErrDataDir, im.start, from)
	}
	rec.Entries = append(rec.Entries, im.log[min(from-im.start, uint64(len(im.log))):]...)
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
	return m.write("save", sync, writes...)
}

// Sync implements raftnode.LogStorage.
func (m *mounted) Sync() error { return m.write("sync", true) }

// SaveSnapshot implements raftnode.LogStorage.
func (m *mounted) SaveSnapshot(meta *raftpb.SnapshotMetadata, installed bool) error {
	// The record and the commit index that makes it valid can be torn apart
	// in a WAL, where the record is then ignored; here they come together.
	op := "snapshot"
	if installed {
		op = "install"
	}
	return m.write(op, !installed, func(im *image) {
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

// Prepare implements raftnode.LogStorage: saves are as fast as they are.
func (m *mounted) Prepare() {}

// Release implements raftnode.LogStorage. It does not wait for its turn among
// what is not synced: a file that is removed can be gone while others still
// lack what was written to them before.
func (m *mounted) Release(index uint64) error {
	if err := m.write("release", false); err != nil {
		return err
	}
	m.d.mu.Lock()
	defer m.d.mu.Unlock()
	if m.d.life != m.life {
		return ErrCrashed
	}
	m.d.bodies = maps.Clone(m.d.bodies)
	maps.DeleteFunc(m.d.bodies, func(old uint64, _ []byte) bool { return old < index })
	im := &m.d.synced
	if index > im.start {
		gone := min(index-im.start, uint64(len(im.log)))
		im.log = append([]*raftpb.Entry(nil), im.log[gone:]...)
		im.start += gone
	}
	return nil
}

// WriteBody implements raftnode.BodyStorage.
func (m *mounted) WriteBody(index uint64, r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if err := m.write("body", true); err != nil {
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
	return nil
}

// OpenBody implements raftnode.BodyStorage.
func (m *mounted) OpenBody(index uint64) (io.ReadSeekCloser, int64, error) {
	d := m.d
	d.mu.Lock()
	defer d.mu.Unlock()
	b, ok := d.bodies[index]
	if !ok || d.life != m.life {
		return nil, 0, fmt.Errorf("no snapshot %d", index)
	}
	return openBody{bytes.NewReader(b)}, int64(len(b)), nil
}

// openBody is a body as an open file: it stays when the disk gives it up.
type openBody struct{ *bytes.Reader }

func (openBody) Close() error { return nil }

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
