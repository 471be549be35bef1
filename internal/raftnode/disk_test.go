package raftnode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

var testID = Identity{Cluster: 7, Member: 3, Name: "n3"}

// entries makes the log entries first to last of one term.
func entries(term, first, last uint64) []*raftpb.Entry {
	var out []*raftpb.Entry
	for i := first; i <= last; i++ {
		out = append(out, &raftpb.Entry{Term: new(term), Index: new(i), Data: fmt.Appendf(nil, "entry %d of term %d", i, term)})
	}
	return out
}

func hardState(term, commit uint64) *raftpb.HardState {
	return &raftpb.HardState{Term: new(term), Vote: new(uint64(1)), Commit: new(commit)}
}

func snapshotMeta(term, index uint64) *raftpb.SnapshotMetadata {
	return &raftpb.SnapshotMetadata{Term: new(term), Index: new(index), ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}}}
}

type stringState string

func (s stringState) WriteTo(w io.Writer) (int64, error) {
	n, err := io.WriteString(w, string(s))
	return int64(n), err
}

func body(t testing.TB, term, index uint64, state string) []byte {
	t.Helper()
	var b bytes.Buffer
	h := &bodyHeader{Cluster: testID.Cluster, Index: index, Term: term, Membership: &membership{}}
	if err := writeBody(&b, h, stringState(state)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// openLoaded opens a directory and loads it; the disk is closed at the end of
// the test, as a killed process would leave it.
func openLoaded(t testing.TB, dir string) (*Disk, *Recovered) {
	t.Helper()
	d, err := OpenDisk(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	rec, err := d.Load(testID)
	if err != nil {
		t.Fatal(errors.Join(err, d.Close()))
	}
	t.Cleanup(func() { kill(d) })
	return d, rec
}

// kill lets go of a disk without writing anything.
func kill(d *Disk) {
	if d.wal != nil {
		_ = d.wal.Close()
		d.wal = nil
	}
	_ = d.Close()
}

func must(t testing.TB, errs ...error) {
	t.Helper()
	for _, err := range errs {
		if err != nil {
			t.Fatal(err)
		}
	}
}

// logOf renders a recovered log: base, then term and index of its entries.
func logOf(rec *Recovered) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d:", rec.Snapshot.GetIndex())
	for i, e := range rec.Entries {
		if i > 0 && rec.Entries[i-1].GetTerm() == e.GetTerm() && i+1 < len(rec.Entries) && rec.Entries[i+1].GetTerm() == e.GetTerm() {
			continue
		}
		fmt.Fprintf(&b, " %d/%d", e.GetTerm(), e.GetIndex())
	}
	return b.String()
}

func TestDiskKeepsWhatWasSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "data")
	d, rec := openLoaded(t, dir)
	if d.HasLog() || len(rec.Entries) != 0 || rec.HardState != nil {
		t.Fatalf("new directory holds %+v", rec)
	}
	must(t, d.Save(hardState(1, 0), entries(1, 1, 10)), d.Save(hardState(2, 8), entries(2, 9, 12)))
	kill(d)

	d, rec = openLoaded(t, dir)
	if got, want := logOf(rec), "0: 1/1 1/8 2/9 2/12"; got != want {
		t.Errorf("log %s, want %s", got, want)
	}
	if rec.HardState.GetCommit() != 8 || rec.HardState.GetTerm() != 2 {
		t.Errorf("hard state %v", rec.HardState)
	}
	if id, ok := d.Identity(); !ok || id != testID {
		t.Errorf("identity %+v", id)
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the directory: %v %v", info.Mode(), err)
	}
}

