package raftnode

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/raft/v3/raftpb"
)

// countedBodies counts what is written, and lets a test say how it goes.
type countedBodies struct {
	Storage
	writes atomic.Int64
	write  func(index uint64, r io.Reader) error // nil: the storage's own
}

func (s *countedBodies) WriteBody(index uint64, r io.Reader) error {
	s.writes.Add(1)
	if s.write != nil {
		return s.write(index, r)
	}
	return s.Storage.WriteBody(index, r)
}

// manual is a member that takes no snapshot unless it is asked to.
func manual() Config {
	cfg := singleConfig()
	cfg.SnapshotEntries = 1 << 40
	return cfg
}

func propose(t *testing.T, n *Node[int], cmds ...string) {
	t.Helper()
	for _, c := range cmds {
		if _, err := n.Propose(within(t, time.Hour), []byte(c)); err != nil {
			t.Fatal(err)
		}
	}
}

// stateOf reads the commands out of a snapshot, and checks it on the way.
func stateOf(t *testing.T, body io.Reader) string {
	t.Helper()
	r := newBodyReader(body)
	if _, err := readBodyHeader(r); err != nil {
		t.Fatal(err)
	}
	state, err := io.ReadAll(r)
	must(t, err)
	return strings.ReplaceAll(string(state), "\n", " ")
}

func TestSnapshotOnDemand(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		d, err := OpenDisk(dir, nil)
		must(t, err)
		bodies := &countedBodies{Storage: d}
		n, stop := start(t, manual(), newTestMachine(), bodies)
		if _, _, err := n.OpenLatestSnapshot(); !errors.Is(err, ErrNoSnapshot) {
			t.Errorf("before the first: %v", err)
		}
		propose(t, n, "a", "b")
		time.Sleep(time.Second) // it publishes itself, which is an entry too
		ctx := within(t, time.Hour)
		first, err := n.TakeSnapshot(ctx)
		must(t, err)
		if first.Index != n.applied.index.Load() || first.Index != n.snapshotIndex.Load() || first.Term == 0 || first.Size == 0 || first.Taken.IsZero() {
			t.Errorf("got %+v at applied index %d", first, n.applied.index.Load())
		}
		if again, err := n.TakeSnapshot(ctx); err != nil || again != first || bodies.writes.Load() != 1 {
			t.Errorf("with nothing new: %+v, %v, %d snapshots written", again, err, bodies.writes.Load())
		}

		// Its file is read to the end, although two newer ones take its place.
		info, file, err := n.OpenLatestSnapshot()
		if err != nil || info != first {
			t.Fatalf("opened %+v, %v, want %+v", info, err, first)
		}
		for _, c := range []string{"c", "d", "e"} {
			propose(t, n, c)
			if _, err := n.TakeSnapshot(ctx); err != nil {
				t.Fatal(err)
			}
		}
		synctest.Wait() // the file goes after the answer has come
		if _, err := os.Stat(d.bodyPath(first.Index)); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the first snapshot is still there: %v", err)
		}
		if left, _ := filepath.Glob(filepath.Join(dir, "snap", "*.snap.db")); len(left) != 2 {
			t.Errorf("snapshots kept: %v, want two", left)
		}
		if got := stateOf(t, file); got != "a b" {
			t.Errorf("the first snapshot holds %q", got)
		}
		if end, err := file.Seek(0, io.SeekEnd); err != nil || end != info.Size {
			t.Errorf("end at %d, %v, want %d", end, err, info.Size)
		}
		must(t, file.Close(), stop())
		if _, err := n.TakeSnapshot(ctx); !errors.Is(err, ErrStopped) {
			t.Errorf("after the end: %v", err)
		}
		kill(d)

		// The next life knows it too.
		d, err = OpenDisk(dir, nil)
		must(t, err)
		n, stop = start(t, manual(), newTestMachine(), d)
		info, file, err = n.OpenLatestSnapshot()
		must(t, err)
		if got := stateOf(t, file); got != "a b c d e" || info.Taken.IsZero() || info.Index <= first.Index {
			t.Errorf("after a restart: %q, %+v", got, info)
		}
		must(t, file.Close(), stop())
		kill(d)
	})
}

// TestSnapshotOnDemandIsShared: those who ask while one is written share the next
// one, which holds all that was applied when they asked, and automatic snapshots
// go on beside it.
func TestSnapshotOnDemandIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		bodies := &countedBodies{Storage: d, write: slowBodies{d, time.Minute}.WriteBody}
		cfg := singleConfig()
		n, stop := start(t, cfg, newTestMachine(), bodies)
		for range cfg.SnapshotEntries + 1 { // one is being written now
			propose(t, n, "x")
		}
		asked := n.applied.index.Load()
		begin := time.Now()
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				info, err := n.TakeSnapshot(within(t, time.Hour))
				if err != nil || info.Index < asked {
					t.Errorf("got %+v, %v, want index %d at least", info, err, asked)
				}
			})
		}
		impatient, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := n.TakeSnapshot(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("in a second: %v", err)
		}
		wg.Wait()
		if took := time.Since(begin); took < time.Minute || took > 3*time.Minute || bodies.writes.Load() != 2 {
			t.Errorf("%d snapshots were written in %v, want the one under way and one more", bodies.writes.Load(), took)
		}
		for range cfg.SnapshotEntries {
			propose(t, n, "y")
		}
		time.Sleep(5 * time.Minute)
		if got := bodies.writes.Load(); got != 3 {
			t.Errorf("%d snapshots were written, want another one of its own accord", got)
		}
		must(t, stop(), d.Close())
	})
}

