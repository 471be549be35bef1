package raftnode

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// FuzzDirectory changes one file of a directory: it is refused as what it is, or all
// that was durable is there. What is refused is left as it was.
func FuzzDirectory(f *testing.F) {
	origin := f.TempDir()
	d, err := OpenDisk(origin, nil)
	must(f, err)
	_, err = d.Load(testID)
	must(f, err)
	must(f, d.Save(hardState(1, 0), entries(1, 1, 20)))
	kill(d)
	names, err := segmentNames(filepath.Join(origin, "wal"))
	must(f, err)
	files := []string{filepath.Join("wal", names[0]), "watermark"}
	f.Add(uint8(0), uint32(40), []byte{1}, uint32(0))
	f.Add(uint8(0), uint32(500), []byte{0, 0, 0, 0, 0, 0, 0, 0}, uint32(0))
	f.Add(uint8(0), uint32(0), []byte{}, uint32(700))
	f.Add(uint8(1), uint32(8), []byte{0xff}, uint32(0))
	f.Add(uint8(1), uint32(0), []byte{}, uint32(20))
	f.Fuzz(func(t *testing.T, which uint8, at uint32, change []byte, cut uint32) {
		dir := t.TempDir()
		must(t, os.CopyFS(dir, os.DirFS(origin)))
		path := filepath.Join(dir, files[int(which)%len(files)])
		b, err := os.ReadFile(path)
		must(t, err)
		for i, c := range change {
			if n := int(at%8192) + i; n < len(b) {
				b[n] ^= c
			}
		}
		if cut > 0 {
			b = b[:int(cut)%(len(b)+1)]
		}
		must(t, os.WriteFile(path, b, 0o600))
		before := digest(t, dir)
		d, err := OpenDisk(dir, nil)
		if err == nil {
			var rec *Recovered
			if rec, err = d.Load(testID); err == nil {
				defer kill(d)
				if which%2 == 0 && len(rec.Entries) != 20 {
					t.Fatalf("%d entries of 20, and no error", len(rec.Entries))
				}
				return
			}
			kill(d)
		}
		if !errors.Is(err, ErrDataDir) {
			t.Fatalf("error %v, want ErrDataDir", err)
		}
		if digest(t, dir) != before {
			t.Fatal("a directory that was refused was changed")
		}
	})
}
