package raftnode

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// readTree returns the files of a directory that a process leaves behind, by
// name.
func readTree(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	out := make(map[string][]byte)
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || e.Name() == "lock" || strings.HasSuffix(e.Name(), ".tmp") {
			return err
		}
		b, err := os.ReadFile(path)
		name, _ := filepath.Rel(dir, path)
		out[name] = b
		return err
	}))
	return out
}

func writeTree(t *testing.T, tree map[string][]byte) string {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"wal", "snap"} {
		must(t, os.Mkdir(filepath.Join(dir, name), 0o700))
	}
	for name, b := range tree {
		must(t, os.WriteFile(filepath.Join(dir, name), b, 0o600))
	}
	return dir
}

// moment is a directory as a killed process may leave it.
type moment struct {
	what string
	tree map[string][]byte
}

// momentsOf lists the directories between two, where files came one after the
// other, each from its first byte to its last, and then the log grew.
func momentsOf(t *testing.T, before map[string][]byte, files ...file) []moment {
	var out []moment
	now := before
	add := func(what, name string, b []byte) {
		next := make(map[string][]byte)
		for k, v := range now {
			next[k] = v
		}
		next[name] = b
		out = append(out, moment{fmt.Sprintf("%s of %s", what, name), next})
	}
	for _, f := range files {
		name, b := f.name, f.content
		switch {
		case b == nil:
			t.Fatalf("%s was not written", name)
		case strings.HasSuffix(name, ".snap.db"):
			add("a part", filepath.Join("snap", "tmp123"), b[:len(b)/2]) // it is renamed when it is durable
		case strings.HasSuffix(name, ".snap"):
			for cut := range len(b) {
				add(fmt.Sprintf("%d bytes", cut), name, b[:cut])
			}
		case strings.HasSuffix(name, ".wal"):
			was := before[name]
			from := 0
			for from < len(b) && b[from] == was[from] {
				from++
			}
			for cut := from; cut < len(b) && len(bytes.TrimRight(b[cut:], "\x00")) > 0; cut++ {
				add(fmt.Sprintf("%d bytes", cut), name, b[:cut])
				if cut%512 == 0 { // a disk writes sectors, into space that was set aside
					zeroed := append(bytes.Clone(b[:cut]), make([]byte, len(b)-cut)...)
					add(fmt.Sprintf("%d bytes and zeros", cut), name, zeroed)
				}
			}
		}
		add("all", name, b)
		now = out[len(out)-1].tree
	}
	return out
}

// file is what a file holds at last, or at one moment.
type file struct {
	name    string
	content []byte
}

// TestKilledBetweenFilesOfASnapshot is about the order of a snapshot's files: a
// record in the log without its files, or a watermark that promises what a
// snapshot has replaced, and the directory is refused. At whichever byte the
// process is killed, the next start finds the log as it was, or the snapshot.
func TestKilledBetweenFilesOfASnapshot(t *testing.T) {
	tests := []struct {
		name        string
		term, index uint64
		installed   bool
		old, new    string // the log before and after
	}{
		{"an own one", 1, 20, false, "0: 1/1 1/50", "20: 1/21 1/50"},
		{"a peer's, beyond the log", 4, 60, true, "0: 1/1 1/50", "60:"},
		{"a peer's, over a longer log", 4, 20, true, "0: 1/1 1/50", "20:"},
		{"a peer's, of an entry that is there", 1, 20, true, "0: 1/1 1/50", "20: 1/21 1/50"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			d, _ := openLoaded(t, dir)
			commit := tt.index
			if tt.installed {
				commit = 3
			}
			must(t, d.Save(hardState(1, commit), entries(1, 1, 50)), d.Sync())
			before := readTree(t, dir)
			must(t, d.WriteBody(tt.index, bytes.NewReader(body(t, tt.term, tt.index, "state"))),
				d.SaveSnapshot(snapshotMeta(tt.term, tt.index), tt.installed))
			mid := readTree(t, dir)
			if tt.installed {
				must(t, d.Save(hardState(tt.term, tt.index), nil), d.Sync())
			}
			after := readTree(t, dir)
			var files []file
			for _, path := range []string{d.bodyPath(tt.index), d.metaPath(tt.term, tt.index)} {
				name := relative(t, dir, path)
				files = append(files, file{name, after[name]})
			}
			files = append(files, file{"watermark", mid["watermark"]}) // lowered before the log shrinks
			for name, b := range after {
				if strings.HasSuffix(name, ".wal") {
					files = append(files, file{name, b})
				}
			}
			files = append(files, file{"watermark", after["watermark"]}) // raised when the log is durable
			kill(d)
			all := momentsOf(t, before, files...)
			t.Logf("%d moments", len(all))
			for _, m := range all {
				restartsAs(t, m, tt.old, tt.new)
			}
			if last := all[len(all)-1]; !t.Failed() {
				restartsAs(t, last, tt.new)
			}
		})
	}
}

