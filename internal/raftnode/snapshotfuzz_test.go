package raftnode

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// wound is a change of one file among the snapshots of a directory.
type wound struct {
	file, how uint8
	at        uint32
	content   []byte
}

// of makes the change in tree, which holds the files by name.
func (w wound) of(tree map[string][]byte) {
	names := slices.Sorted(maps.Keys(tree))
	name, other := names[int(w.file)%len(names)], names[int(w.file>>4)%len(names)]
	b := bytes.Clone(tree[name])
	switch w.how % 6 {
	case 0: // bits flip
		for i, c := range w.content {
			if n := int(w.at%4096) + i; n < len(b) {
				b[n] ^= c
			}
		}
	case 1:
		b = b[:int(w.at)%(len(b)+1)]
	case 2:
		b = append(b[:int(w.at)%(len(b)+1)], w.content...)
	case 3:
		b = w.content
	case 4:
		b = bytes.Clone(tree[other])
	case 5:
		delete(tree, name)
		return
	}
	tree[name] = b
}

// FuzzSnapshotFiles changes two of the files of two snapshots, and puts a third
// beside them, of whatever name and content. As long as one snapshot is whole, the
// member has everything that was promised; else it is refused, with what is known of
// the directory for those who must put another in its place, and left as it was.
func FuzzSnapshotFiles(f *testing.F) {
	o := withSnapshots(f)
	snap := filepath.Join(o.dir, "snap")
	sound := make(map[string][]byte)
	entries, err := os.ReadDir(snap)
	must(f, err)
	for _, e := range entries {
		sound[e.Name()], err = os.ReadFile(filepath.Join(snap, e.Name()))
		must(f, err)
	}
	if len(sound) != 4 {
		f.Fatalf("%d files of two snapshots", len(sound))
	}
	header := func(json string) []byte {
		return append(binary.BigEndian.AppendUint32([]byte(bodyMagic), uint32(len(json))), json...)
	}
	const front = `{"cluster":1,"index":225,"term":2,"clock":0,"conf_state":"CgMBAgM=","membership":{"members":{"1":null}}}`
	const olderMeta, newerMeta, olderBody, newerBody = 0, 1, 2, 3 // by name
	const flips, cut, tail, whole, copied, gone = 0, 1, 2, 3, 4, 5
	add := func(one, two wound, stray string, content []byte) {
		f.Add(one.file, one.how, one.at, one.content, two.file, two.how, two.at, two.content, stray, content)
	}
	none := wound{how: flips}
	add(none, none, "", nil)
	add(wound{newerBody, flips, 30, []byte{4}}, none, "", nil)
	add(wound{newerBody, cut, 100, nil}, wound{newerMeta, cut, 5, nil}, "tmp123", []byte("half"))
	add(wound{newerBody, tail, 150, []byte{0}}, wound{olderMeta, gone, 0, nil}, "x.snap.db", nil)
	state := uint32(len(sound[fmt.Sprintf("%016x.snap.db", 225)]) - bodyTrailer - 2) // the front is whole
	add(wound{newerBody, flips, state, []byte{4}}, wound{olderBody, flips, state, []byte{1}}, "", nil)
	add(wound{newerBody, gone, 0, nil}, wound{olderBody, gone, 0, nil}, "00000000000000ff.snap.db", header("{}"))
	add(wound{newerBody, gone, 0, nil}, wound{olderBody, whole, 0, header(front)}, "00000000000000ff.snap.db", header(front))
	add(wound{olderBody<<4 | newerBody, copied, 0, nil}, wound{olderMeta, gone, 0, nil}, "-1.snap.db", header("{}"))
	add(wound{newerBody<<4 | olderBody, copied, 0, nil}, wound{newerMeta, whole, 0, []byte("\x08\x01")}, "0-0.snap", []byte{0})
	add(wound{olderMeta<<4 | newerMeta, copied, 0, nil}, wound{newerMeta<<4 | olderMeta, copied, 0, nil}, "0000000000000002-00000000000000e2.snap", nil)
	add(wound{olderMeta<<4 | newerMeta, copied, 0, nil}, none, "", nil)
	add(wound{newerBody, whole, 0, header(front)[:11]}, wound{olderBody, whole, 0, append([]byte(bodyMagic), 0xff, 0xff, 0xff, 0xff)}, "", nil)
	f.Fuzz(func(t *testing.T, file1, how1 uint8, at1 uint32, content1 []byte, file2, how2 uint8, at2 uint32, content2 []byte, stray string, content []byte) {
		tree := maps.Clone(sound)
		wound{file1, how1, at1, content1}.of(tree)
		wound{file2, how2, at2, content2}.of(tree)
		if stray != "" && len(stray) < 200 && filepath.IsLocal(stray) && !strings.ContainsAny(stray, "/\x00") && stray != "." {
			tree[stray] = content
		}
		left := slices.ContainsFunc([]uint64{125, 225}, func(index uint64) bool {
			body, meta := fmt.Sprintf("%016x.snap.db", index), fmt.Sprintf("%016x-%016x.snap", 2, index)
			return bytes.Equal(tree[body], sound[body]) && bytes.Equal(tree[meta], sound[meta])
		})
		dir := filepath.Join(t.TempDir(), "data")
		must(t, os.CopyFS(dir, os.DirFS(o.dir)))
		for name := range sound {
			must(t, os.Remove(filepath.Join(dir, "snap", name)))
		}
		for name, b := range tree {
			must(t, os.WriteFile(filepath.Join(dir, "snap", name), b, 0o600))
		}

		before := digest(t, dir)
		r, err := Examine(dir)
		must(t, err)
		if (r.Fault == nil) != left {
			t.Fatalf("one of the snapshots is left: %v; examined, the directory has this fault: %v", left, r.Fault)
		}
		if !left {
			var u *Unusable
			if _, err := PlanRecovery(dir); !errors.As(err, &u) || !errors.As(r.Fault, &u) || u.Identity.Member != testID.Member || u.Last != o.last || u.Durable != o.last {
				t.Fatalf("error %v tells %+v of the directory", err, u)
			}
		}
		if log, err := OpenLog(dir); (err == nil) != left {
			t.Fatalf("one of the snapshots is left: %v; the log can be read: %v", left, err)
		} else if err == nil {
			must(t, log.Close())
		}
		if digest(t, dir) != before {
			t.Fatal("who only looks has changed the directory")
		}
		want := refuses
		if left {
			want = recovers
		}
		if got := suffer(t, o, dir, nil); got != want {
			t.Fatalf("one of the snapshots is left: %v; outcome %d, want %d", left, got, want)
		}
	})
}
