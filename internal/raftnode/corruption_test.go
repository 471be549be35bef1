package raftnode

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/raft/v3/raftpb"
)

// original is a data directory, and what a member with it has promised.
type original struct {
	dir        string
	last       uint64 // index of the last entry
	term, vote uint64
	snapshot   uint64 // the newest
	write      func(testing.TB, *Disk)
}

// payload is what the entry at index holds.
func payload(index uint64) []byte { return bytes.Repeat([]byte{byte(index), 1}, 90) }

func (o *original) save(t testing.TB, d *Disk, term, first, last uint64) {
	t.Helper()
	for i := first; i <= last; i++ {
		e := entries(term, i, i)
		e[0].Data = payload(i)
		must(t, d.Save(hardState(term, i-1), e))
	}
}

// newOriginal writes a directory with write, and ends it with a term and a vote.
func newOriginal(t testing.TB, o original) *original {
	t.Helper()
	o.dir = filepath.Join(t.TempDir(), "data")
	d, _ := openLoaded(t, o.dir)
	o.write(t, d)
	for _, vote := range []uint64{0, o.vote} {
		must(t, d.Save(&raftpb.HardState{Term: new(o.term), Vote: new(vote), Commit: new(o.last - 1)}, nil))
	}
	kill(d)
	return &o
}

// withSnapshots has two snapshots, the log behind the older one, and all before
// that released.
func withSnapshots(t testing.TB) *original {
	return newOriginal(t, original{last: 250, term: 3, vote: 2, snapshot: 225, write: func(t testing.TB, d *Disk) {
		var o original
		o.save(t, d, 2, 1, 238)
		must(t, d.WriteBody(125, bytes.NewReader(body(t, 2, 125, "older"))), d.SaveSnapshot(snapshotMeta(2, 125), false),
			d.WriteBody(225, bytes.NewReader(body(t, 2, 225, "newer"))), d.SaveSnapshot(snapshotMeta(2, 225), false), d.Release(125))
		o.save(t, d, 2, 239, 250)
	}})
}

// states are the snapshots of all originals, by index.
var states = map[uint64]string{125: "older", 225: "newer", 230: "theirs"}

// holds checks that rec is all that was promised.
func (o *original) holds(d *Disk, rec *Recovered) error {
	from := rec.Snapshot.GetIndex()
	if from > o.snapshot {
		return fmt.Errorf("snapshot %d, the newest is %d", from, o.snapshot)
	}
	if from > 0 {
		f, _, err := d.OpenBody(from)
		if err != nil {
			return err
		}
		defer f.Close()
		r := newBodyReader(f)
		h, err := readBodyHeader(r)
		state, rerr := io.ReadAll(r)
		if err := errors.Join(err, rerr); err != nil || h.Index != from || string(state) != states[from] {
			return fmt.Errorf("snapshot %d holds %q: %w", from, state, err)
		}
	}
	if got := from + uint64(len(rec.Entries)); got != o.last {
		return fmt.Errorf("log ends at %d, want %d", got, o.last)
	}
	for i, e := range rec.Entries {
		if index := from + uint64(i) + 1; e.GetIndex() != index || !bytes.Equal(e.GetData(), payload(index)) {
			return fmt.Errorf("entry %d is not the one that was saved", index)
		}
	}
	if hs := rec.HardState; hs.GetTerm() != o.term || hs.GetVote() != o.vote {
		return fmt.Errorf("hard state %v, want term %d and a vote for %d", hs, o.term, o.vote)
	}
	return nil
}

// outcome is what may become of a damage.
type outcome int

const (
	recovers outcome = 1 << iota
	refuses
)

