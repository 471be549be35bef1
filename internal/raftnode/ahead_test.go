package raftnode

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"go.etcd.io/raft/v3/raftpb"
)

// walBytes reads all files of the log.
func walBytes(t *testing.T, d *Disk) map[string][]byte {
	t.Helper()
	names, err := os.ReadDir(d.path("wal"))
	must(t, err)
	out := make(map[string][]byte)
	for _, n := range names {
		b, err := os.ReadFile(filepath.Join(d.path("wal"), n.Name()))
		must(t, err)
		out[n.Name()] = b
	}
	return out
}

// TestAheadChangesNoByte: whatever is in the log, and wherever it ends, to prepare its
// way leaves every byte of every file as it was; and the log is whole afterwards.
func TestAheadChangesNoByte(t *testing.T) {
	if aheadHere == 0 {
		t.Skip("NOT RUN: the way of the log is not prepared on this system")
	}
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			rng := rand.New(rand.NewPCG(seed, 1))
			d, err := OpenDisk(t.TempDir(), nil)
			must(t, err)
			_, err = d.Load(testID)
			must(t, err)
			d.ahead.step = 512 << rng.IntN(3) // a segment is 16 KiB here
			wrote := 0
			var index uint64
			for index < 300 {
				var ents []*raftpb.Entry
				for range 1 + rng.IntN(4) {
					index++
					data := make([]byte, rng.IntN(600)) // zeros among them: they look like no data
					if rng.IntN(2) == 0 {
						for i := range data {
							data[i] = byte(rng.Uint32())
						}
					}
					ents = append(ents, &raftpb.Entry{Index: new(index), Term: new(uint64(1)), Data: data})
				}
				must(t, d.Save(&raftpb.HardState{Term: new(uint64(1)), Commit: new(index)}, ents))
				before := walBytes(t, d)
				for range rng.IntN(12) {
					was := d.ahead.distance
					if rng.IntN(8) == 0 {
						d.ahead.distance = 0 // it can be wrong about where the log is
					}
					d.Prepare()
					if d.ahead.distance > was {
						wrote++
					}
				}
				for name, b := range walBytes(t, d) {
					// A file that is to come may have appeared meanwhile.
					if was, ok := before[name]; ok && len(was) == len(b) && !bytes.Equal(was, b) {
						t.Fatalf("%s has changed by being prepared, at index %d", name, index)
					}
				}
			}
			if wrote < 20 || d.ahead.step == 0 {
				t.Fatalf("only %d pieces were written (step %d): this shows nothing", wrote, d.ahead.step)
			}
			must(t, d.Close())
			d, err = OpenDisk(d.dir, nil)
			must(t, err)
			defer kill(d)
			rec, err := d.Load(testID)
			must(t, err)
			if n := len(rec.Entries); uint64(n) != index {
				t.Errorf("%d entries are left of %d", n, index)
			}
		})
	}
}

// TestAheadStaysNear: no more is prepared than the log will soon need, and a log that
// has overtaken what was prepared is overtaken again.
func TestAheadStaysNear(t *testing.T) {
	if aheadHere == 0 {
		t.Skip("NOT RUN: the way of the log is not prepared on this system")
	}
	a := ahead{dir: t.TempDir(), step: 4 << 10}
	defer a.close()
	const size = 2*aheadGoal + 4<<10
	must(t, os.WriteFile(filepath.Join(a.dir, "0000000000000000-0000000000000000.wal"), make([]byte, size), 0o600))
	for range 2 * aheadGoal / a.step {
		must(t, a.prepare())
	}
	if a.off != aheadGoal || a.distance != aheadGoal {
		t.Errorf("prepared up to %d, %d ahead, want %d", a.off, a.distance, aheadGoal)
	}
	a.saved(10 << 10)
	for range 10 {
		must(t, a.prepare())
	}
	if want := int64(aheadGoal + 12<<10); a.off != want {
		t.Errorf("after the log has grown: prepared up to %d, want %d", a.off, want)
	}
	// The log is where it is to go on.
	f, err := os.OpenFile(a.file.Name(), os.O_WRONLY, 0)
	must(t, err)
	_, err = f.WriteAt([]byte{1}, a.off+100)
	must(t, err)
	must(t, f.Close())
	a.distance = 0
	at := a.off
	must(t, a.prepare())
	if a.distance != 0 || a.off != at+int64(a.step) {
		t.Errorf("over the log: %d ahead at %d", a.distance, a.off)
	}
	for range 2 * size / a.step {
		a.saved(a.step)
		must(t, a.prepare())
	}
	if a.file != nil || len(a.done) != 1 {
		t.Errorf("a file that is prepared to its end is open still, or done %d times", len(a.done))
	}
}
