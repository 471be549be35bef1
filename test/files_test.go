package test

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// contents is what a file holds, for comparison. A checksum is enough where
// nobody forges, and logs are preallocated: there are many bytes to read.
type contents struct {
	size int64
	sum  uint32
}

// readTree maps each file below dir, by its name there, to what it holds.
func readTree(t testing.TB, dir string) map[string]contents {
	t.Helper()
	all := map[string]contents{}
	for _, name := range filesIn(t, dir) {
		f, err := os.Open(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		h := crc32.New(castagnoli)
		n, err := io.Copy(h, f)
		f.Close()
		if err != nil {
			t.Fatal(err)
		}
		all[name] = contents{n, h.Sum32()}
	}
	return all
}

// sameTree fails the test unless every file of before is as it was, but for the
// lock, which holds the id of the last process.
func sameTree(t testing.TB, dir string, before map[string]contents) {
	t.Helper()
	after := readTree(t, dir)
	for name, want := range before {
		if name == "lock" {
			continue
		}
		if got, ok := after[name]; !ok {
			t.Errorf("%s is gone", name)
		} else if got != want {
			t.Errorf("%s was changed", name)
		}
	}
}

// copyTree copies a data directory. Blocks of zeros, of which preallocated logs
// have many, become holes.
func copyTree(t testing.TB, from, to string) {
	t.Helper()
	for _, name := range filesIn(t, from) {
		if err := os.MkdirAll(filepath.Dir(filepath.Join(to, name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := copySparse(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func copySparse(from, to string) error {
	src, err := os.Open(from)
	if err != nil {
		return err
	}
	defer src.Close()
	info, err := src.Stat()
	if err != nil {
		return err
	}
	dst, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, info.Mode().Perm())
	if err != nil {
		return err
	}
	defer dst.Close()
	block, zeros := make([]byte, 1<<16), make([]byte, 1<<16)
	for off := int64(0); off < info.Size(); {
		n, err := src.ReadAt(block, off)
		if n > 0 && !bytes.Equal(block[:n], zeros[:n]) {
			if _, err := dst.WriteAt(block[:n], off); err != nil {
				return err
			}
		}
		off += int64(n)
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	return dst.Truncate(info.Size())
}

// filesIn lists the files below dir by their names there.
func filesIn(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	err := filepath.WalkDir(dir, func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		rel, err := filepath.Rel(dir, name)
		names = append(names, rel)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

// filesLike lists the files below dir with a suffix, in the order of their
// names, which is the order in which they were begun.
func filesLike(t testing.TB, dir, suffix string) []string {
	t.Helper()
	var names []string
	for _, name := range filesIn(t, dir) {
		if strings.HasSuffix(name, suffix) {
			names = append(names, filepath.Join(dir, name))
		}
	}
	slices.Sort(names)
	if len(names) == 0 {
		t.Fatalf("no file *%s in %s: %v", suffix, dir, filesIn(t, dir))
	}
	return names
}

func walFiles(t testing.TB, dir string) []string { t.Helper(); return filesLike(t, dir, ".wal") }

// Types of records in a write-ahead log.
const (
	recordMetadata = 1
	recordEntry    = 2
	recordState    = 3
)

// record is one record of a write-ahead log: its frame begins at off, its
// bytes lie behind 8 bytes of length.
type record struct {
	off  int64
	size int64 // without length and padding
	kind byte
}

// end is where the next record begins.
func (r record) end() int64 { return r.off + 8 + (r.size+7)/8*8 }

// records walks a log file up to the zeros behind its last record.
func records(t testing.TB, file string) []record {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var rs []record
	for off := int64(0); off+10 <= int64(len(b)); {
		length := binary.LittleEndian.Uint64(b[off:])
		if length == 0 {
			break
		}
		// The highest byte tells how many bytes of padding follow. A record
		// begins with its type: field 1, a varint below 128.
		r := record{off: off, size: int64(length &^ (0xff << 56)), kind: b[off+9]}
		rs = append(rs, r)
		off = r.end()
	}
	if len(rs) == 0 {
		t.Fatalf("%s has no records", file)
	}
	return rs
}

// entries are the records of raft entries.
func entries(t testing.TB, file string) []record {
	t.Helper()
	es := slices.DeleteFunc(records(t, file), func(r record) bool { return r.kind != recordEntry })
	if len(es) == 0 {
		t.Fatalf("%s has no entries", file)
	}
	return es
}

// dataEnd is where the zeros behind the last record begin.
func dataEnd(t testing.TB, file string) int64 {
	t.Helper()
	rs := records(t, file)
	return rs[len(rs)-1].end()
}

// overwrite puts b at off.
func overwrite(t testing.TB, file string, off int64, b []byte) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(b, off); err != nil {
		t.Fatal(err)
	}
}

// flip turns one bit around.
func flip(t testing.TB, file string, off int64) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	b := make([]byte, 1)
	if _, err := f.ReadAt(b, off); err != nil {
		t.Fatal(err)
	}
	overwrite(t, file, off, []byte{b[0] ^ 0x10})
}

// zeroFrom overwrites n bytes with zeros.
func zeroFrom(t testing.TB, file string, off, n int64) {
	t.Helper()
	overwrite(t, file, off, make([]byte, n))
}