// TestCorruption is the corpus of damages: each either gives back all that was
// promised, or is refused without a change to any file.
func TestCorruption(t *testing.T) {
	// A log of several segments, from the first entry on.
	var o original
	long := newOriginal(t, original{last: 250, term: 3, vote: 2, write: func(t testing.TB, d *Disk) { o.save(t, d, 2, 1, 250) }})
	snaps := withSnapshots(t)
	// The last segment holds entries in the place of some in the one before.
	replaced := newOriginal(t, original{last: 225, term: 4, vote: 2, write: func(t testing.TB, d *Disk) {
		o.save(t, d, 2, 1, 213)
		next := uint64(214)
		for n := len(segmentsOf(t, d.dir)); len(segmentsOf(t, d.dir)) == n; next++ {
			o.save(t, d, 2, next, next)
		}
		if next < 225 {
			o.save(t, d, 2, next, 235)
		}
		o.save(t, d, 4, 210, 225)
	}})
	// The last segment holds a received snapshot, in the place of a longer log.
	received := newOriginal(t, original{last: 240, term: 4, vote: 2, snapshot: 230, write: func(t testing.TB, d *Disk) {
		o.save(t, d, 2, 1, 225)
		next := uint64(226)
		for n := len(segmentsOf(t, d.dir)); len(segmentsOf(t, d.dir)) == n; next++ {
			o.save(t, d, 2, next, next)
		}
		must(t, d.Save(&raftpb.HardState{Term: new(uint64(4)), Vote: new(uint64(2)), Commit: new(uint64(1))}, nil))
		must(t, d.WriteBody(230, bytes.NewReader(body(t, 4, 230, "theirs"))), d.SaveSnapshot(snapshotMeta(4, 230), true),
			d.Save(hardState(4, 230), nil), d.Sync())
		o.save(t, d, 4, 231, 240)
	}})
	if n := len(segmentsOf(t, long.dir)); n < 3 {
		t.Fatalf("only %d segments", n)
	}

	file := func(name string) func(*testing.T, string) string {
		return func(_ *testing.T, dir string) string { return filepath.Join(dir, name) }
	}
	newestBody, newestMeta := file(filepath.Join("snap", fmt.Sprintf("%016x.snap.db", 225))), file(filepath.Join("snap", fmt.Sprintf("%016x-%016x.snap", 2, 225)))
	olderBody := file(filepath.Join("snap", fmt.Sprintf("%016x.snap.db", 125)))
	flip := func(b []byte, at int64) []byte { b[at] ^= 4; return b }
	cut := func(b []byte, at int64) []byte { return b[:at] }
	clearFrom := func(b []byte, at int64) []byte { clear(b[at:]); return b }
	clearSector := func(b []byte, at int64) []byte { clear(b[at:min(at+512, int64(len(b)))]); return b }

	tests := []struct {
		name string
		of   *original
		// in is the file that edit changes, at each place of at; nil: do.
		in    func(t *testing.T, dir string) string
		at    func(t *testing.T, file string) []int64
		edit  func(b []byte, at int64) []byte
		do    func(t *testing.T, dir string)
		want  outcome
		texts []string // of a refusal
	}{
		{name: "none", of: long, do: func(*testing.T, string) {}, want: recovers},
		{name: "none, with snapshots", of: snaps, do: func(*testing.T, string) {}, want: recovers},
		{name: "none, with replaced entries", of: replaced, do: func(*testing.T, string) {}, want: recovers},
		{name: "none, with a received snapshot", of: received, do: func(*testing.T, string) {}, want: recovers},

		{name: "truncated in the last four records", of: long, in: lastSegment, at: lastBytes(4), edit: cut, want: refuses},
		{name: "zeros from within the last four records", of: long, in: lastSegment, at: lastBytes(4), edit: clearFrom, want: recovers | refuses}, // the same,
		{name: "vote cut off", of: long, in: lastSegment, at: recordFromEnd(1), edit: clearFrom, want: refuses, texts: []string{"lost the vote for member 2 in term 3"}},
		{name: "vote and term cut off", of: long, in: lastSegment, at: recordFromEnd(2), edit: clearFrom, want: refuses, texts: []string{"term 2", "term 3 was durable"}},
		{name: "torn write that nobody was told of", of: long, in: lastSegment, at: end, edit: func(b []byte, at int64) []byte {
			copy(b[at:], append([]byte{0xa0, 0x0f, 0, 0, 0, 0, 0, 0}, bytes.Repeat([]byte("a"), 600)...))
			return b
		}, want: recovers},
		{name: "garbage after the end", of: long, in: lastSegment, at: end, edit: func(b []byte, at int64) []byte {
			copy(b[at:], "\xff\xff\xff\xff\xff\xff\xff\x7f")
			return b
		}, want: recovers},
		{name: "zeroed sector of the last segment", of: long, in: lastSegment, at: sectors, edit: clearSector, want: refuses},
		{name: "zeroed sector of the first segment", of: long, in: firstSegment, at: sectors, edit: clearSector, want: refuses},
		{name: "zeroed sector before the snapshots", of: snaps, in: firstSegment, at: sectors, edit: clearSector, want: refuses},
		{name: "flipped bit in a middle record", of: long, in: lastSegment, at: middle, edit: flip, want: refuses, texts: []string{".wal is damaged at byte", "after log index"}},
		{name: "flipped bit in the last record", of: long, in: lastSegment, at: lastBytes(1), edit: flip, want: recovers | refuses}, // it ends in padding,
		{name: "second half zeroed", of: long, in: lastSegment, at: middle, edit: clearFrom, want: refuses},
		{name: "second half of the first segment zeroed", of: long, in: firstSegment, at: middle, edit: clearFrom, want: refuses},
		{name: "length overwritten", of: long, in: lastSegment, at: recordFromEnd(40), edit: func(b []byte, at int64) []byte {
			binary.LittleEndian.PutUint32(b[at:], 0x7fffff)
			return b
		}, want: refuses, texts: []string{"250 was durable"}},
		{name: "length overwritten by a smaller one", of: long, in: lastSegment, at: recordFromEnd(40), edit: func(b []byte, at int64) []byte {
			b[at] = 16
			return b
		}, want: refuses},
		{name: "last segment empty", of: long, in: lastSegment, at: start0, edit: cut, want: refuses, texts: []string{"is empty or was cut off", "250 was durable"}},
		{name: "all segments empty", of: long, do: func(t *testing.T, dir string) {
			for _, s := range segmentsOf(t, dir) {
				must(t, os.Truncate(s, 0))
			}
		}, want: refuses, texts: []string{"is empty or was cut off"}},
		{name: "metadata of nobody", of: long, do: func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "wal")))
			w, err := wal.Create(nil, filepath.Join(dir, "wal"), nil)
			must(t, err, w.Close())
		}, want: refuses, texts: []string{"not kvd's"}},
		{name: "first segment missing", of: long, do: removeSegment(0), want: refuses, texts: []string{"does not reach back"}},
		{name: "first segment missing, with snapshots", of: snaps, do: removeSegment(0), want: recovers},
		{name: "middle segment missing", of: long, do: removeSegment(1), want: refuses, texts: []string{"segment 1 is missing"}},
		{name: "last segment missing", of: long, do: removeSegment(-1), want: refuses, texts: []string{"250 was durable"}},
		{name: "last segment missing, with replaced entries", of: replaced, do: removeSegment(-1), want: refuses, texts: []string{"another log"}},
		{name: "last segment missing, with a received snapshot", of: received, do: removeSegment(-1), want: refuses},
		{name: "whole log missing", of: long, do: func(t *testing.T, dir string) { must(t, os.RemoveAll(filepath.Join(dir, "wal"))) },
			want: refuses, texts: []string{"no write-ahead log"}},
		{name: "whole log missing and watermark too", of: snaps, do: func(t *testing.T, dir string) {
			must(t, os.RemoveAll(filepath.Join(dir, "wal")), os.Remove(filepath.Join(dir, "watermark")))
		}, want: refuses, texts: []string{"no write-ahead log"}},

		{name: "newest snapshot flipped", of: snaps, in: newestBody, at: throughout, edit: flip, want: recovers},
		{name: "newest snapshot torn", of: snaps, in: newestBody, at: throughout, edit: cut, want: recovers},
		{name: "newest snapshot gone", of: snaps, do: func(t *testing.T, dir string) { must(t, os.Remove(newestBody(t, dir))) }, want: recovers},
		{name: "newest metadata flipped", of: snaps, in: newestMeta, at: throughout, edit: flip, want: recovers},
		{name: "newest metadata torn", of: snaps, in: newestMeta, at: throughout, edit: cut, want: recovers},
		{name: "newest metadata gone", of: snaps, do: func(t *testing.T, dir string) { must(t, os.Remove(newestMeta(t, dir))) }, want: recovers},
		{name: "newest snapshot replaced by the older", of: snaps, do: func(t *testing.T, dir string) {
			b, err := os.ReadFile(olderBody(t, dir))
			must(t, err, os.WriteFile(newestBody(t, dir), b, 0o600))
		}, want: recovers},
		{name: "both snapshots damaged", of: snaps, do: func(t *testing.T, dir string) {
			damage(t, newestBody(t, dir), func(b []byte) []byte { return flip(b, 30) })
			damage(t, olderBody(t, dir), func(b []byte) []byte { return b[:len(b)-1] })
		}, want: refuses, texts: []string{"snapshot body is damaged", "does not reach back", "250 was durable"}},
		{name: "received snapshot damaged", of: received, do: func(t *testing.T, dir string) {
			damage(t, filepath.Join(dir, "snap", fmt.Sprintf("%016x.snap.db", 230)), func(b []byte) []byte { return flip(b, 30) })
		}, want: refuses},

		{name: "watermark flipped", of: long, in: file("watermark"), at: throughout, edit: flip, want: recovers},
		{name: "watermark torn", of: long, in: file("watermark"), at: throughout, edit: cut, want: recovers},
		{name: "watermark gone", of: long, do: func(t *testing.T, dir string) { must(t, os.Remove(filepath.Join(dir, "watermark"))) }, want: recovers},
		{name: "watermark gone and a torn log", of: long, do: func(t *testing.T, dir string) {
			must(t, os.Remove(filepath.Join(dir, "watermark")))
			last := lastSegment(t, dir)
			at := end(t, last)[0]
			damage(t, last, func(b []byte) []byte { return b[:at-100] })
		}, want: refuses, texts: []string{"watermark is missing"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			must(t, os.CopyFS(dir, os.DirFS(tt.of.dir)))
			if tt.in == nil {
				tt.do(t, dir)
				if got := suffer(t, tt.of, dir, tt.texts); got != tt.want {
					t.Errorf("outcome %d, want %d", got, tt.want)
				}
				return
			}
			path := tt.in(t, dir)
			whole, err := os.ReadFile(path)
			must(t, err)
			var seen outcome
			for _, at := range tt.at(t, path) {
				must(t, os.WriteFile(path, tt.edit(bytes.Clone(whole), at), 0o600))
				got := suffer(t, tt.of, dir, tt.texts)
				seen |= got
				if got&tt.want == 0 {
					t.Errorf("damage at byte %d: outcome %d, want %d", at, got, tt.want)
				}
				if got == refuses {
					must(t, os.WriteFile(path, whole, 0o600))
				} else { // the member has repaired and written
					must(t, os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(tt.of.dir)))
				}
				if t.Failed() {
					t.FailNow()
				}
			}
			if seen != tt.want {
				t.Errorf("outcomes seen %d, want %d", seen, tt.want)
			}
		})
	}
}