func relative(t *testing.T, dir, path string) string {
	t.Helper()
	name, err := filepath.Rel(dir, path)
	must(t, err)
	return name
}

// restartsAs opens a directory, which must give one of the logs, and writes to
// it, which must be there afterwards.
func restartsAs(t *testing.T, m moment, logs ...string) {
	t.Helper()
	dir := writeTree(t, m.tree)
	d, err := OpenDisk(dir, nil)
	if err != nil {
		t.Errorf("%s: %v", m.what, err)
		return
	}
	rec, err := d.Load(testID)
	if err != nil {
		kill(d)
		t.Errorf("%s: %v", m.what, err)
		return
	}
	got := logOf(rec)
	if !slices.Contains(logs, got) {
		t.Errorf("%s: log %s, want one of %v", m.what, got, logs)
	}
	last := rec.Snapshot.GetIndex() + uint64(len(rec.Entries))
	err = d.Save(hardState(9, rec.HardState.GetCommit()), entries(9, last+1, last+3))
	kill(d)
	must(t, err)
	d, rec = openLoaded(t, dir)
	if now := rec.Snapshot.GetIndex() + uint64(len(rec.Entries)); now != last+3 {
		t.Errorf("%s: the log ends at %d after an append, want %d", m.what, now, last+3)
	}
	kill(d)
}

// TestKilledWhileReleasing is about a log that is let go too early: segments and
// snapshots are removed one by one, and a process that is killed between two of
// them starts from the newest snapshot, or, when that is damaged, from the one
// before it.
func TestKilledWhileReleasing(t *testing.T) {
	dir := t.TempDir()
	d, _ := openLoaded(t, dir)
	must(t, d.Save(hardState(1, 0), nil))
	var released uint64
	var before map[string][]byte
	for i := uint64(1); i <= 6000; i += 100 {
		ents := entries(1, i, i+99)
		ents[50].Data = make([]byte, 10_000) // for more segments
		must(t, d.Save(hardState(1, i+98), ents))
		if i%2000 == 901 {
			must(t, d.WriteBody(i, bytes.NewReader(body(t, 1, i, "state"))), d.SaveSnapshot(snapshotMeta(1, i), false))
			if i < 4000 {
				released = i
				continue
			}
			before = readTree(t, dir)
			must(t, d.Release(released))
			break
		}
	}
	after := readTree(t, dir)
	kill(d)
	const newest, older = "4901: 1/4902 1/5000", "2901: 1/2902 1/5000"
	var gone []string
	for name := range before {
		if _, kept := after[name]; !kept {
			gone = append(gone, name)
		}
	}
	slices.SortFunc(gone, func(a, b string) int { return -strings.Compare(a, b) }) // wal before snap
	slices.SortStableFunc(gone, func(a, b string) int {
		if strings.HasPrefix(a, "wal") && strings.HasPrefix(b, "wal") {
			return strings.Compare(a, b) // the oldest first
		}
		return 0
	})
	if len(gone) < 4 {
		t.Fatalf("only %v were removed", gone)
	}
	tree := before
	restartsAs(t, moment{"nothing removed", tree}, newest)
	for i, name := range gone {
		next := make(map[string][]byte)
		for k, v := range tree {
			if k != name {
				next[k] = v
			}
		}
		tree = next
		restartsAs(t, moment{fmt.Sprintf("%d removed, the last %s", i+1, name), tree}, newest)
		damaged := make(map[string][]byte)
		for k, v := range tree {
			if strings.HasSuffix(k, fmt.Sprintf("%016x.snap.db", 4901)) {
				v = v[:len(v)-1]
			}
			damaged[k] = v
		}
		restartsAs(t, moment{fmt.Sprintf("%d removed, the newest snapshot damaged", i+1), damaged}, older)
	}
}