// TestReplay covers what wal.ReadAll gets wrong (etcd issue 22442) and what
// surrounds it.
func TestReplay(t *testing.T) {
	tests := []struct {
		name  string
		write func(*testing.T, *Disk)
		want  string
	}{
		{"overwritten tail", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 3), entries(1, 1, 10)), d.Save(hardState(2, 3), entries(2, 5, 6)))
		}, "0: 1/1 1/4 2/5 2/6"},
		{"received snapshot over a longer stale log", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 3), entries(1, 1, 50)),
				d.WriteBody(20, bytes.NewReader(body(t, 4, 20, "x"))),
				d.SaveSnapshot(snapshotMeta(4, 20), true), d.Save(hardState(4, 20), nil), d.Sync())
		}, "20:"},
		{"received snapshot, then entries", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 3), entries(1, 1, 50)),
				d.WriteBody(20, bytes.NewReader(body(t, 4, 20, "x"))),
				d.SaveSnapshot(snapshotMeta(4, 20), true), d.Save(hardState(4, 20), entries(4, 21, 22)))
		}, "20: 4/21 4/22"},
		{"own snapshot keeps the log", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 30), entries(1, 1, 50)),
				d.WriteBody(20, bytes.NewReader(body(t, 1, 20, "x"))), d.SaveSnapshot(snapshotMeta(1, 20), false))
		}, "20: 1/21 1/50"},
		{"overwrite at the snapshot's end", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 20), entries(1, 1, 50)),
				d.WriteBody(20, bytes.NewReader(body(t, 1, 20, "x"))), d.SaveSnapshot(snapshotMeta(1, 20), false),
				d.Save(hardState(3, 20), entries(3, 21, 22)))
		}, "20: 3/21 3/22"},
		{"snapshot record whose commit index was never saved", func(t *testing.T, d *Disk) {
			must(t, d.Save(hardState(1, 3), entries(1, 1, 5)),
				d.WriteBody(20, bytes.NewReader(body(t, 4, 20, "x"))), d.SaveSnapshot(snapshotMeta(4, 20), true))
		}, "0: 1/1 1/5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			d, _ := openLoaded(t, dir)
			tt.write(t, d)
			kill(d)
			// Twice: opening must not change what is found.
			for range 2 {
				d, rec := openLoaded(t, dir)
				if got := logOf(rec); got != tt.want {
					t.Errorf("log %s, want %s", got, tt.want)
				}
				kill(d)
			}
		})
	}
}

// TestReleaseThenRestart writes several segments, releases, and restarts from
// the newer and, when that is damaged, from the older snapshot.
func TestReleaseThenRestart(t *testing.T) {
	dir := t.TempDir()
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 0), nil))
	var previous uint64
	for i := uint64(1); i <= 9000; i += 100 {
		must(t, d.Save(hardState(1, i+98), entries(1, i, i+99)))
		if i%2000 == 901 {
			at := i + 50
			must(t, d.WriteBody(at, bytes.NewReader(body(t, 1, at, "state"))), d.SaveSnapshot(snapshotMeta(1, at), false), d.Release(previous))
			previous = at
		}
	}
	kill(d)
	segments, err := segmentNames(filepath.Join(dir, "wal"))
	must(t, err)
	if strings.HasPrefix(segments[0], "0000000000000000-") {
		t.Fatalf("nothing was released: %v", segments)
	}
	d, rec := openLoaded(t, dir)
	if got, want := logOf(rec), "8951: 1/8952 1/9000"; got != want {
		t.Errorf("log %s, want %s", got, want)
	}
	kill(d)
	damage(t, d.bodyPath(8951), func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
	d, rec = openLoaded(t, dir)
	if got, want := logOf(rec), "6951: 1/6952 1/9000"; got != want {
		t.Errorf("log after damage to the newer snapshot %s, want %s", got, want)
	}
	kill(d)
	damage(t, d.bodyPath(6951), func(b []byte) []byte { return b[:len(b)-1] })
	refused(t, dir, "does not reach back")
}

func damage(t testing.TB, path string, how func([]byte) []byte) {
	t.Helper()
	b, err := os.ReadFile(path)
	must(t, err)
	must(t, os.WriteFile(path, how(b), 0o600))
}

// refused checks that a directory is refused, with every text, and unchanged.
func refused(t *testing.T, dir string, texts ...string) {
	t.Helper()
	before := digest(t, dir)
	d, err := OpenDisk(dir, nil)
	if err == nil {
		_, err = d.Load(testID)
		kill(d)
	}
	if !errors.Is(err, ErrDataDir) {
		t.Fatalf("error %v, want ErrDataDir", err)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Errorf("error does not say %q: %v", text, err)
		}
	}
	if digest(t, dir) != before {
		t.Error("the directory was changed")
	}
}