// suffer opens a damaged directory. A member that starts holds all that was
// promised, takes more, and holds that after another start.
func suffer(t *testing.T, o *original, dir string, texts []string) outcome {
	t.Helper()
	before := digest(t, dir)
	d, err := OpenDisk(dir, nil)
	var rec *Recovered
	if err == nil {
		defer kill(d)
		rec, err = d.Load(testID)
	}
	if err != nil {
		if !errors.Is(err, ErrDataDir) {
			t.Errorf("error %v, want ErrDataDir", err)
		}
		for _, text := range texts {
			if !strings.Contains(err.Error(), text) {
				t.Errorf("error does not say %q: %v", text, err)
			}
		}
		if digest(t, dir) != before {
			t.Errorf("the directory was changed after %v", err)
		}
		return refuses
	}
	must(t, o.holds(d, rec))
	more := *o
	more.last++
	o.save(t, d, o.term, more.last, more.last)
	more.vote = 1 // as save writes it
	kill(d)
	d, rec = openLoaded(t, dir)
	must(t, more.holds(d, rec))
	kill(d)
	return recovers
}

// digest sums up all files of a directory but the lock.
func digest(t *testing.T, dir string) string {
	t.Helper()
	sum := sha256.New()
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.Name() == "lock" {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		fmt.Fprintln(sum, path, info.Mode(), info.ModTime())
		if e.IsDir() {
			return nil
		}
		b, err := os.ReadFile(path)
		sum.Write(b)
		return err
	}))
	return string(sum.Sum(nil))
}