// TestSnapshotWithoutRoom: it is put off, by the hook or by the file system itself,
// and whoever waits for it is told; the member goes on.
func TestSnapshotWithoutRoom(t *testing.T) {
	for name, full := range map[string]func(*Config, *countedBodies, *atomic.Bool){
		"hook": func(cfg *Config, _ *countedBodies, full *atomic.Bool) {
			cfg.SnapshotRoom = func() error {
				if full.Load() {
					return errors.New("1 byte free")
				}
				return nil
			}
		},
		"file system": func(_ *Config, b *countedBodies, full *atomic.Bool) {
			b.write = func(index uint64, r io.Reader) error {
				if full.Load() {
					return &os.PathError{Op: "write", Path: "tmp1", Err: syscall.ENOSPC}
				}
				return b.Storage.WriteBody(index, r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, err := OpenDisk(t.TempDir(), nil)
				must(t, err)
				var isFull atomic.Bool
				isFull.Store(true)
				cfg, bodies := singleConfig(), &countedBodies{Storage: d}
				full(&cfg, bodies, &isFull)
				n, stop := start(t, cfg, newTestMachine(), bodies)
				propose(t, n, "a")
				if _, err := n.TakeSnapshot(within(t, time.Hour)); !errors.Is(err, ErrDiskFull) {
					t.Errorf("on demand: %v", err)
				}
				for range 5 * cfg.SnapshotEntries {
					propose(t, n, "x")
				}
				if tries := bodies.writes.Load(); n.snapshotIndex.Load() != 0 || tries > 3 {
					t.Errorf("snapshot %d after %d tries", n.snapshotIndex.Load(), tries)
				}
				isFull.Store(false)
				time.Sleep(snapshotPause)
				propose(t, n, "y")
				time.Sleep(time.Second)
				if n.snapshotIndex.Load() != n.applied.index.Load() {
					t.Errorf("snapshot %d with room, applied %d", n.snapshotIndex.Load(), n.applied.index.Load())
				}
				must(t, stop(), d.Close())
			})
		})
	}
}

// gatedLog is a log whose writes pass a gate; a test takes the token to shut it.
type gatedLog struct {
	Storage
	gate chan struct{}
}

func newGatedLog(s Storage) *gatedLog {
	g := &gatedLog{Storage: s, gate: make(chan struct{}, 1)}
	g.open()
	return g
}

func (s *gatedLog) open() { s.gate <- struct{}{} }
func (s *gatedLog) shut() { <-s.gate }

func (s *gatedLog) Save(hs *raftpb.HardState, ents []*raftpb.Entry) error {
	s.shut()
	defer s.open()
	return s.Storage.Save(hs, ents)
}

// TestNoSnapshotAboveWhatIsDurable: entries of which the disk has not said that it
// has them are in no snapshot (etcd issue 10508).
func TestNoSnapshotAboveWhatIsDurable(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, err := OpenDisk(t.TempDir(), nil)
		must(t, err)
		log := newGatedLog(d)
		var newest atomic.Uint64
		bodies := &countedBodies{Storage: log, write: func(index uint64, r io.Reader) error {
			newest.Store(index)
			return d.WriteBody(index, r)
		}}
		cfg := singleConfig()
		cfg.SnapshotEntries = 1
		n, stop := start(t, cfg, newTestMachine(), bodies)
		propose(t, n, "a")
		time.Sleep(time.Minute)

		log.shut()
		durable := d.saved.index
		var wg sync.WaitGroup
		wg.Go(func() { propose(t, n, "b") })
		wg.Go(func() {
			if info, err := n.TakeSnapshot(within(t, time.Hour)); err != nil {
				t.Errorf("got %+v, %v", info, err)
			}
		})
		time.Sleep(time.Minute)
		if n.writeBegan.Load() == 0 {
			t.Error("no write waits for the disk: the test shows nothing")
		}
		if got := newest.Load(); got > durable || n.applied.index.Load() > durable {
			t.Errorf("snapshot at %d, applied %d, with %d durable", got, n.applied.index.Load(), durable)
		}
		log.open()
		wg.Wait()
		info, err := n.TakeSnapshot(within(t, time.Hour))
		if err != nil || info.Index <= durable {
			t.Errorf("with a disk that answers: %+v, %v", info, err)
		}
		must(t, stop())
		kill(d)
	})
}

// TestReceivedSnapshotWithoutRoom: it is refused, which its sender learns, and leaves
// nothing behind.
func TestReceivedSnapshotWithoutRoom(t *testing.T) {
	d, err := OpenDisk(t.TempDir(), nil)
	must(t, err)
	cfg := singleConfig()
	full := true
	cfg.SnapshotRoom = func() error {
		if full {
			return errors.New("1 byte free")
		}
		return nil
	}
	n, err := New(cfg, newTestMachine(), d)
	must(t, err, n.Open())
	const at = 50
	msg := &raftpb.Message{Type: raftpb.MsgSnap.Enum(), From: new(uint64(1)), Snapshot: &raftpb.Snapshot{Metadata: snapshotMeta(1, at)}}
	receive := func() error {
		return n.ReceiveSnapshot(t.Context(), msg, strings.NewReader(string(body(t, 1, at, "state"))))
	}
	if err := receive(); !errors.Is(err, ErrDiskFull) {
		t.Errorf("without room: %v", err)
	}
	if left, err := os.ReadDir(d.path("snap")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	full = false
	must(t, receive())
	_, err = checkBodyFile(d.bodyPath(at))
	must(t, err)
	kill(d)
}