// TestTornTail cuts the file at every byte of the last two records. Records
// that were synced are missed; one that was not is cut off with a warning.
func TestTornTail(t *testing.T) {
	origin := t.TempDir()
	d, _ := openLoaded(t, origin)
	must(t, d.Save(hardState(1, 0), entries(1, 1, 20)))
	kill(d)
	last := lastSegment(t, origin)
	before := end(t, last)[0]
	d, _ = openLoaded(t, origin)
	mark, err := os.ReadFile(d.path("watermark"))
	must(t, err)
	must(t, d.Save(hardState(1, 19), entries(1, 21, 22)))
	kill(d)
	// As if the power had failed before the last save was synced.
	must(t, os.WriteFile(d.path("watermark"), mark, 0o600))
	after := end(t, last)[0]
	whole, err := os.ReadFile(last)
	must(t, err)
	name := filepath.Base(last)

	for cut := before; cut < after; cut++ {
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(origin)), os.WriteFile(filepath.Join(dir, "wal", name), whole[:cut], 0o600))
		core, logs := observer.New(zap.WarnLevel)
		d, err := OpenDisk(dir, zap.New(core))
		if err != nil {
			t.Fatalf("cut at %d: %v", cut, err)
		}
		rec, err := d.Load(testID)
		if err != nil {
			kill(d)
			t.Fatalf("cut at %d: %v", cut, err)
		}
		if n := len(rec.Entries); n < 20 || n > 22 {
			t.Errorf("cut at %d: %d entries", cut, n)
		}
		if torn := logs.FilterMessage("torn end of the log repaired").Len(); torn > 0 {
			if _, err := os.Stat(filepath.Join(dir, "wal", name+".broken")); err != nil {
				t.Errorf("cut at %d: %v", cut, err)
			}
		}
		// The log takes appends and holds them.
		must(t, d.Save(hardState(2, 19), entries(2, uint64(len(rec.Entries))+1, 30)))
		kill(d)
		if _, rec := openLoaded(t, dir); len(rec.Entries) != 30 {
			t.Errorf("cut at %d: %d entries after an append", cut, len(rec.Entries))
		}
	}
}

func TestDirectoryRefused(t *testing.T) {
	t.Run("in use", func(t *testing.T) {
		dir := t.TempDir()
		openLoaded(t, dir)
		_, err := OpenDisk(dir, nil)
		if !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), fmt.Sprintf("in use by process %d", os.Getpid())) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("another member's", func(t *testing.T) {
		dir := t.TempDir()
		d, _ := openLoaded(t, dir)
		kill(d)
		for _, id := range []Identity{{Cluster: 7, Member: 4}, {Cluster: 8, Member: 3}} {
			d, err := OpenDisk(dir, nil)
			must(t, err)
			if _, err := d.Load(id); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), "belongs to member 3") {
				t.Errorf("error %v", err)
			}
			kill(d)
		}
	})
	t.Run("a file", func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "file")
		must(t, os.WriteFile(path, nil, 0o600))
		if _, err := OpenDisk(path, nil); !errors.Is(err, ErrDataDir) || !strings.Contains(err.Error(), path) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("removed", func(t *testing.T) {
		dir := t.TempDir()
		d, _ := openLoaded(t, dir)
		must(t, d.MarkRemoved())
		kill(d)
		if _, err := OpenDisk(dir, nil); !errors.Is(err, ErrRemoved) {
			t.Errorf("error %v", err)
		}
	})
}

// TestWatermarkFollowsTruncation: when raft replaces entries, the watermark
// must not go on promising the old ones.
func TestWatermarkFollowsTruncation(t *testing.T) {
	dir := t.TempDir()
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 5), entries(1, 1, 100)), d.Save(hardState(2, 5), entries(2, 6, 7)))
	if d.mark.index != 7 {
		t.Errorf("watermark %d, want 7", d.mark.index)
	}
	kill(d)
	if _, rec := openLoaded(t, dir); len(rec.Entries) != 7 {
		t.Errorf("%d entries", len(rec.Entries))
	}
}

func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	d, _ := openLoaded(t, dir)
	half := io.MultiReader(strings.NewReader("half a bod"), errorReader{})
	if err := d.WriteBody(5, half); err == nil {
		t.Fatal("a broken body was stored")
	}
	must(t, os.WriteFile(filepath.Join(d.path("snap"), "tmp123"), nil, 0o600))
	kill(d)
	openLoaded(t, dir)
	names, err := os.ReadDir(filepath.Join(dir, "snap"))
	must(t, err)
	if len(names) != 0 {
		t.Errorf("left over: %v", names)
	}
}

type errorReader struct{}

func (errorReader) Read([]byte) (int, error) { return 0, errors.New("cut") }