func segmentsOf(t testing.TB, dir string) []string {
	t.Helper()
	names, err := filepath.Glob(filepath.Join(dir, "wal", "*.wal"))
	must(t, err)
	return names
}

func firstSegment(t *testing.T, dir string) string { return segmentsOf(t, dir)[0] }

func lastSegment(t *testing.T, dir string) string {
	names := segmentsOf(t, dir)
	return names[len(names)-1]
}

func removeSegment(i int) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		names := segmentsOf(t, dir)
		must(t, os.Remove(names[(i+len(names))%len(names)]))
	}
}

// records returns where the records of a segment begin, and where they end.
func records(t *testing.T, file string) []int64 {
	t.Helper()
	b, err := os.ReadFile(file)
	must(t, err)
	var starts []int64
	at := int64(0)
	for at+8 <= int64(len(b)) && binary.LittleEndian.Uint64(b[at:]) != 0 {
		starts = append(starts, at)
		length := binary.LittleEndian.Uint64(b[at:])
		size := int64(length &^ (0xff << 56))
		if length>>63 != 0 {
			size += int64(length >> 56 & 7)
		}
		at += 8 + size
	}
	return append(starts, at)
}

// The places of damage.

func start0(*testing.T, string) []int64 { return []int64{0} }

func end(t *testing.T, file string) []int64 { return recordFromEnd(0)(t, file) }

// middle is in the data of a record in the middle.
func middle(t *testing.T, file string) []int64 {
	r := records(t, file)
	i := len(r) / 2
	for r[i+1]-r[i] < 100 { // not an entry
		i++
	}
	return []int64{r[i] + 50}
}

func recordFromEnd(n int) func(*testing.T, string) []int64 {
	return func(t *testing.T, file string) []int64 {
		r := records(t, file)
		return []int64{r[len(r)-1-n]}
	}
}

// lastBytes are all bytes of the last n records.
func lastBytes(n int) func(*testing.T, string) []int64 {
	return func(t *testing.T, file string) []int64 {
		r := records(t, file)
		var places []int64
		for at := r[len(r)-1-n]; at < r[len(r)-1]; at++ {
			places = append(places, at)
		}
		return places
	}
}

// sectors are those that hold records.
func sectors(t *testing.T, file string) []int64 {
	r := records(t, file)
	var places []int64
	for at := int64(0); at < r[len(r)-1]; at += 512 {
		places = append(places, at)
	}
	return places
}

// throughout is every seventh byte, so that all of a byte's places in a number
// come up.
func throughout(t *testing.T, file string) []int64 {
	info, err := os.Stat(file)
	must(t, err)
	var places []int64
	for at := int64(0); at < info.Size(); at += 7 {
		places = append(places, at)
	}
	return places
}
